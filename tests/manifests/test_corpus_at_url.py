"""A corpus at a URL equals the corpus in a folder, cut for cut and byte for byte."""

from pathlib import Path

import numpy as np
import pytest
from lhotse import CutSet
from s3_material import FaultyProxy, copy_into

from manifests.corpus import Corpus, open_corpus
from manifests.errors import RequestError, WorkError
from manifests.store import Store


@pytest.fixture
def url(s3: str, small_corpus: Corpus) -> str:
    copy_into(Store(f"{s3}/corpus"), Path(small_corpus.url))
    return f"{s3}/corpus"


def same(cuts: CutSet, others: CutSet) -> None:
    for cut, other in zip(cuts, others, strict=True):
        one, two = cut.to_dict(), other.to_dict()
        assert one["custom"].pop("shard_origin") != two["custom"].pop("shard_origin")
        assert one == two
        assert cut.recording.sources[0].source == other.recording.sources[0].source  # the bytes in the tar file
        assert np.array_equal(cut.load_audio(), other.load_audio())
        assert np.array_equal(cut.load_target_audio(), other.load_target_audio())
        assert np.array_equal(cut.load_custom("target_codes"), other.load_custom("target_codes"))


def test_its_cuts_and_tables_are_those_of_the_folder(small_corpus: Corpus, url: str) -> None:
    corpus = open_corpus(url)
    assert (
        corpus.info == open_corpus(small_corpus.url).info
        and corpus.splits == small_corpus.splits
        and corpus.name == "corpus"
    )
    same(small_corpus.cuts("train"), corpus.cuts("train"))
    assert corpus.dialogues.read().equals(small_corpus.dialogues.read())
    assert corpus.rejected.read().equals(small_corpus.rejected.read())
    id = next(iter(small_corpus.cuts("train"))).id
    assert corpus.cut(id).id == id


def test_plain_lhotse_reads_it(small_corpus: Corpus, url: str) -> None:
    fields = ("cuts.000000.jsonl.gz", "recording.000000.tar", "target_audio.000000.tar", "target_codes.000000.tar")
    plain = CutSet.from_shar(fields={name.split(".")[0]: [f"{url}/train/{name}"] for name in fields})
    same(small_corpus.cuts("train"), plain)


def test_a_server_that_fails_and_disconnects_changes_no_cut(
    small_corpus: Corpus, url: str, faulty: FaultyProxy, faulty_s3: str
) -> None:
    faulty.share = 0.3
    corpus = open_corpus(url)
    for _ in range(3):
        same(small_corpus.cuts("train"), corpus.cuts("train"))
    assert faulty.failed


def test_reading_from_a_server_that_goes_down_ends_with_one_sentence(
    url: str, faulty: FaultyProxy, faulty_s3: str
) -> None:
    cuts = Corpus(Store(url, patience_s=1), *([None] * 3)).cuts("train")  # type: ignore[arg-type]
    faulty.stop()
    with pytest.raises(WorkError, match=r"can't be reached: .*; check the address and the network\.$"):
        list(cuts)


def test_a_url_that_is_not_a_corpus_is_rejected_by_name(s3: str) -> None:
    with pytest.raises(RequestError, match=f"^{s3}/none is not a corpus: there is no corpus.json"):
        open_corpus(f"{s3}/none")
    Store(f"{s3}/begun").write(".build/plan/a", b"")
    with pytest.raises(RequestError, match="its build is not finished"):
        open_corpus(f"{s3}/begun")
    with pytest.raises(RequestError, match="the bucket does not exist"):
        open_corpus("s3://there-is-no-such-bucket/corpus")
