"""Batches of one corpus's cuts."""

import json
import shutil

import pytest
from material import SMALL_RUN

from manifests.corpus import open_corpus
from manifests.errors import RequestError, WorkError
from salm_duplex_model.batch import frames_of
from salm_duplex_model.config import RunConfig
from salm_duplex_model.stream import CorpusStream, codec_of, first_batches, open_for_training
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer

DATA = RunConfig.model_validate(SMALL_RUN).data


def changed(talk, path, **facts):
    shutil.copytree(talk.url, path)
    info = json.loads((path / "corpus.json").read_text())
    (path / "corpus.json").write_text(json.dumps(info | facts))
    return open_corpus(path)


def test_a_batch_has_no_more_seconds_than_requested_and_another_seed_gives_another_order(talk):
    def drawn(seed: int) -> list[list[str]]:
        stream = CorpusStream(talk, DATA, seed)
        batches = [stream.next() for _ in range(8)]
        for cuts in batches:
            longest = max(map(frames_of, cuts)) * 0.08
            assert len(cuts) == 1 or longest * len(cuts) <= DATA.batch_seconds
        return [[cut.id for cut in cuts] for cuts in batches]

    assert drawn(0) == drawn(0) != drawn(1)


def test_a_corpus_with_fewer_dialogues_than_it_says_is_not_read_to_a_silent_end(talk, tmp_path):
    statistics = talk.info["statistics"]
    more = statistics | {"dialogues": statistics["dialogues"] | {"train": statistics["dialogues"]["train"] + 1}}
    stream = CorpusStream(changed(talk, tmp_path / "more", statistics=more), DATA, 0)
    with pytest.raises(WorkError, match="dialogues instead of"):
        for _ in range(20):
            stream.next()


def test_a_corpus_without_a_training_split_is_rejected(talk, tmp_path):
    statistics = talk.info["statistics"]
    changed(talk, tmp_path / "none", statistics=statistics | {"dialogues": statistics["dialogues"] | {"train": 0}})
    with pytest.raises(RequestError, match="no dialogue in its training split"):
        open_for_training(tmp_path / "none")


def test_two_codecs_are_not_mixed(talk, tmp_path):
    one, other = (
        changed(talk, tmp_path / name, made_by={"tokenize": [{"codec": f"nvidia/{name}", "codec_sha256": name}]})
        for name in ("one", "other")
    )
    assert codec_of([talk]) == "bundled" and codec_of([one, one]) == "nvidia/one"
    with pytest.raises(RequestError, match="from the codec nvidia/other, those of"):
        codec_of([one, other])


def test_the_first_seconds_of_a_split_are_its_first_dialogues(talk):
    tokenizer = TextTokenizer.load(BUNDLED)
    ids = [cut.id for cut in talk.cuts("train")]
    first = first_batches([talk], "train", DATA, tokenizer, 1)
    assert [id for batch in first for id in batch.ids] == ids[:1]
    everything = first_batches([talk], "train", DATA, tokenizer, 1e9)
    assert sorted(id for batch in everything for id in batch.ids) == sorted(ids)
