"""A server with an OpenAI-like HTTP interface: asked again while it is busy, and never shown with its key.

A busy server (429, 5xx, a connection that breaks or hangs) is asked again, later each time and not before `Retry-After`.
"""

import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import urllib3

from manifests.errors import WorkError

KEY = "OPENAI_API_KEY"
BUSY = (408, 409, 425, 429, 500, 502, 503, 504)
"""What a server answers that may answer better later."""
LONGEST_WAIT_S = 300
"""A server that asks for a longer wait, by `Retry-After`, is waited for so long."""


class NoAnswer(WorkError):
    """One request came to nothing, and another may fare better. `reason` continues "the server …"; `status` is that of its answer."""

    def __init__(self, message: str, reason: str, status: int | None = None) -> None:
        super().__init__(message)
        self.reason, self.status = reason, status


def patience(retries: int, back_off_s: float) -> urllib3.Retry:
    """How often a busy server is asked again; the wait before the second time is `back_off_s`, and doubles each time."""
    return urllib3.Retry(
        total=retries,
        # A server that is not there at all is reported at once, not after every retry of every request.
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
    """Raise ValueError where this is no base address of a server, or holds a key."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("'url' must be a server's base address such as http://localhost:8000/v1")
    if parts.username or parts.password or parts.query:
        raise ValueError("'url' must hold no key, since recipes are published; put it into an environment variable")


@dataclass
class Endpoint:
    """`url` is the base, such as https://api.openai.com/v1; messages call it `name`, and end with `advice`. The key is taken from the
    environment variable `key_env`, if set. Several threads may ask at once, over `connections` connections."""

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
        """The answer to a JSON body. Raises `NoAnswer`, and `WorkError` where the server is not there or refuses everybody."""
        key = os.environ.get(self.key_env)
        try:
            response = self._pool.request(
                "POST",
                f"{self.url.rstrip('/')}/{path}",
                json=body,
                headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            )
        except urllib3.exceptions.MaxRetryError as error:
            # The error's text may hold the request; its kind says enough.
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
    """What the server says of its refusal, without the key."""
    text = " ".join(body[:300].decode("utf-8", "replace").split())
    return f" ({text.replace(key, '***') if key else text})" if text else ""
