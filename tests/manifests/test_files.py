import hashlib
import os

import pytest

from manifests.files import create_whole, is_unfinished, sha256_of, unfinished, write_whole


def test_a_file_is_written_atomically(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(OSError), unfinished(path) as part:
        part.write_bytes(b"half")
        assert is_unfinished(part.name) and not path.exists()
        raise OSError("no space left")
    assert list(tmp_path.iterdir()) == []
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two" and list(tmp_path.iterdir()) == [path]


def test_a_folder_is_written_atomically(tmp_path):
    with unfinished(tmp_path / "folder") as part:
        part.mkdir()
        (part / "file").touch()
    with pytest.raises(ValueError), unfinished(tmp_path / "other") as part:
        part.mkdir()
        (part / "file").touch()
        raise ValueError
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["folder", "folder/file"]


def test_a_file_is_created_once(tmp_path):
    assert create_whole(tmp_path / "file", b"one")
    assert not create_whole(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"one" and len(list(tmp_path.iterdir())) == 1


def test_a_changed_file_has_another_digest(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert sha256_of(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two")
    os.utime(path, (1, 1))
    assert sha256_of(path) == hashlib.sha256(b"two").hexdigest()
