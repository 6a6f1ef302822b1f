"""A page in headless Chromium."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect, sync_playwright

expect.set_options(timeout=180_000)  # everything takes long on a busy machine


@contextmanager
def chromium_page(
    width: int = 1_200, dark: bool = False, arguments: tuple[str, ...] = ()
) -> Iterator[tuple[Page, list[str]]]:
    """A page, and all errors on its console."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    assert chromium, "the pages' tests need Chromium: install it, and see that it is on the PATH as `chromium`"
    flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", *arguments]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
        page.set_default_timeout(180_000)
        complaints: list[str] = []
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page, complaints
        browser.close()


def wait_until(page: Page, what: Callable[[], bool], seconds: float = 180) -> None:
    """Playwright's own `wait_for_function` needs `eval`, which the pages' policies forbid."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"waited in vain; the page shows: {page.inner_text('body')}"
        page.wait_for_timeout(50)


def focused(page: Page) -> str:
    """The element with the keyboard's focus: a control's name, or what a screen reader says."""
    return str(
        page.evaluate("(e => e.name || e.getAttribute('aria-label') || e.textContent.trim())(document.activeElement)")
    )


def press_until(page: Page, key: str, wanted: str) -> None:
    """Press a key until the focused element's description begins with `wanted`."""
    for _ in range(60):
        page.keyboard.press(key)
        if focused(page).startswith(wanted):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"'{wanted}' does not show its focus"
            return
    raise AssertionError(f"'{wanted}' never had the focus")
