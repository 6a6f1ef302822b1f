"""Asking an LLM over any OpenAI-compatible chat endpoint."""

import json
import os
from dataclasses import dataclass

import urllib3

from manifests.errors import WorkError

KEY = "OPENAI_API_KEY"
RETRY = urllib3.Retry(
    total=5, backoff_factor=0.5, backoff_max=30, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None
)
TIMEOUT_S = 120


@dataclass
class Chat:
    """`url` is the endpoint's base, such as https://api.openai.com/v1; the key is taken from OPENAI_API_KEY, if set.

    `name` is what messages call the endpoint. Several threads may ask at once, over `connections` connections.
    """

    url: str
    model: str
    name: str
    retry: urllib3.Retry = RETRY
    connections: int = 1

    def __post_init__(self) -> None:
        self._pool = urllib3.PoolManager(
            retries=self.retry, timeout=TIMEOUT_S, maxsize=self.connections, block=self.connections > 1
        )

    def ask(self, messages: list[dict[str, str]], max_tokens: int | None = None) -> str:
        """The answer to a conversation; raises `WorkError` where the endpoint gives none, tried again as `retry` says."""
        key = os.environ.get(KEY)
        bound = {} if max_tokens is None else {"max_tokens": max_tokens}
        try:
            response = self._pool.request(
                "POST",
                f"{self.url.rstrip('/')}/chat/completions",
                json={"model": self.model, "messages": messages, "temperature": 0} | bound,
                headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            )
        except urllib3.exceptions.HTTPError as error:
            # The error's text may hold the request; its kind says enough.
            raise WorkError(f"The {self.name} at {self.url} does not answer ({type(error).__name__}).") from None
        if response.status != 200:
            raise WorkError(
                f"The {self.name} at {self.url} answers with status {response.status}; see the model's name and the key."
            )
        try:
            return str(json.loads(response.data)["choices"][0]["message"]["content"])
        except (ValueError, KeyError, IndexError, TypeError):
            raise WorkError(f"The {self.name} at {self.url} does not answer as a chat endpoint does.") from None
