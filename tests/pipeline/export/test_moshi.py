"""The export for moshi-finetune has the files that its loader expects, with the corpus's audio and words."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from manifests.corpus import Corpus
from manifests.store import Store
from pipeline.export.dialogue import read_dialogues
from pipeline.export.moshi import Moshi, alignments
from pipeline.export.run import export


@pytest.fixture(scope="module")
def exported(tmp_path_factory, small_corpus: Corpus) -> Path:
    out = tmp_path_factory.mktemp("export") / "moshi"
    export(small_corpus, Moshi(), Store(out))
    return out


def rows(exported: Path) -> list[dict]:
    return [json.loads(line) for line in (exported / "train.jsonl").read_text("utf-8").splitlines()]


def test_the_list_names_every_dialogue_with_its_length(small_corpus: Corpus, exported: Path) -> None:
    cuts = list(small_corpus.cuts("train"))
    assert [(Path(row["path"]).stem, row["duration"]) for row in rows(exported)] == [(c.id, c.duration) for c in cuts]
    for row in rows(exported):
        info = soundfile.info(exported / row["path"])
        assert (info.samplerate, info.channels, info.subtype) == (24_000, 2, "PCM_16")
        assert info.frames == round(row["duration"] * 12.5) * 1_920
    assert sorted(path.name for path in exported.iterdir()) == ["export.json", "train", "train.jsonl"]


def test_left_is_the_agent_and_right_the_user_in_time(small_corpus: Corpus, exported: Path) -> None:
    for row, cut in zip(rows(exported), small_corpus.cuts("train"), strict=True):
        samples, rate = soundfile.read(exported / row["path"], dtype="int16")
        for speaker, side, audio, own in (
            ("agent", 0, cut.load_target_audio()[0], 22_050),
            ("user", 1, cut.load_audio()[0], 16_000),
        ):
            energy = [np.square(samples[i * 1_920 : (i + 1) * 1_920, side] / 32_768).sum() / rate for i in range(99)]
            frame = own * 2 // 25
            expected = [np.square(audio[i * frame : (i + 1) * frame]).sum() / own for i in range(99)]
            assert np.corrcoef(energy, expected)[0, 1] > 0.999, (cut.id, speaker)
            assert sum(energy) == pytest.approx(sum(expected), rel=0.01)


def test_words_are_the_supervisions_including_the_one_that_is_cut_off(small_corpus: Corpus, exported: Path) -> None:
    cut_words = 0
    for row, cut in zip(rows(exported), small_corpus.cuts("train"), strict=True):
        found = json.loads((exported / row["path"]).with_suffix(".json").read_text("utf-8"))["alignments"]
        assert [word[1] for word in found] == sorted(word[1] for word in found)
        for supervision in cut.supervisions:
            label = {"agent": "SPEAKER_MAIN", "user": "SPEAKER_USER"}[supervision.speaker]
            own = [w for w in found if w[2] == label and supervision.start <= w[1][0] < supervision.end]
            heard = [[w.symbol, [w.start, w.end]] for w in supervision.alignment["word"]]
            assert [w[:2] for w in own[: len(heard)]] == heard
            for text, (start, end), _ in own[len(heard) :]:
                assert [text, start] == supervision.custom["cut_word"] and end == supervision.end
                cut_words += 1
    assert cut_words, "an interruption in the middle of a word must be among them"


def test_a_word_of_zero_length_is_dropped_and_counted(small_corpus: Corpus, tmp_path: Path) -> None:
    """Read as by moshi-finetune's loader, without output."""
    from dataclasses import replace

    from pipeline.export.run import Shard, Written

    dialogue = next(read_dialogues(small_corpus, "train", 0))
    first, *rest = dialogue.turns[0].words
    turn = replace(dialogue.turns[0], words=(replace(first, end=first.start), *rest))
    changed = replace(dialogue, turns=(turn, *dialogue.turns[1:]))
    assert len(alignments(changed)) == len(alignments(dialogue)) - 1
    written = Written()
    Moshi().write(iter([changed]), Shard("train", 0), Store(tmp_path), written)
    assert +written.lost == {"words cut off as they begin": 1}


def test_a_channel_at_its_own_rate_is_the_corpus_bit_for_bit(small_corpus: Corpus) -> None:
    for dialogue, cut in zip(read_dialogues(small_corpus, "train", 0), small_corpus.cuts("train"), strict=True):
        assert np.array_equal(dialogue.channel("user", 16_000), np.rint(cut.load_audio()[0] * 32_768))
        both, _ = soundfile.read(io.BytesIO(dialogue.stereo_wav("user", "agent", 22_050)), dtype="int16")
        assert np.array_equal(both[:, 1], np.rint(cut.load_target_audio()[0] * 32_768))
