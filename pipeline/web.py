"""What every server of this program does: listen, stop on a signal, and keep other sites' pages out."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from manifests.errors import RequestError


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve an application; yields its URL. Raises `RequestError` if the port is not available."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            reason = (error.strerror or str(error)).rstrip(".")
            raise RequestError(f"Can't listen on {host} at port {port}: {reason}; choose another --port.") from None
        yield f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def stop_signal() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def page_headers(nonce: str) -> dict[str, str]:
    """Headers of a page whose scripts and styles carry a nonce, and that loads from this server alone."""
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}' blob:; style-src 'nonce-{nonce}'; connect-src 'self'; "
        f"img-src data:; media-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def foreign_name(request: web.Request) -> web.Response | None:
    """The refusal of a request that calls a server on this machine by another site's name.

    DNS rebinding can point such a name here: its pages would have the same origin, and only the name shows it.
    """
    local = request.get_extra_info("sockname")
    if not local or not is_loopback(local[0]) or is_loopback(request.url.host or ""):
        return None
    return web.Response(
        status=403, text=f"This server is not reachable as {request.url.host}; use an IP address or localhost.\n"
    )


@web.middleware
async def refuse_foreign_names(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """`foreign_name` for all routes of an application."""
    return foreign_name(request) or await handler(request)
