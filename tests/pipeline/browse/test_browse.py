"""`salm-duplex browse` from the user's side: a real server, a real browser, and wrong requests."""

import io
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from browser_material import chromium_page, press_until
from corpus_material import HOSTILE, rows_of
from playwright.sync_api import Page, expect
from server_material import listening

from manifests.corpus import Corpus
from manifests.shards import shard_file


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, small_corpus: Corpus) -> Path:
    """A copy of the corpus, with a foreign report."""
    copied = tmp_path_factory.mktemp("browse") / "CORPUS"
    shutil.copytree(small_corpus.url, copied)
    (copied / "report.html").write_text(f"<p>hello {HOSTILE}")
    return copied


@pytest.fixture(scope="module")
def url(place: Path) -> Iterator[str]:
    with listening(f"Browse {place}", "browse", place, "--port", 0) as url:
        yield url


def get(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def ids(page: Page) -> list[str]:
    return page.locator("table.dialogues tbody .id").all_inner_texts()


@pytest.mark.parametrize(("width", "dark"), [(1_200, False), (400, True)])
def test_a_dialogue_is_found_and_played_by_keyboard_alone(
    url: str, small_corpus: Corpus, width: int, dark: bool
) -> None:
    lively = [row["id"] for row in rows_of(small_corpus.dialogues) if row["barge_ins"]]
    with chromium_page(width, dark) as (page, complaints):
        page.goto(url)
        assert len(ids(page)) == 10
        press_until(page, "Tab", "event")
        page.keyboard.type("barge-in")
        expect(page.locator(".place").first).to_have_text(f"1 to {len(lively)} of {len(lively)} dialogues")
        assert ids(page) == lively and "event=barge_ins" in page.url
        press_until(page, "Tab", lively[0])
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text(lively[0])
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.keyboard.press("Space")
        expect(page.locator(".readout")).not_to_contain_text("0.00 s")
        expect(page.locator(".readout")).to_contain_text("codes 0 0 0 0")
        page.keyboard.press("Space")
        assert page.evaluate("document.querySelector('audio').paused")
        press_until(page, "Shift+Tab", "Next")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text(lively[1])
        press_until(page, "Tab", "All dialogues")
        page.keyboard.press("Enter")
        expect(page.locator("table.dialogues tbody .id")).to_have_text(lively)
        assert complaints == []


def test_the_audio_has_both_channels_and_supports_ranges(url: str, small_corpus: Corpus) -> None:
    row = rows_of(small_corpus.dialogues)[2]
    _, headers, whole = get(f"{url}/audio?id={row['id']}&shard=train/0")
    samples, rate = soundfile.read(io.BytesIO(whole))
    assert samples.shape[1] == 2 and abs(len(samples) / rate - row["duration_s"]) < 0.2
    assert headers["Accept-Ranges"] == "bytes"
    status, headers, part = get(f"{url}/audio?id={row['id']}", Range="bytes=100-199")
    assert (status, part, headers["Content-Range"]) == (206, whole[100:200], f"bytes 100-199/{len(whole)}")
    assert get(f"{url}/audio?id={row['id']}", Range="bytes=-7")[2] == whole[-7:]
    assert get(f"{url}/audio?id={row['id']}", Range=f"bytes={len(whole)}-")[0] == 416
    assert get(f"{url}/audio?id={row['id']}", Range="bytes=7-3")[0] == 416
    samples, rate = soundfile.read(io.BytesIO(get(f"{url}/wav?id={row['id']}")[2]))
    assert (rate, len(samples)) == (22_050, round(row["duration_s"] * 22_050))


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        ("?event=dancing", 400, "'event' must be one of barge_ins"),
        ("?bound=much", 400, "'bound' must be a number, not 'much'"),
        ("?bound=nan", 400, "'bound' must be a number, not 'nan'"),
        ("?first=-1", 400, "'first' must be a whole number"),
        ("dialogue?id=nobody", 404, "has no dialogue 'nobody'"),
        ("dialogue?id=d0&shard=train/7", 500, "cuts.000007.jsonl.gz is missing"),
        ("dialogue?id=d0&shard=../../etc/0", 200, "d0"),
    ],
)
def test_a_wrong_request_is_answered_in_a_sentence(url: str, request_: str, status: int, sentence: str) -> None:
    found, _, text = get(f"{url}/{request_}")
    assert found == status and sentence in text.decode()


def test_foreign_host_names_are_rejected_and_the_page_loads_only_from_this_server(url: str) -> None:
    assert get(url, Host="elsewhere.example")[0] == 403
    _, headers, page = get(f"{url}/?text={HOSTILE.replace(' ', '%20')}")
    assert HOSTILE not in page.decode()
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert get(f"{url}/report")[1]["Content-Security-Policy"] == "sandbox allow-scripts"


def test_a_damaged_shard_is_named(url: str, place: Path, small_corpus: Corpus) -> None:
    name = shard_file("target_codes", 0)
    content = (place / "train" / name).read_bytes()
    last = rows_of(small_corpus.dialogues)[-1]["id"]
    (place / "train" / name).write_bytes(content[: len(content) // 2])
    try:
        status, _, text = get(f"{url}/dialogue?id={last}&shard=train/0")
    finally:
        (place / "train" / name).write_bytes(content)
    assert status == 500 and f"{name} is damaged" in text.decode()
