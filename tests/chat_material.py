"""The tests' chat server, as a separate process."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

SERVER = Path(__file__).parent / "chat_server.py"


@contextmanager
def chat_server(folder: Path, *arguments: str) -> Iterator[str]:
    """The endpoint's base URL; the server runs until the end."""
    ready = folder / f"port{len(list(folder.iterdir()))}"
    process = subprocess.Popen([sys.executable, str(SERVER), str(ready), *arguments])
    try:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.02)
        yield f"http://127.0.0.1:{ready.read_text()}/v1"
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> int:
    return urllib3.request("GET", url).json()["answers"]


def log(url: str, word: str = "") -> list[dict]:
    """The requests so far that contain this word."""
    return [entry for entry in urllib3.request("GET", url).json()["log"] if word in entry["text"]]
