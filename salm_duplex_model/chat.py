"""Requests to an LLM at any OpenAI-compatible chat endpoint."""

import json
from dataclasses import dataclass, field
from typing import Any

import urllib3

from manifests.endpoint import KEY, Endpoint, NoAnswer

RETRY = urllib3.Retry(
    total=5, backoff_factor=0.5, backoff_max=30, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None
)
TIMEOUT_S = 120


@dataclass
class Chat:
    """A model at an endpoint; see `Endpoint` for the other arguments."""

    url: str
    model: str
    name: str
    retry: urllib3.Retry = RETRY
    connections: int = 1
    key_env: str = KEY
    timeout_s: float = TIMEOUT_S
    advice: str = ""
    _endpoint: Endpoint = field(init=False, repr=False)

    def __post_init__(self) -> None:
        advice = self.advice or f"check its address, the model's name and the key in {self.key_env}"
        self._endpoint = Endpoint(
            self.url, self.name, advice, self.retry, self.timeout_s, self.key_env, self.connections
        )

    def ask(self, messages: list[dict[str, str]], max_tokens: int | None = None, **more: Any) -> str:
        """The answer to a conversation; `more` is added to the request, without its None values.

        Raises `WorkError` if there is no answer after the retries: `NoAnswer` if other requests may still succeed.
        """
        bound = {} if max_tokens is None else {"max_tokens": max_tokens}
        body = {"model": self.model, "messages": messages, "temperature": 0} | bound | more
        body = {key: value for key, value in body.items() if value is not None}
        data = self._endpoint.post("chat/completions", body)
        try:
            return str(json.loads(data)["choices"][0]["message"]["content"] or "")
        except (ValueError, KeyError, IndexError, TypeError):
            message = f"The {self.name} at {self.url} does not answer like a chat endpoint."
            raise NoAnswer(message, "does not answer like a chat endpoint") from None
