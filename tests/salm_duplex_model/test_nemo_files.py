"""Names of NeMo models, and what is in their files."""

import tarfile

import pytest

from manifests.errors import RequestError
from salm_duplex_model.nemo_files import check_class, check_name, is_hub_name, load_nemo, nemo_config, nemo_file


def nemo(path, content: str):
    (path.parent / "model_config.yaml").write_text(content)
    with tarfile.open(path, "w") as archive:
        archive.add(path.parent / "model_config.yaml", "./model_config.yaml")
    return path


def test_a_file_states_its_class_and_another_class_is_rejected(tmp_path):
    path = nemo(tmp_path / "codec.nemo", "target: nemo.collections.tts.models.AudioCodecModel\nsample_rate: 22050\n")
    assert check_class(path, "AudioCodecModel")["sample_rate"] == 22_050
    with pytest.raises(RequestError, match="contains AudioCodecModel, not ASRModel"):
        check_class(path, "ASRModel")
    with pytest.raises(ValueError, match=r"not ASRModel; name another model$"):
        check_name(str(path), lambda found: check_class(found, "ASRModel"), "a test")
    check_name("owner/model", lambda found: check_class(found, "ASRModel"), "a test")  # can't be known without the hub


def test_a_file_that_was_replaced_is_read_again(tmp_path):
    assert nemo_config(nemo(tmp_path / "a.nemo", "target: one\n")) == {"target": "one"}
    assert nemo_config(nemo(tmp_path / "a.nemo", "target: other\nmore: 1\n"))["target"] == "other"


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_that_is_not_one_is_reported(tmp_path, content):
    path = tmp_path / "a.nemo"
    if content is None:
        with tarfile.open(path, "w"):
            pass
    else:
        path.write_bytes(content)
    with pytest.raises(RequestError, match=r"is not a \.nemo file, or is damaged"):
        nemo_config(path)


def test_a_missing_file_is_reported(tmp_path):
    path = tmp_path / "gone.nemo"
    with pytest.raises(RequestError, match="does not exist; check the path"):
        load_nemo("ASRModel", str(path))
    with pytest.raises(RequestError, match="does not exist; check the path"):
        nemo_config(nemo_file(str(path), "AudioCodecModel"))


def test_hub_names_have_an_owner():
    assert is_hub_name("nvidia/parakeet-ctc-0.6b")
    assert not any(map(is_hub_name, ("folder/model.nemo", "tts_en_fastpitch", "a/b/c")))
