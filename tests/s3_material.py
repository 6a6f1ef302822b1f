"""A real S3 server on loopback (moto's), and a proxy that makes it fail, slow down or become unavailable.

Both configure their clients only through the environment, as a user would: `AWS_ENDPOINT_URL` and credentials, which
s3fs, boto3, smart_open and PyArrow honor.
"""

import http.client
import random
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
import s3fs

from manifests.store import Store

REGION = "us-east-1"


def client_environment(endpoint: str) -> dict[str, str]:
    """The environment variables that a process needs to use the server at `endpoint`."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def moto_server() -> Iterator[str]:
    """A server in a separate process; yields its address."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
                break
        else:
            pytest.fail("moto's server did not start: " + "".join(lines))
        # Its log would fill the pipe and stop it.
        threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
        yield found.group(1)
    finally:
        process.kill()
        process.wait()


def use_s3(server: str, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a new bucket on `server` and point the environment at `endpoint`; returns the bucket's URL."""
    for name, value in client_environment(endpoint).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # they keep the address that they were made with
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    boto3.client("s3", endpoint_url=server).create_bucket(Bucket=bucket)
    return f"s3://{bucket}"


def copy_into(store: Store, folder: Path) -> None:
    """Write all files of a local folder into a store."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            store.write(file.relative_to(folder).as_posix(), file.read_bytes())


FAILURES = ("500", "503", "dropped", "cut")
"""How a request fails: with a status, without an answer, or in the middle of the answer's body."""


@dataclass
class FaultyProxy:
    """An HTTP proxy for `target`. The n-th request fails by a draw from (seed, n), at rate `share`."""

    target: str
    share: float = 0.0
    delay_s: float = 0.0
    seed: int = 0
    failures: tuple[str, ...] = FAILURES
    requests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None
    _address: tuple[str, int] = ("127.0.0.1", 0)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://{self._address[0]}:{self._address[1]}"

    def start(self) -> None:
        self._server = _Server(self._address, _Handler)
        self._server.proxy = self
        self._address = self._server.server_address[:2]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse every connection from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def down_for(self, seconds: float) -> None:
        """Become unavailable now, and available again later."""
        self.stop()
        timer = threading.Timer(seconds, self.start)
        timer.daemon = True
        timer.start()

    def failure_of(self, request: str) -> str | None:
        """How this request must fail; None if it must not."""
        with self._lock:
            self.requests.append(request)
            draw = random.Random(f"{self.seed}-{len(self.requests)}")
            if draw.random() >= self.share:
                return None
            self.failed.append(failure := draw.choice(self.failures))
            return failure


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    proxy: FaultyProxy

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnect."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def _pass_on(self) -> None:
        proxy = self.server.proxy
        self.close_connection = True  # so that `stop` leaves no connection open
        body = self._body()
        failure = proxy.failure_of(f"{self.command} {self.path}")
        time.sleep(proxy.delay_s)
        if failure in ("500", "503"):
            return self._answer(int(failure), {"Content-Type": "application/xml"}, _ERRORS[failure])
        if failure == "dropped":
            return None
        address = urlsplit(proxy.target)
        upstream = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
            headers = {k: v for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "connection")}
            return self._answer(answer.status, headers, content, whole=failure != "cut")
        finally:
            upstream.close()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        del self.headers["Transfer-Encoding"]
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        self.headers["Content-Length"] = str(len(body))
        return body

    def _answer(self, status: int, headers: dict[str, str], content: bytes, whole: bool = True) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("server", "date"):
                self.send_header(name, value)
        if "content-length" not in {name.lower() for name in headers}:
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(content if whole else content[: len(content) // 2])


_ERRORS = {
    code: f"<Error><Code>{name}</Code><Message>Injected.</Message></Error>".encode()
    for code, name in (("500", "InternalError"), ("503", "SlowDown"))
}
