"""The page, and the WebSocket behind it.

`/talk` is a WebSocket. The client sends binary messages of one frame each: 1 280 samples of the user, 16 kHz mono, int16
little-endian. For every frame of 80 ms the server sends a binary message: two uint32 little-endian, the number of the frame
and the number of the client's frame that it heard (0xFFFFFFFF: none had arrived, so silence), then 1 764 samples of the agent,
22.05 kHz mono, int16 little-endian. The conversation begins with the client's first frame. Everything else is sent as JSON text:

    {"type": "hello", "user_rate": 16000, "user_frame": 1280, "agent_rate": 22050, "agent_frame": 1764}
    {"type": "turn", "event": "start" | "end", "frame": n}         the agent starts or ends a turn
    {"type": "text", "frame": n, "text": "…"}                      the text of this turn so far
    {"type": "stats", "frame": n, "step_ms": 12.3, "late": 0}      once a second; `late`: frames without user audio

Close codes: 1001 the server stops; 1003 and 1009 the message is not a frame; 1008 frames arrive faster than real
time, or none has arrived for 30 s. A client that does not read is disconnected. `/status` returns the number of
sessions as JSON."""

import asyncio
import json
import secrets
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
import numpy as np
import torch
from aiohttp import WSCloseCode, WSMsgType, web

from manifests.frames import FRAME_SECONDS, SOURCE_FRAME, SOURCE_RATE, TARGET_FRAME, TARGET_RATE
from pipeline.serve.engine import QUEUE_FRAMES, Conversation, Engine, Spoken
from pipeline.web import foreign_name, is_loopback, listening, page_headers, stop_signal
from salm_duplex_model.checkpoint import load_run, read_config
from salm_duplex_model.codec.nemo import load_codec
from salm_duplex_model.session import Decoding, Session
from salm_duplex_model.tokenizer import TextTokenizer

IDLE_SECONDS = 30.0
OUTGOING_MESSAGES = 32
"""A client may lag in reading by about 2 s."""
SEND_BUFFER = 32_768
"""Kernel buffer size for a connection: with the usual megabytes, a stalled client would go unnoticed for a long time."""
LARGEST_MESSAGE = 65_536
GOODBYE_SECONDS = 8.0
"""Seconds for a client to read why it is closed; then the connection is cut."""
TURN_TOKENS = 512
"""A turn's text is sent again as it grows; after this many tokens it continues as a new turn."""
PACE_TOLERANCE = 1.02
"""Tolerance for a sound card whose clock differs from ours."""
NOTHING_HEARD = 0xFFFFFFFF
_FRAME_BYTES = 2 * SOURCE_FRAME
_STATS_EVERY = round(1 / FRAME_SECONDS)


@dataclass(frozen=True, slots=True)
class Bounds:
    max_sessions: int = 20
    idle_s: float = IDLE_SECONDS


class Pace:
    """Detects frames that arrive faster than real time: a token bucket of 2 s that each frame drains and time refills."""

    def __init__(self, now: float) -> None:
        self._credit, self._last = float(QUEUE_FRAMES), now

    def allows(self, now: float) -> bool:
        """Call once for each frame received."""
        gained = PACE_TOLERANCE * (now - self._last) / FRAME_SECONDS
        self._credit, self._last = min(QUEUE_FRAMES, self._credit + gained) - 1, now
        return self._credit >= 0


@dataclass(slots=True)
class TurnText:
    """The agent's text channel as events."""

    tokenizer: TextTokenizer
    _turn: list[int] | None = None
    _sent: str = ""

    def events(self, frame: int, token: int) -> list[dict[str, Any]]:
        """The messages to a client for a frame's token."""
        special = self.tokenizer.special
        messages: list[dict[str, Any]] = []
        full = self._turn is not None and len(self._turn) >= TURN_TOKENS
        if self._turn is not None and (full or token in (special.bos, special.eos)):
            messages.append({"type": "turn", "event": "end", "frame": frame})
            self._turn = None
        if token == special.bos or full:
            messages.append({"type": "turn", "event": "start", "frame": frame})
            self._turn, self._sent = [], ""
        if self._turn is None or token in (special.bos, special.eos, special.pad):
            return messages
        self._turn.append(token)
        text = self.tokenizer.decode(self._turn).rstrip("\N{REPLACEMENT CHARACTER}")  # an incomplete character
        if text != self._sent:
            messages.append({"type": "text", "frame": frame, "text": text})
            self._sent = text
        return messages


class Client:
    """One connection; it never blocks the clock."""

    def __init__(
        self, ws: web.WebSocketResponse, request: web.Request, engine: Engine, tokenizer: TextTokenizer
    ) -> None:
        self._ws, self._request, self._engine = ws, request, engine
        self._outgoing: asyncio.Queue[bytes | str] = asyncio.Queue(OUTGOING_MESSAGES)
        self._conversation = Conversation(self._deliver)
        self._text = TurnText(tokenizer)
        self._step_ms: list[float] = []

    async def talk(self, idle_s: float) -> None:
        """Runs until the client leaves or is closed."""
        sender = asyncio.create_task(self._send())
        try:
            self._tell(
                type="hello",
                user_rate=SOURCE_RATE,
                user_frame=SOURCE_FRAME,
                agent_rate=TARGET_RATE,
                agent_frame=TARGET_FRAME,
            )
            code, reason = await self._listen(idle_s)
        finally:
            self._engine.remove(self._conversation)
            sender.cancel()
            with suppress(asyncio.CancelledError):
                await sender
        await self.close(code, reason)

    async def close(self, code: int, reason: str) -> None:
        """Send the reason, and wait briefly for the client to confirm."""
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._ws.close(code=code, message=reason.encode())
        except TimeoutError:
            self._abort()

    async def _listen(self, idle_s: float) -> tuple[int, str]:
        """Receive frames; returns the close code and the reason."""
        loop = asyncio.get_running_loop()
        pace: Pace | None = None
        while True:
            try:
                async with asyncio.timeout(idle_s):
                    message = await self._ws.receive()
            except TimeoutError:
                return WSCloseCode.POLICY_VIOLATION, f"No audio was received for {idle_s:g} s."
            if message.type is WSMsgType.TEXT:
                return WSCloseCode.UNSUPPORTED_DATA, "Send binary messages of one frame each, not text."
            if message.type is not WSMsgType.BINARY:
                return WSCloseCode.OK, ""
            if (size := len(message.data)) != _FRAME_BYTES:
                code = WSCloseCode.MESSAGE_TOO_BIG if size > _FRAME_BYTES else WSCloseCode.UNSUPPORTED_DATA
                return code, f"A message must be one frame of {_FRAME_BYTES} bytes, not {size}."
            if pace is None:
                pace = Pace(loop.time())
                self._engine.add(self._conversation)
            if not pace.allows(loop.time()):
                return WSCloseCode.POLICY_VIOLATION, "Frames arrive faster than real time; send one every 80 ms."
            self._conversation.hear(np.frombuffer(message.data, dtype="<i2"))

    def _deliver(self, spoken: Spoken) -> None:
        heard = NOTHING_HEARD if spoken.heard is None else spoken.heard
        self._put(struct.pack("<II", spoken.frame, heard) + spoken.audio.astype("<i2").tobytes())
        # A frame's audio is delivered with the text of the next one.
        for event in self._text.events(spoken.frame + 1, spoken.token):
            self._tell(**event)
        self._step_ms.append(spoken.step_ms)
        if len(self._step_ms) == _STATS_EVERY:
            mean = sum(self._step_ms) / _STATS_EVERY
            self._tell(type="stats", frame=spoken.frame, step_ms=round(mean, 2), late=self._conversation.late)
            self._step_ms.clear()

    def _tell(self, **event: Any) -> None:
        self._put(json.dumps(event, ensure_ascii=False))

    def _put(self, message: bytes | str) -> None:
        try:
            self._outgoing.put_nowait(message)
        except asyncio.QueueFull:
            self._engine.remove(self._conversation)
            self._abort()

    def _abort(self) -> None:
        if (transport := self._request.transport) is not None:
            transport.abort()

    async def _send(self) -> None:
        with suppress(ConnectionError):  # disconnected: `_listen` finds out too
            while True:
                message = await self._outgoing.get()
                await (self._ws.send_str(message) if isinstance(message, str) else self._ws.send_bytes(message))


@dataclass(slots=True)
class Server:
    """The routes."""

    engine: Engine
    tokenizer: TextTokenizer
    bounds: Bounds = Bounds()
    page: jinja2.Template = field(default_factory=lambda: _page())
    _clients: set[Client] = field(default_factory=set)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/", self.index)
        app.router.add_get("/status", self.status)
        app.router.add_get("/talk", self.talk)
        return app

    async def index(self, request: web.Request) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        text = self.page.render(
            nonce=nonce,
            user_rate=SOURCE_RATE,
            user_frame=SOURCE_FRAME,
            agent_rate=TARGET_RATE,
            agent_frame=TARGET_FRAME,
            nothing_heard=NOTHING_HEARD,
        )
        return web.Response(text=text, content_type="text/html", headers=page_headers(nonce))

    async def status(self, request: web.Request) -> web.Response:
        return web.json_response({"sessions": len(self._clients), "max_sessions": self.bounds.max_sessions})

    async def talk(self, request: web.Request) -> web.StreamResponse:
        if (refusal := foreign_name(request)) is not None:
            return refusal
        # A browser lets any site open a WebSocket to us, and names the site in the Origin header.
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return web.Response(status=403, text=f"Pages from {origin} may not connect to {request.host}.\n")
        if len(self._clients) >= self.bounds.max_sessions:
            sentence = f"All {self.bounds.max_sessions} sessions are taken; try again later.\n"
            return web.Response(status=503, text=sentence, headers={"Retry-After": "10"})
        ws = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE, compress=False, writer_limit=SEND_BUFFER)
        client = Client(ws, request, self.engine, self.tokenizer)
        self._clients.add(client)
        try:
            await ws.prepare(request)
            if (connection := request.get_extra_info("socket")) is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            await client.talk(self.bounds.idle_s)
        finally:
            self._clients.discard(client)
        return ws

    async def close(self) -> None:
        """Close all connections."""
        goodbye = (client.close(WSCloseCode.GOING_AWAY, "The server is stopping.") for client in list(self._clients))
        await asyncio.gather(*goodbye)


def serve(
    run: Path,
    host: str,
    port: int,
    max_sessions: int,
    decoding: Decoding,
    tell: Callable[[str], None],
    codec: str | None = None,
) -> None:
    """Serve a run's model until SIGINT or SIGTERM; raises `RequestError` if the model or the port can't be used."""
    model, tokenizer = load_run(run)
    # Steps are small: more threads gain little, and one waiting for a core delays them all.
    torch.set_num_threads(max(1, torch.get_num_threads() // 2))
    session = Session(model.for_inference(), load_codec(codec or read_config(run).codec), batch=0, decoding=decoding)
    if not is_loopback(host):
        tell(f"Warning: {host} is reachable from other machines; anyone who can reach it can talk to the model.")
    asyncio.run(_serve(session, tokenizer, str(run), host, port, Bounds(max_sessions), tell))


async def _serve(
    session: Session,
    tokenizer: TextTokenizer,
    name: str,
    host: str,
    port: int,
    bounds: Bounds,
    tell: Callable[[str], None],
) -> None:
    stop = stop_signal()
    engine = Engine(session)
    server = Server(engine, tokenizer, bounds)
    async with listening(server.app(), host, port) as url:
        clock, stopped = asyncio.create_task(engine.run()), asyncio.create_task(stop.wait())
        tell(f"Serving {name} at {url}  (Ctrl-C stops)")
        await asyncio.wait((clock, stopped), return_when=asyncio.FIRST_COMPLETED)
        await server.close()
        stopped.cancel()
        clock.cancel()
        with suppress(asyncio.CancelledError):
            await clock


def _page() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("live.html.j2")
