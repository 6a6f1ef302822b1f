"""Stores: a local folder and a bucket on a real S3 server behave the same; errors of a bad server are retried or named."""

import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from s3_material import FaultyProxy, use_s3

from manifests.errors import RequestError, WorkError
from manifests.store import Store
from manifests.store_errors import explain


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "corpus" if request.param == "local" else request.getfixturevalue("s3") + "/corpus")


def test_files_are_written_read_listed_and_removed(store: Store) -> None:
    store.check()
    assert not store.exists() and store.names() == [] and store.names("train") == []
    store.write("train/b", b"two")
    store.write("train/a", b"one")
    store.write("train/a", b"three")
    assert store.names() == ["train"] and store.names("train") == ["a", "b"]
    assert store.read("train/a") == b"three"
    assert list(store.read_many(["train/b", "train/a"])) == [b"two", b"three"]
    assert store.exists() and store.exists("train") and store.exists("train/a") and not store.exists("train/c")
    store.remove("train/b")
    assert store.names("train") == ["a"]
    store.remove("train")
    store.remove("train")
    assert not store.exists("train") and store.names() == []


def test_a_prefix_of_more_files_than_one_request_names_is_listed_and_removed(s3: str) -> None:
    store = Store(s3)
    names = [f"{number:04d}" for number in range(1050)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.write(f"many/{name}", name.encode()), names))
    store.write("many-others/a", b"")
    assert store.names("many") == names
    store.remove("many")
    assert store.names() == ["many-others"]


def test_files_of_another_process_are_seen_at_once(store: Store) -> None:
    assert store.names() == [] and not store.exists("late")
    Store(store.url).write("late", b"1")
    assert store.names() == ["late"] and store.exists("late") and store.read("late") == b"1"
    Store(store.url).remove("late")
    assert store.names() == [] and not store.exists("late")


def test_a_missing_file_is_not_a_failure_of_the_store(store: Store) -> None:
    store.write("a", b"")
    with pytest.raises(FileNotFoundError):
        store.read("b")
    with pytest.raises(FileNotFoundError):
        store.open("b")


def test_a_file_is_read_in_blocks_from_any_position(store: Store) -> None:
    content = os.urandom(20_000_000)
    store.write("big", content)
    with store.open("big") as file:
        assert file.read(10) == content[:10]
        file.seek(-10, os.SEEK_END)
        assert file.read(100) == content[-10:]
        file.seek(9_000_000)
        assert file.read() == content[9_000_000:]


def test_a_local_file_of_several_parts_arrives_whole(store: Store, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 120
    (tmp_path / "big").write_bytes(content)
    store.put(tmp_path / "big", "train/big")
    assert store.read("train/big") == content and not (tmp_path / "big").exists()


def _read_in_child(store: Store, queue: multiprocessing.Queue) -> None:
    queue.put(store.read("a"))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_store_is_used_in_another_process(store: Store, start: str) -> None:
    store.write("a", b"one")
    context = multiprocessing.get_context(start)
    queue = context.Queue()
    child = context.Process(target=_read_in_child, args=(store, queue))
    child.start()
    assert queue.get(timeout=120) == b"one"
    child.join()
    assert pickle.loads(pickle.dumps(store)).read("a") == b"one"


def test_a_relative_path_is_the_same_folder_in_a_process_with_another_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(Store("corpus"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    pickle.loads(pickled).write("a", b"1")
    assert (tmp_path / "corpus" / "a").read_bytes() == b"1"


def test_one_failing_request_in_ten_goes_unnoticed(faulty: FaultyProxy, faulty_s3: str) -> None:
    faulty.share = 0.1
    store = Store(faulty_s3)
    content = [os.urandom(200_000 + number) for number in range(30)]
    for number, bytes_ in enumerate(content):
        store.write(f"a/{number:02d}", bytes_)
    assert store.names("a") == [f"{number:02d}" for number in range(30)]
    assert list(store.read_many([f"a/{number:02d}" for number in range(30)])) == content
    for number in range(30):
        with store.open(f"a/{number:02d}") as file:
            assert file.read() == content[number]
    assert set(faulty.failed) == set(faulty.failures)


def test_a_connection_that_breaks_in_the_middle_of_a_file_cuts_nothing_off(faulty: FaultyProxy, faulty_s3: str) -> None:
    store = Store(faulty_s3)
    content = os.urandom(30_000_000)
    store.write("big", content)
    faulty.share, faulty.failures = 0.5, ("cut",)
    with store.open("big") as file:
        assert file.read() == content
    assert store.read("big") == content
    assert "cut" in faulty.failed


def test_a_server_that_is_unavailable_for_twenty_seconds_is_waited_for(faulty: FaultyProxy, faulty_s3: str) -> None:
    store = Store(faulty_s3)
    store.write("a", b"before")
    faulty.down_for(20)
    store.write("b", b"meanwhile")
    assert store.read("a") == b"before" and store.names() == ["a", "b"]
    faulty.down_for(20)
    store.check()


def test_slow_answers_are_waited_for(faulty: FaultyProxy, faulty_s3: str) -> None:
    faulty.delay_s = 4
    store = Store(faulty_s3)
    store.write("a", b"1")
    assert store.names() == ["a"] and store.read("a") == b"1"


def test_a_store_that_stays_unavailable_is_named_with_the_fix(faulty: FaultyProxy, faulty_s3: str) -> None:
    faulty.stop()
    with pytest.raises(WorkError) as caught:
        Store(faulty_s3 + "/corpus", patience_s=1).read("a")
    assert str(caught.value).startswith(f"{faulty_s3}/corpus can't be reached: Could not connect to the endpoint URL")
    assert str(caught.value).endswith("; check the address and the network.")


def test_a_host_that_does_not_exist_is_reported_as_unreachable(
    moto: str, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_s3(moto, "http://no-such-host.invalid", monkeypatch)
    with pytest.raises(RequestError, match=r"can't be reached: .*no-such-host.*; check the address and the network\.$"):
        Store(s3).check()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/corpus", "http://no-such-host.invalid/corpus"])
def test_a_web_server_that_is_unavailable_is_not_taken_for_a_missing_file(url: str) -> None:
    with pytest.raises(WorkError, match=r"can't be reached: .*; check the address and the network\.$"):
        Store(url, patience_s=1).read("corpus.json")
    with pytest.raises(WorkError, match="can't be reached"):
        Store(url, patience_s=1).exists("corpus.json")


def test_a_missing_bucket_is_reported_as_such(s3: str) -> None:
    store = Store("s3://there-is-no-such-bucket/corpus")
    for use in (store.check, store.names, lambda: store.write("a", b""), lambda: store.read("a")):
        with pytest.raises(
            (RequestError, WorkError), match=r"the bucket does not exist; create it or check its name\.$"
        ):
            use()


def test_missing_credentials_are_reported_as_such(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(RequestError, match=r"Unable to locate credentials; check the credentials and permissions\.$"):
        Store(s3).check()


def test_a_protocol_that_is_unknown_or_not_installed_is_rejected() -> None:
    with pytest.raises(RequestError, match="foo"):
        Store("foo://bucket/corpus")
    with pytest.raises(RequestError, match="needs a package that is not installed"):
        Store("gs://bucket/corpus")
    try:
        raise ImportError("Install s3fs to access S3")
    except ImportError as error:
        assert explain("s3://b", error) == "s3://b needs a package that is not installed; run pip install '.[s3]'."
