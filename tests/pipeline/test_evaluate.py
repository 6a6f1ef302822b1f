"""`salm-duplex evaluate`: from a run and corpora to figures, a plot and examples."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from command_material import run_inside
from test_cli import refused
from utmos_material import make_utmos

import pipeline.evaluate
from manifests.errors import RequestError, WorkError
from manifests.text_channel import text_channel, user_text_channel
from pipeline.commands.evaluation_table import tables
from pipeline.evaluate import Request, evaluate
from salm_duplex_model.batch import frames_of
from salm_duplex_model.checkpoint import load_run
from salm_duplex_model.codec import Codec
from salm_duplex_model.evaluation.play import Played, batches, converse, play, written
from salm_duplex_model.session import Decoding
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer

DESIGN = (
    "barge_in_success_rate",
    "barge_in_latency_s",
    "false_alarm_rate",
    "first_response_latency_s",
    "turn_taking_precision",
    "turn_taking_recall",
    "agent_bleu",
    "agent_wer",
)


@pytest.fixture
def request_of(tiny_run, small_corpus, tmp_path):
    def make(**more) -> Request:
        plain = {
            "run": tiny_run,
            "corpora": [small_corpus.url],
            "out": tmp_path / "e.json",
            "split": "train",
            "limit": 2,
        }
        return Request(**(plain | more))

    return make


def perfect(model, codec, cuts, decoding):
    """An agent that plays the reference, in place of a model."""
    tokenizer = TextTokenizer.load(BUNDLED)
    for cut in cuts:
        own = text_channel(cut.supervisions, frames_of(cut), "agent", tokenizer.encode, tokenizer.special)
        user = user_text_channel(cut.supervisions, frames_of(cut) + 25, tokenizer.encode, tokenizer.special)
        yield Played(cut, cut.load_target_audio()[0], own.tokens, user.tokens)


def quietly(*_: object) -> None:
    pass


def test_a_random_model_is_played_and_scored_end_to_end(request_of, small_corpus, tmp_path):
    utmos = make_utmos(tmp_path / "utmos.pt")
    request = request_of(fdb=request_of().out.parent / "fdb", asr="pocketsphinx", utmos=utmos)
    pytest.importorskip("pocketsphinx")
    result = evaluate(request, quietly)
    assert json.loads(request.out.read_text()) == json.loads(json.dumps(result))
    assert request.out.with_suffix(".png").stat().st_size > 10_000
    assert result["about"]["step"] == 7 and result["about"]["split"] == "train"
    assert result["about"]["dialogues"] == {small_corpus.name: 2}
    own = result["sets"][small_corpus.name]
    assert set(DESIGN) <= set(own)
    assert {f"text_{name}" for name in DESIGN[:4]} <= set(own)
    for found in own.values():
        assert set(found) == {"value", "n", "ci95"}
        assert (found["value"] is None) == (found["n"] == 0)
    assert own["text_perplexity"]["value"] > 200 and own["agent_bleu"]["value"] < 5
    assert own["reference_wer"]["n"] > 10
    assert own["agent_utmos"]["n"] == own["reference_utmos"]["n"] == 2
    assert 0.01 < own["reference_utmos"]["value"] < 0.5  # a level, here
    assert "user_wer" not in own  # the model does not transcribe
    assert own["judge_score"] == {"value": None, "n": 0, "ci95": None}
    assert (request.fdb / small_corpus.name / "smooth_turn_taking" / "1" / "output.json").is_file()
    assert json.loads((request.fdb / small_corpus.name / "index.json").read_text())


def test_audio_and_text_of_a_dialogue_do_not_depend_on_its_batch(tiny_run, small_corpus):
    model, tokenizer = load_run(tiny_run)
    cuts = list(small_corpus.cuts("train"))[:3]
    together = {one.cut.id: one for one in play(model, Codec.bundled(), cuts)}
    alone = next(play(model, Codec.bundled(), cuts[1:2]))
    beside = together[alone.cut.id]
    assert len(alone.tokens) == frames_of(alone.cut) + 25 and len(alone.audio) == len(alone.tokens) * 1_764
    assert np.array_equal(alone.tokens, beside.tokens)
    assert np.allclose(alone.audio, beside.audio, atol=1e-4)
    assert alone.tokens[0] == tokenizer.special.pad


def test_a_closed_loop_is_played_scored_and_labeled_as_such(request_of, small_corpus, tmp_path, impatient_user):
    utmos = make_utmos(tmp_path / "utmos.pt")
    request = request_of(closed_loop=True, limit=1, fdb=tmp_path / "fdb", utmos=utmos)
    result = evaluate(request, quietly)
    own = result["sets"][small_corpus.name]
    turns = sum(s.speaker == "user" for s in next(iter(small_corpus.cuts("train"))).supervisions)
    assert result["about"]["closed_loop"] and "closed: the user reacts to BOS and EOS" in result["about"]["loop"]
    assert own["script_turns_said_rate"]["n"] == turns
    assert set(result["reference"][small_corpus.name]) <= set(own)
    assert own["reference_utmos"]["n"] == 1 and 0.01 < own["reference_utmos"]["value"] < 0.5
    assert "closed loop" in str(next(tables(result)).title)
    assert json.loads((request.fdb / small_corpus.name / "index.json").read_text())


def test_a_closed_loop_of_a_dialogue_does_not_depend_on_the_others(tiny_run, small_corpus, impatient_user):
    model, _ = load_run(tiny_run)
    cuts = list(small_corpus.cuts("train"))[:2]
    drawn = Decoding(temperature=1.0, code_temperature=1.0, seed=3)
    together = {one.cut.id: one for one in converse(model, Codec.bundled(), cuts, drawn)}
    alone = next(converse(model, Codec.bundled(), cuts[1:], drawn))
    beside = together[alone.cut.id]
    assert np.array_equal(alone.tokens, beside.tokens)
    assert alone.cut.supervisions == beside.cut.supervisions and alone.kept == beside.kept
    assert np.array_equal(alone.cut.load_audio(), beside.cut.load_audio())
    assert len(alone.audio) == len(alone.tokens) * 1_764 == (frames_of(alone.cut) + 25) * 1_764
    [(cut, tokens)] = written(model, Codec.bundled(), cuts[1:], drawn, closed_loop=True)  # the same, without audio
    assert cut == alone.cut and np.array_equal(tokens, alone.tokens)


def test_batches_have_dialogues_of_similar_length_and_all_of_them(small_corpus):
    cuts = list(small_corpus.cuts("train"))
    made = batches(cuts, 4)
    assert sorted(cut.id for batch in made for cut in batch) == sorted(cut.id for cut in cuts)
    lengths = [frames_of(cut) for batch in made for cut in batch]
    assert lengths == sorted(lengths, reverse=True)


def test_a_perfect_agent_gets_perfect_scores(request_of, small_corpus, monkeypatch):
    monkeypatch.setattr(pipeline.evaluate, "play", perfect)
    result = evaluate(request_of(limit=None), quietly)
    own, reference = (result[key][small_corpus.name] for key in ("sets", "reference"))
    assert own["barge_in_success_rate"]["value"] == own["turn_taken_rate"]["value"] == 1
    assert own["barge_in_success_rate"]["n"] == 5
    assert own["user_wer"]["value"] == 0 and own["user_wer"]["n"] > 100
    assert {name: own[name] for name in reference} == reference
    table = next(tables(result))
    rows = {row[0]: row[1:] for row in zip(*(column.cells for column in table.columns), strict=True)}
    assert rows["barge_in_success_rate"][0] == "100.0 %"
    assert rows["barge_in_success_rate"][-2:] == ("83.0 %", "94.5 %")
    assert "text_barge_in_success_rate" not in rows and "text_perplexity" in rows


def test_if_the_judge_can_not_be_reached_the_rest_is_kept(request_of, monkeypatch):
    monkeypatch.setattr(pipeline.evaluate, "play", perfect)
    monkeypatch.setattr("salm_duplex_model.evaluation.judge.RETRY.total", 0)
    request = request_of(judge="http://127.0.0.1:9/v1", judge_model="nobody")
    with pytest.raises(WorkError, match="All other figures are in"):
        evaluate(request, quietly)
    (own,) = json.loads(request.out.read_text())["sets"].values()
    assert own["turn_taken_rate"]["value"] == 1 and own["judge_score"]["value"] is None


def test_a_lack_of_memory_is_not_blamed_on_the_corpus(request_of, monkeypatch):
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory; tried to allocate 2.00 GiB")

    monkeypatch.setattr(pipeline.evaluate, "play", full)
    with pytest.raises(WorkError, match="Out of memory while playing dialogues; lower --batch"):
        evaluate(request_of(), quietly)


def test_two_corpora_with_one_name_are_rejected(request_of, small_corpus):
    with pytest.raises(RequestError, match="the same folder name"):
        evaluate(request_of(corpora=[small_corpus.url] * 2), quietly)


def test_a_judge_without_a_model_is_rejected(request_of):
    with pytest.raises(RequestError, match="belong together"):
        evaluate(request_of(judge="http://localhost"), quietly)


def test_examples_go_to_a_new_folder(request_of, tmp_path):
    (tmp_path / "fdb").mkdir()
    (tmp_path / "fdb" / "old").write_text("x")
    with pytest.raises(RequestError, match="already exists"):
        evaluate(request_of(fdb=tmp_path / "fdb"), quietly)


def command(tiny_run: Path, corpus: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    return run_inside("evaluate", tiny_run, "--corpus", corpus, "--out", out, *more)


def test_the_command(tiny_run, small_corpus, tmp_path):
    result = command(tiny_run, small_corpus.url, tmp_path / "e.json", "--split", "train", "--limit", 1)
    assert result.returncode == 0, result.stderr
    assert "barge_in_success_rate" in result.stdout and "83.0 %" in result.stdout
    assert f"Wrote {tmp_path / 'e.json'}" in result.stdout
    assert "1/1 dialogues" in result.stderr


def test_wrong_requests_are_rejected(tiny_run, small_corpus, tmp_path):
    corpus, out = small_corpus.url, tmp_path / "e.json"
    assert "not a training run" in refused(command(tmp_path, corpus, out, "--split", "train"))
    assert "no dialogue in a split 'test'; it has: train" in refused(command(tiny_run, corpus, out))
    assert "is not a corpus" in refused(command(tiny_run, tmp_path, out))
    assert "must end in .json" in refused(command(tiny_run, corpus, tmp_path / "e"))
    (tmp_path / "file").write_text("in the way")
    assert "can't be written" in refused(command(tiny_run, corpus, tmp_path / "file" / "e.json"))
    assert "neither pocketsphinx" in refused(command(tiny_run, corpus, out, "--split", "train", "--asr", "whisper"))
    assert not out.exists()
