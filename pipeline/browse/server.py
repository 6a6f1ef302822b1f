"""The pages: the list (`/`; only its rows: `/rows`), a dialogue (`/dialogue`), its audio (`/audio` as MP3, `/wav`), and
the corpus's report (`/report`).

A dialogue is named by `id`; `shard=SPLIT/NUMBER` is optional and saves a search of the manifest. The list's filters are
the parameters `text`, `split`, `event`, `label`, `voice`, `check` and `bound`; `first` is the position of the page's first row.
"""

import asyncio
import io
import math
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import pandas as pd
from aiohttp import web
from lhotse import MonoCut

from manifests.corpus import Corpus
from manifests.errors import RequestError, WorkError
from manifests.records import SPLITS
from manifests.shard_index import CutReader
from pipeline.browse.catalog import Catalog
from pipeline.report.dialogue_view import dialogue_view, mp3
from pipeline.report.inspection import write_stereo
from pipeline.report.listing import CHECK, EVENTS, Query, Row
from pipeline.report.templates import templates
from pipeline.web import is_loopback, listening, page_headers, refuse_foreign_names, stop_signal

T = TypeVar("T")

ROWS = 50
"""Rows on a page of the list."""
SOUNDS_KEPT = 4
"""Number of encoded dialogues in the cache: a browser requests the audio in several ranges."""
AT_ONCE = 2
"""Maximum number of dialogues read or encoded at the same time."""


class Browser:
    """The routes for one corpus."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus, self._catalog, self._reader = corpus, Catalog(corpus.dialogues), CutReader()
        self._templates = templates(Path(__file__).parent)
        self._sounds: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[refuse_foreign_names, _explain])
        self._turnstile = asyncio.Semaphore(AT_ONCE)
        app.router.add_get("/", self.index)
        app.router.add_get("/rows", self.rows)
        app.router.add_get("/dialogue", self.dialogue)
        app.router.add_get("/audio", self.audio)
        app.router.add_get("/wav", self.wav)
        app.router.add_get("/report", self.report)
        return app

    async def index(self, request: web.Request) -> web.Response:
        query, first = _query(request), _whole(request, "first")
        return await self._html("list.html.j2", lambda: self._list(query, first))

    async def rows(self, request: web.Request) -> web.Response:
        query, first = _query(request), _whole(request, "first")
        return await self._html("rows.html.j2", lambda: self._list(query, first))

    async def dialogue(self, request: web.Request) -> web.Response:
        query, at = _query(request), _whole(request, "at")
        return await self._html("dialogue.html.j2", lambda: self._dialogue(request, query, at))

    async def audio(self, request: web.Request) -> web.Response:
        content = await self._work(lambda: self._mp3(request))
        return _ranged(request, content, "audio/mpeg")

    async def wav(self, request: web.Request) -> web.Response:
        def encode() -> bytes:
            sound = io.BytesIO()
            write_stereo(self._cut(request)[0], sound)
            return sound.getvalue()

        headers = {"Content-Disposition": 'attachment; filename="dialogue.wav"'}
        return web.Response(body=await self._work(encode), content_type="audio/wav", headers=headers)

    async def report(self, request: web.Request) -> web.Response:
        try:
            page = await self._work(lambda: self._corpus.store.read("report.html"))
        except FileNotFoundError:
            raise RequestError(f"{self._corpus.url} has no report.html; write it with `salm-duplex report`.") from None
        # A report from elsewhere is not trusted: in a sandbox, its script can't use this server.
        headers = {"Content-Security-Policy": "sandbox allow-scripts", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=headers)

    async def _html(self, name: str, values: Callable[[], dict[str, Any]]) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        template = self._templates.get_template(name)
        text = await self._work(lambda: template.render(nonce=nonce, corpus=self._corpus, **values()))
        return web.Response(text=text, content_type="text/html", headers=page_headers(nonce))

    async def _work(self, work: Callable[[], T]) -> T:
        async with self._turnstile:
            return await asyncio.to_thread(work)

    def _list(self, query: Query, first: int) -> dict[str, Any]:
        page = self._catalog.page(query, first, ROWS)
        last = page.first + len(page.rows)
        return {
            "choices": self._catalog.choices(),
            "query": query,
            "statistics": self._corpus.info["statistics"],
            "page": page,
            "rows": [
                (row, _link(query, row, shard, page.first + n))
                for n, (row, shard) in enumerate(zip(page.rows, page.shards, strict=True))
            ],
            "before": _list_link(query, max(0, page.first - ROWS)) if page.first else "",
            "after": _list_link(query, last) if last < page.total else "",
        }

    def _dialogue(self, request: web.Request, query: Query, at: int) -> dict[str, Any]:
        cut, split = self._cut(request)
        place = {name: request.query[name] for name in ("id", "shard") if name in request.query}
        found: dict[str, str] = {"before": "", "after": ""}
        if "at" in request.query:
            page = self._catalog.page(query, max(0, at - 1), 3)
            for n, (row, shard) in enumerate(zip(page.rows, page.shards, strict=True), start=page.first):
                if abs(n - at) == 1:
                    found["before" if n < at else "after"] = _link(query, row, shard, n)
        return {
            "view": dialogue_view(cut, split, f"/audio?{urlencode(place)}"),
            "wav": f"/wav?{urlencode(place)}",
            "back": _list_link(query, at - at % ROWS),
            **found,
        }

    def _cut(self, request: web.Request) -> tuple[MonoCut, str]:
        """The dialogue that a request names, and its split."""
        id, place = request.query.get("id", ""), request.query.get("shard", "")
        split, _, number = place.partition("/")
        if split in SPLITS and number.isdecimal():
            row = pd.DataFrame([{"id": id, "split": split, "shard": int(number)}])
        else:
            row = self._catalog.place(id)
        try:
            cut = self._corpus.cuts_of(row, self._reader)[id]
        except KeyError:
            raise web.HTTPNotFound(
                text=f"The corpus has no dialogue '{id}'{f' in {place}' if place else ''}.\n"
            ) from None
        return cut, str(row["split"].iloc[0])

    def _mp3(self, request: web.Request) -> bytes:
        key = request.query.get("id", ""), request.query.get("shard", "")
        with self._lock:
            if key in self._sounds:
                self._sounds.move_to_end(key)
                return self._sounds[key]
        sound = mp3(self._cut(request)[0])
        with self._lock:
            self._sounds[key] = sound
            while len(self._sounds) > SOUNDS_KEPT:
                self._sounds.popitem(last=False)
        return sound


def browse(corpus: Corpus, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve a corpus's pages until SIGINT or SIGTERM; raises `RequestError` if the port is not available."""
    if not is_loopback(host):
        tell(f"Warning: {host} is reachable from other machines; anyone who can reach it can read and hear the corpus.")
    asyncio.run(_browse(corpus, host, port, tell))


async def _browse(corpus: Corpus, host: str, port: int, tell: Callable[[str], None]) -> None:
    stop = stop_signal()
    async with listening(Browser(corpus).app(), host, port) as url:
        tell(f"Browse {corpus.url} at {url}  (Ctrl-C stops)")
        await stop.wait()


@web.middleware
async def _explain(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Answer wrong requests and errors of a damaged corpus with one sentence."""
    try:
        return await handler(request)  # type: ignore[no-any-return]
    except RequestError as error:
        return web.Response(status=400, text=f"{error}\n")
    except WorkError as error:
        return web.Response(status=500, text=f"{error}\n")


def _query(request: web.Request) -> Query:
    names = ("text", "split", "event", "label", "voice", "check")
    asked = {name: request.query.get(name, "").strip() for name in names}
    for name, known in (("split", SPLITS), ("event", EVENTS), ("check", CHECK)):
        if asked[name] and asked[name] not in known:
            raise RequestError(f"'{name}' must be one of {', '.join(known)}, not '{asked[name]}'.")
    written = request.query.get("bound", "").strip()
    try:
        bound = float(written) if written else None
    except ValueError:
        bound = math.nan
    if bound is not None and not math.isfinite(bound):
        raise RequestError(f"'bound' must be a number, not '{written}'.")
    return Query(**asked, bound=bound)


def _whole(request: web.Request, name: str) -> int:
    written = request.query.get(name, "0")
    if not written.isdecimal() or len(written) > 15:
        raise RequestError(f"'{name}' must be a whole number, not '{written}'.")
    return int(written)


def _asked(query: Query) -> dict[str, Any]:
    """A query as the parameters of a URL."""
    return {name: value for name in Query.__slots__ if (value := getattr(query, name)) not in ("", None)}


def _list_link(query: Query, first: int) -> str:
    asked = urlencode(_asked(query) | ({"first": first} if first else {}))
    return f"/?{asked}" if asked else "/"


def _link(query: Query, row: Row, shard: int | None, at: int) -> str:
    place = {"id": row.id} | ({} if shard is None else {"shard": f"{row.split}/{shard}"})
    return f"/dialogue?{urlencode(place | _asked(query) | {'at': at})}"


def _ranged(request: web.Request, content: bytes, content_type: str) -> web.Response:
    """The requested range of `content`; players use ranges to seek."""
    headers = {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    try:
        first, last, _ = request.http_range.indices(len(content))
    except ValueError:
        first = last = len(content)
    if "Range" not in request.headers:
        return web.Response(body=content, content_type=content_type, headers=headers)
    if first >= last:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {first}-{last - 1}/{len(content)}"
    return web.Response(status=206, body=content[first:last], content_type=content_type, headers=headers)
