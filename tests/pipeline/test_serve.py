"""A served model from the users' side: a page in a real browser, twenty clients at once, and clients that misbehave."""

import asyncio
import json
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import soundfile
import torch
from aiohttp import web
from browser_material import chromium_page, wait_until
from playwright.sync_api import Page, expect
from server_material import listening

from manifests.frames import SOURCE_FRAME, SOURCE_RATE, TARGET_FRAME
from pipeline.serve.engine import JITTER_FRAMES, QUEUE_FRAMES, Conversation, Engine
from pipeline.serve.server import NOTHING_HEARD, TURN_TOKENS, Bounds, Pace, Server, TurnText
from salm_duplex_model import checkpoint
from salm_duplex_model.codec import Codec
from salm_duplex_model.config import RunConfig
from salm_duplex_model.model import build_model
from salm_duplex_model.session import Session
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer

SMALL_MODEL = {
    "encoder": {"kind": "causal", "mels": 32, "channels": 32, "hop_blocks": 1, "width": 64, "frame_blocks": 1},
    "llm": {"hidden_size": 64, "layers": 2, "heads": 2, "intermediate_size": 128},
}
FRAME = b"\0\0" * SOURCE_FRAME
SEND_EVERY = 0.08


@pytest.fixture(scope="module")
def talkative(tmp_path_factory, rendered) -> Path:
    """A run with an untrained model that always speaks: its codes are always those of the loudest frame of real speech,
    and its text is sampled from BOS, EOS and a few words."""
    run = tmp_path_factory.mktemp("talkative")
    config = RunConfig.model_validate({"model": SMALL_MODEL})
    model, tokenizer = build_model(config.model, seed=3)
    speech = torch.from_numpy(rendered[0].agent[: 200 * TARGET_FRAME]).float() / 32_768
    loudest = int(speech.view(-1, TARGET_FRAME).square().sum(1).argmax())
    codes = Codec.bundled().encode(speech[None])[0, loudest].long()
    special = tokenizer.special
    likely = [special.bos, special.eos, *tokenizer.encode(" the river and the station")]
    with torch.no_grad():
        model.code_head.bias.view(4, -1)[torch.arange(4), codes] += 1_000
        # One part of the hidden state outweighs all others and is the same in every frame: a bias for the text head.
        model.encoder.project.bias[0] = 1_000
        model.llm.lm_head.weight.zero_()
        model.llm.lm_head.weight[likely, 0] = 1
    checkpoint.write_config(run, config)
    tokenizer.save(run / checkpoint.LLM)
    checkpoint.save(run, 1, model.state_dict(), {}, {}, keep=1)
    return run


@pytest.fixture(scope="module")
def recording(tmp_path_factory, rendered) -> Path:
    """A real user at 48 kHz, which a fake microphone repeats."""
    path = tmp_path_factory.mktemp("user") / "user.wav"
    speech = rendered[0].user[: 60 * SOURCE_FRAME]
    soundfile.write(path, np.repeat(speech, 3), 3 * SOURCE_RATE, subtype="PCM_16")
    return path


@contextmanager
def serving(run: Path, *options: object) -> Iterator[str]:
    """`salm-duplex serve` as a separate process; yields its URL. It must stop cleanly on request."""
    with listening(f"Serving {run}", "serve", run, "--port", 0, "--temperature", 1, *options) as url:
        yield url


@asynccontextmanager
async def served(run: Path, bounds: Bounds) -> AsyncIterator[str]:
    """The same in this process, so that limits can be changed."""
    model, tokenizer = checkpoint.load_run(run)
    engine = Engine(Session(model, Codec.bundled(), batch=0))
    runner = web.AppRunner(Server(engine, tokenizer, bounds).app())
    await runner.setup()
    clock = asyncio.create_task(engine.run())
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        assert not clock.done()
    finally:
        clock.cancel()
        with suppress(asyncio.CancelledError):
            await clock
        await runner.cleanup()


@dataclass
class Heard:
    """What a client received."""

    frames: list[int] = field(default_factory=list)
    user_frames: list[int] = field(default_factory=list)
    loudest: int = 0
    events: list[dict] = field(default_factory=list)

    def take(self, message: aiohttp.WSMessage) -> None:
        if message.type is aiohttp.WSMsgType.TEXT:
            self.events.append(json.loads(message.data))
            return
        assert message.type is aiohttp.WSMsgType.BINARY, message
        frame, user_frame = struct.unpack_from("<II", message.data)
        samples = np.frombuffer(message.data, dtype="<i2", offset=8)
        assert len(samples) == TARGET_FRAME
        self.frames.append(frame)
        self.user_frames.append(user_frame)
        self.loudest = max(self.loudest, int(np.abs(samples.astype(int)).max()))

    def texts(self) -> list[str]:
        return [event["text"] for event in self.events if event["type"] == "text"]


async def send(ws: aiohttp.ClientWebSocketResponse, frames: int = sys.maxsize) -> None:
    """Silence in real time."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for number in range(frames):
        await ws.send_bytes(FRAME)
        await asyncio.sleep(begun + (number + 1) * SEND_EVERY - loop.time())


async def converse(http: aiohttp.ClientSession, url: str, frames: int) -> Heard:
    """A well-behaved client: sends in real time, reads, and leaves after this many frames."""
    heard = Heard()
    async with http.ws_connect(f"{url}/talk") as ws, asyncio.timeout(60 + frames):
        sending = asyncio.create_task(send(ws))
        while len(heard.frames) < frames:
            heard.take(await ws.receive())
        sending.cancel()
    return heard


async def sent_away(ws: aiohttp.ClientWebSocketResponse) -> tuple[int, str]:
    """Read until the server closes; the code and its reason."""
    async with asyncio.timeout(60):
        while True:
            message = await ws.receive()
            if message.type is aiohttp.WSMsgType.CLOSE:
                return message.data, message.extra
            assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message


async def sessions(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(f"{url}/status") as answer:
        return (await answer.json())["sessions"]


async def until_sessions(http: aiohttp.ClientSession, url: str, wanted: int) -> None:
    async with asyncio.timeout(60):
        while await sessions(http, url) != wanted:
            await asyncio.sleep(0.1)


def test_twenty_callers_three_of_whom_misbehave(talkative):
    async def garbage(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
        async with http.ws_connect(f"{url}/talk") as ws:
            await send(ws, 10)
            await ws.send_bytes(b"garbage")
            return await sent_away(ws)

    async def deaf(url: str) -> None:
        """Sends and never reads, until it is disconnected."""

        def small(address) -> socket.socket:
            made = socket.socket(*address[:3])
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            return made

        connector = aiohttp.TCPConnector(socket_factory=small)
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.timeout(90):
            ws = await http.ws_connect(f"{url}/talk")
            with pytest.raises(ConnectionError):
                await send(ws)

    async def leaves(http: aiohttp.ClientSession, url: str) -> None:
        ws = await http.ws_connect(f"{url}/talk")
        await send(ws, 20)
        ws._response.connection.transport.abort()

    async def scene(url: str) -> list[Heard]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            good = [asyncio.create_task(converse(http, url, 125)) for _ in range(17)]
            bad = asyncio.gather(garbage(http, url), deaf(url), leaves(http, url))
            await until_sessions(http, url, 20)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(f"{url}/talk")
            assert refused.value.status == 503
            (code, reason), _, _ = await bad
            assert code == 1003
            assert reason == "A message must be one frame of 2560 bytes, not 7."
            heard = await asyncio.gather(*good)
            await until_sessions(http, url, 0)
            again = [converse(http, url, 5) for _ in range(20)]  # all rows are free again
            for late in await asyncio.gather(*again):
                assert late.frames[:5] == [0, 1, 2, 3, 4]
            return heard

    with serving(talkative, "--max-sessions", 20) as url:
        for heard in asyncio.run(scene(url)):
            assert heard.frames == [*range(len(heard.frames))]
            understood = [n for n in heard.user_frames if n != NOTHING_HEARD]
            assert understood == sorted(set(understood))
            assert len(understood) > 0.7 * len(heard.frames)
            assert heard.loudest > 1_000
            assert heard.events[0]["type"] == "hello"
            turns = [event["event"] for event in heard.events if event["type"] == "turn"]
            assert turns[:4] == ["start", "end", "start", "end"]
            assert any(heard.texts())
            stats = [event for event in heard.events if event["type"] == "stats"]
            assert len(stats) >= 8
            assert all(row["step_ms"] > 0 for row in stats)


def test_a_caller_is_disconnected_with_a_reason(talkative):
    async def scene() -> None:
        async with served(talkative, Bounds(max_sessions=2, idle_s=1)) as url, aiohttp.ClientSession() as http:

            async def after(*messages: bytes | str, **options) -> tuple[int, str]:
                async with http.ws_connect(f"{url}/talk", **options) as ws:
                    for message in messages:
                        await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
                    return await sent_away(ws)

            assert await after("hello") == (1003, "Send binary messages of one frame each, not text.")
            assert await after(FRAME[:-2]) == (1003, "A message must be one frame of 2560 bytes, not 2558.")
            assert await after(FRAME, FRAME + FRAME) == (1009, "A message must be one frame of 2560 bytes, not 5120.")
            assert (await after(bytes(1_000_000)))[0] == 1009
            assert await after() == (1008, "No audio was received for 1 s.")
            assert await after(FRAME, FRAME) == (1008, "No audio was received for 1 s.")
            code, reason = await after(*[FRAME] * 60)
            assert (code, reason) == (1008, "Frames arrive faster than real time; send one every 80 ms.")
            await until_sessions(http, url, 0)

    asyncio.run(scene())


def test_pages_of_other_sites_and_callers_over_the_number_are_rejected(talkative):
    async def scene() -> None:
        async with served(talkative, Bounds(max_sessions=1, idle_s=60)) as url, aiohttp.ClientSession() as http:

            async def refused(**options) -> tuple[int, str]:
                async with http.get(f"{url}/talk", **options) as answer:
                    return answer.status, await answer.text()

            status, sentence = await refused(headers={"Origin": "http://elsewhere.example"})
            assert (status, sentence.count("\n")) == (403, 1)
            assert "http://elsewhere.example" in sentence
            assert (await refused(headers={"Origin": "null"}))[0] == 403
            rebound = {"Origin": "http://elsewhere.example", "Host": "elsewhere.example"}
            assert await refused(headers=rebound) == (
                403,
                "This server is not reachable as elsewhere.example; use an IP address or localhost.\n",
            )
            async with http.ws_connect(f"{url}/talk", origin=url):
                assert await refused() == (503, "All 1 sessions are taken; try again later.\n")
            await until_sessions(http, url, 0)
            async with http.get(url) as answer:
                policy = answer.headers["Content-Security-Policy"]
                page = await answer.text()
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert re.search(r"script-src 'nonce-([\w-]+)'", policy)[1] in page
            assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)  # that is all

    asyncio.run(scene())


def test_active_callers_are_notified_that_the_server_stops(talkative):
    async def scene(url: str, process_stops: asyncio.Event) -> tuple[int, str]:
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/talk") as ws:
            await ws.send_bytes(FRAME)
            await ws.receive()
            process_stops.set()
            return await sent_away(ws)

    command = [sys.executable, "-m", "pipeline.cli", "serve", str(talkative), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = re.search(r"http://\S+", process.stdout.readline())[0]

        async def whole() -> tuple[int, str]:
            ready = asyncio.Event()
            talking = asyncio.create_task(scene(url, ready))
            await ready.wait()
            process.send_signal(signal.SIGTERM)
            return await talking

        assert asyncio.run(whole()) == (1001, "The server is stopping.")
        assert process.wait(60) == 0
    finally:
        process.kill()


def test_wrong_requests_are_rejected_with_one_sentence(talkative, tmp_path):
    def refused(*arguments: object) -> str:
        command = [sys.executable, "-m", "pipeline.cli", "serve", *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 2, result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
        return result.stderr

    assert "is not a training run" in refused(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Can't listen on 127.0.0.1 at port {port}" in refused(talkative, "--port", port)


@contextmanager
def browser_page(recording: Path, width: int = 1_200) -> Iterator[tuple[Page, list[str]]]:
    """A page in Chromium, whose microphone is a recording, and all errors on its console."""
    arguments = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}",
    )
    with chromium_page(width, arguments=arguments) as (page, complaints):
        yield page, complaints


def shows(page: Page, id: str, pattern: str) -> None:
    expect(page.locator(f"#{id}")).to_have_text(re.compile(pattern), timeout=180_000)


def level(page: Page, channel: str) -> float:
    return float(page.get_attribute(f"#{channel}", "data-level") or 0)


def wait_for_conversation(page: Page, frames: int) -> None:
    """Until this many frames have come back, both channels have been loud, text is shown and the latency is a
    number."""
    wait_until(page, lambda: level(page, "user") > 0.02)
    wait_until(page, lambda: level(page, "agent") > 0.02)
    wait_until(page, lambda: int(page.get_attribute("#state", "data-frames") or 0) > frames)
    shows(page, "transcript", r"\d\.\d s\s*\w+")
    for number in ("latency", "latency-max", "step", "late"):
        shows(page, number, r"^[0-9.]+$")
    assert 0 < int(page.text_content("#latency")) <= int(page.text_content("#latency-max"))
    assert page.is_hidden("#error")


@pytest.mark.parametrize("width", [1_200, 400])
def test_a_conversation_from_the_page_by_microphone(talkative, recording, width):
    with serving(talkative) as url, browser_page(recording, width) as (page, complaints):
        page.goto(url)
        page.click("#start")
        wait_for_conversation(page, 40)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.click("#start")
        shows(page, "state", "^not connected$")
        assert page.text_content("#start") == "Start"
        page.click("#start")  # and once more
        wait_for_conversation(page, 10)
        assert complaints == []


def test_a_conversation_from_the_page_by_recording(talkative, recording, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF, and nothing more")
    with serving(talkative) as url, browser_page(recording) as (page, complaints):
        page.goto(url)
        page.set_input_files("#file", broken)
        page.wait_for_selector("#error:visible")
        assert "broken.wav can't be played" in page.text_content("#error")
        page.set_input_files("#file", recording)
        wait_for_conversation(page, 80)  # the recording lasts 60: silence follows
        wait_until(page, lambda: level(page, "user") == 0)
        assert complaints == []


def test_the_page_shows_errors(talkative, recording):
    async def occupy(url: str, release: asyncio.Event) -> None:
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/talk"):
            await release.wait()

    with browser_page(recording) as (page, _):
        with serving(talkative, "--max-sessions", 1) as url:
            page.goto(url)
            page.click("#start")
            wait_for_conversation(page, 5)
            other = page.context.browser.new_page()
            other.goto(url)
            other.click("#start")
            other.wait_for_selector("#error:visible")
            assert "The server is full: all 1 sessions are taken" in other.text_content("#error")
            other.close()
        page.wait_for_selector("#error:visible")
        assert page.text_content("#error") == "The connection was closed: The server is stopping."
        page.click("#start")
        shows(page, "error", "^The server can't be reached")


def number_of(conversation: Conversation) -> int | None:
    return conversation.next()[1]


def test_early_frames_wait_and_missing_ones_are_silence():
    talk = Conversation(lambda spoken: None)
    frame = np.ones(SOURCE_FRAME, dtype=np.int16)
    talk.hear(frame)
    talk.hear(2 * frame)
    assert [number_of(talk), number_of(talk), number_of(talk)] == [0, 1, None]
    assert talk.late == 1
    number, heard, samples = talk.next()
    assert (number, heard, samples.any()) == (3, None, False)


def test_after_a_stall_the_delay_is_made_up_for():
    talk = Conversation(lambda spoken: None)
    for _ in range(10):
        talk.next()
    for _ in range(11):  # everything under way arrives at once
        talk.hear(np.zeros(SOURCE_FRAME, dtype=np.int16))
    assert [number_of(talk) for _ in range(JITTER_FRAMES + 1)] == [8, 9, 10, None]
    for _ in range(2 * QUEUE_FRAMES):  # queues are bounded in any case
        talk.hear(np.zeros(SOURCE_FRAME, dtype=np.int16))
    assert len(talk._waiting) <= QUEUE_FRAMES


def test_pace_is_that_of_real_time_with_two_seconds_to_spare():
    steady = Pace(0.0)
    assert all(steady.allows(0.0795 * n) for n in range(10_000))  # a clock that is 0.6 % fast
    assert sum(Pace(0.0).allows(0.0) for _ in range(1)) == 1
    burst = Pace(0.0)
    assert [burst.allows(0.0) for _ in range(QUEUE_FRAMES + 1)] == [True] * QUEUE_FRAMES + [False]
    fast = Pace(0.0)
    assert not all(fast.allows(0.04 * n) for n in range(200))


def test_text_channel_as_events():
    tokenizer = TextTokenizer.load(BUNDLED)
    special = tokenizer.special
    words = tokenizer.encode("Hello there — yes")
    text = TurnText(tokenizer)
    assert text.events(0, words[0]) == []  # nothing is said before BOS
    events = [
        event
        for n, token in enumerate([special.bos, *words, special.pad, special.eos])
        for event in text.events(n, token)
    ]
    assert events[0] == {"type": "turn", "event": "start", "frame": 0}
    assert events[-1] == {"type": "turn", "event": "end", "frame": len(words) + 2}
    grown = [event["text"] for event in events[1:-1]]
    assert grown[-1] == "Hello there — yes"
    assert all(later.startswith(earlier) for earlier, later in pairwise(grown))
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(grown)
    begun = text.events(0, special.bos)
    endless = [event for n in range(2 * TURN_TOKENS) for event in text.events(n, words[0])]
    assert [e["event"] for e in begun + endless if e["type"] == "turn"] == ["start", "end", "start"]
