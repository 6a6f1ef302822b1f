"""NeMo's own loader reads the corpus with the exported configuration, from a folder and from a URL."""

from pathlib import Path

import numpy as np
import pytest
from nemo_material import make_llm
from omegaconf import OmegaConf
from s3_material import copy_into

from manifests.corpus import Corpus, open_corpus
from manifests.errors import RequestError
from manifests.store import Store
from pipeline.export.nemo import CONFIG, export_nemo


@pytest.fixture(scope="module")
def llm(tmp_path_factory) -> Path:
    return make_llm(tmp_path_factory.mktemp("llm"))


def batch_of(config: OmegaConf, llm: Path) -> dict:
    """The first batch that NeMo's training script would take, with the loader in this process."""
    from nemo.collections.common.tokenizers import AutoTokenizer
    from nemo.collections.speechlm2 import DataModule, DuplexS2SDataset

    small = {"batch_duration": 50, "shuffle_buffer_size": 10, "bucket_buffer_size": 10}
    config.data.train_ds.update(small | {"num_workers": 0, "concurrent_bucketing": False})
    OmegaConf.resolve(config)
    data, tokenizer = config.data, AutoTokenizer(str(llm), use_fast=True)
    dataset = DuplexS2SDataset(
        tokenizer,
        data.frame_length,
        data.source_sample_rate,
        data.target_sample_rate,
        data.input_roles,
        data.output_roles,
    )
    return next(iter(DataModule(data, tokenizer=tokenizer, dataset=dataset).train_dataloader()))


def assert_is_the_corpus(batch: dict, corpus: Corpus) -> None:
    cuts = list(corpus.cuts("train"))
    assert len(batch["source_audio"]) >= 2
    for row, length in enumerate(batch["source_audio_lens"].tolist()):
        user = batch["source_audio"][row, :length].numpy()
        (cut,) = (cut for cut in cuts if np.array_equal(cut.load_audio()[0], user))
        target = batch["target_audio"][row, : batch["target_audio_lens"][row]].numpy()
        assert np.array_equal(target, cut.load_target_audio()[0])
        assert batch["target_texts"][row] == " ".join(s.text for s in cut.supervisions if s.speaker == "agent")


def test_nemos_loader_returns_the_corpus_sample_for_sample(small_corpus: Corpus, llm: Path, tmp_path: Path) -> None:
    result = export_nemo(small_corpus, Store(tmp_path / "out"))
    assert result["dialogues"] == 10 and result["lost"] == {}
    config = OmegaConf.load(tmp_path / "out" / CONFIG)
    assert len(config.data.train_ds.bucket_duration_bins) >= 5
    assert "validation_ds" not in config.data and config.trainer.limit_val_batches == 0
    assert config.exp_manager.name == small_corpus.name
    assert_is_the_corpus(batch_of(config, llm), small_corpus)


def test_a_corpus_at_a_url_is_read_in_place(small_corpus: Corpus, llm: Path, s3: str) -> None:
    copy_into(Store(f"{s3}/corpus"), Path(small_corpus.url))
    out = Store(f"{s3}/out")
    assert any("smart_open" in sentence for sentence in export_nemo(open_corpus(f"{s3}/corpus"), out)["use"])
    config = OmegaConf.create(out.read(CONFIG).decode())
    assert set(config.data.train_ds.input_cfg[0].shar_path) == {"cuts", "recording", "target_audio"}
    assert_is_the_corpus(batch_of(config, llm), small_corpus)


def test_it_overwrites_only_its_own_output(small_corpus: Corpus, empty_corpus: Corpus, tmp_path: Path) -> None:
    export_nemo(small_corpus, Store(tmp_path / "out"))
    first = (tmp_path / "out" / CONFIG).read_bytes()
    export_nemo(small_corpus, Store(tmp_path / "out"))
    assert (tmp_path / "out" / CONFIG).read_bytes() == first
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["export.json", CONFIG]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    with pytest.raises(RequestError, match="is not an export"):
        export_nemo(small_corpus, Store(tmp_path / "mine"))
    with pytest.raises(RequestError, match="no dialogue in its training split"):
        export_nemo(empty_corpus, Store(tmp_path / "empty"))
