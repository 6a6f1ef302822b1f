"""The report in a browser: filters, playback and the keyboard, on a desktop and on a phone."""

from pathlib import Path

import pytest
from browser_material import chromium_page, press_until, wait_until
from corpus_material import rows_of
from playwright.sync_api import Page, expect

from manifests.corpus import Corpus
from pipeline.report.page import report


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, small_corpus: Corpus) -> str:
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report(small_corpus), "utf-8")
    return path.as_uri()


def ids(page: Page) -> list[str]:
    return page.locator("table.dialogues tbody tr:visible .id").all_inner_texts()


def test_dialogues_are_filtered_by_event_voice_and_check(url: str, small_corpus: Corpus) -> None:
    rows = rows_of(small_corpus.dialogues)
    with chromium_page() as (page, complaints):
        page.goto(url)
        assert ids(page) == [row["id"] for row in rows]
        page.select_option("[name=event]", "barge_ins")
        lively = [row["id"] for row in rows if row["barge_ins"]]
        assert ids(page) == lively and 0 < len(lively) < len(rows)
        heard = page.locator(".dialogue:visible h3").all_inner_texts()
        assert heard and set(heard) <= set(lively)
        page.click("button[type=reset]")
        expect(page.locator(".pager output")).to_have_text("1 to 10 of 10 dialogues")
        voice = rows[3]["user_voice"]
        page.select_option("[name=voice]", voice)
        assert ids(page) == [row["id"] for row in rows if row["user_voice"] == voice]
        page.click("button[type=reset]")
        page.fill("[name=text]", rows[4]["id"].upper())
        expect(page.locator(".pager output")).to_have_text("1 to 1 of 1 dialogues")
        page.fill("[name=text]", "nothing like it")
        expect(page.locator(".pager output")).to_have_text("No dialogue matches.")
        assert page.is_visible(".unheard")
        assert complaints == []


@pytest.mark.parametrize(("width", "dark"), [(1_200, True), (400, False)])
def test_a_dialogue_is_played_by_keyboard_alone(url: str, width: int, dark: bool) -> None:
    with chromium_page(width, dark) as (page, complaints):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(251, 250, 248)"
        assert light != dark
        press_until(page, "Tab", "text")
        press_until(page, "Tab", "event")
        page.keyboard.press("Space")
        page.keyboard.press("Escape")
        page.evaluate("document.querySelector('.dialogue').scrollIntoView()")
        press_until(page, "Tab", "Timeline")
        page.keyboard.press("ArrowRight")
        dialogue = page.locator(".dialogue").first
        expect(dialogue.locator(".readout")).to_have_text("1.00 s · frame 12 · codes 0 0 0 0")
        page.keyboard.press("Space")
        wait_until(page, lambda: page.evaluate("document.querySelector('.dialogue audio').currentTime > 1.2"))
        page.keyboard.press("Space")
        assert page.evaluate("document.querySelector('.dialogue audio').paused")
        assert complaints == []
