"""A server with an OpenAI-like HTTP interface: requests are retried while it is busy, and messages never show its key.

Requests to a busy server (429, 5xx, a broken or hanging connection) are retried with exponential backoff and
`Retry-After`."""

import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import urllib3

from manifests.errors import WorkError

KEY = "OPENAI_API_KEY"
BUSY = (408, 409, 425, 429, 500, 502, 503, 504)
"""Status codes for which a retry may succeed."""
LONGEST_WAIT_S = 300
"""Upper limit for a server's `Retry-After`."""


class NoAnswer(WorkError):
    """A request failed, but another one may succeed. `reason` continues "the server …"; `status` is the response's."""

    def __init__(self, message: str, reason: str, status: int | None = None) -> None:
        super().__init__(message)
        self.reason, self.status = reason, status


def patience(retries: int, back_off_s: float) -> urllib3.Retry:
    """The retries for a busy server; the wait before the second one is `back_off_s`, and doubles each time."""
    return urllib3.Retry(
        total=retries,
        # An unreachable server is reported immediately, not after every retry of every request.
        connect=min(retries, 1),
        redirect=0,
        backoff_factor=back_off_s,
        backoff_max=30,
        status_forcelist=BUSY,
        allowed_methods=None,
        raise_on_status=False,
        retry_after_max=LONGEST_WAIT_S,
    )


def check_address(url: str) -> None:
    """Raise ValueError if this is not a server's base URL, or contains a key."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("'url' must be a server's base URL such as http://localhost:8000/v1")
    if parts.username or parts.password or parts.query:
        raise ValueError("'url' must not contain a key, since recipes are published; put it in an environment variable")


@dataclass
class Endpoint:
    """`url` is the base URL, such as https://api.openai.com/v1; messages call it `name`, and end with `advice`. The
    key is read from the environment variable `key_env`, if set. Several threads may send requests, over `connections`
    connections."""

    url: str
    name: str
    advice: str
    retry: urllib3.Retry
    timeout_s: float
    key_env: str = KEY
    connections: int = 1
    _pool: urllib3.PoolManager = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._pool = urllib3.PoolManager(
            retries=self.retry, timeout=self.timeout_s, maxsize=self.connections, block=self.connections > 1
        )

    def post(self, path: str, body: dict[str, Any]) -> bytes:
        """The response to a JSON body. Raises `NoAnswer`, and `WorkError` if the server can't be reached or rejects
        all requests."""
        key = os.environ.get(self.key_env)
        try:
            response = self._pool.request(
                "POST",
                f"{self.url.rstrip('/')}/{path}",
                json=body,
                headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            )
        except urllib3.exceptions.MaxRetryError as error:
            # The error's text may contain the request; its type is enough.
            kind = type(error.reason).__name__
            if isinstance(error.reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
                raise WorkError(
                    f"The {self.name} at {self.url} can't be reached ({kind}); start it, or {self.advice}."
                ) from None
            raise self._failure(f"failed {(self.retry.total or 0) + 1} times, at last by {kind}") from None
        except urllib3.exceptions.HTTPError as error:
            raise self._failure(f"failed by {type(error).__name__}") from None
        if response.status in (401, 403, 404):
            raise WorkError(f"The {self.name} at {self.url} answers with status {response.status}; {self.advice}.")
        if response.status != 200:
            said = _said(response.data, key)
            raise self._failure(f"answers with status {response.status}{said}", response.status)
        return response.data

    def _failure(self, reason: str, status: int | None = None) -> NoAnswer:
        return NoAnswer(f"The {self.name} at {self.url} does not answer: it {reason}.", reason, status)


def _said(body: bytes, key: str | None) -> str:
    """The server's error message, without the key."""
    text = " ".join(body[:300].decode("utf-8", "replace").split())
    return f" ({text.replace(key, '***') if key else text})" if text else ""
