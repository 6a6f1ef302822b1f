"""An LLM's mark for what the agent said, 0 to 10, over any OpenAI-compatible chat endpoint.

The paper lets GPT-4o-mini mark transcripts so; its prompt is not published, this one is ours. An answer that is not a number
is asked for once more and then counted as none.
"""

import json
import os
import re
from dataclasses import dataclass

import urllib3

from manifests.errors import WorkError
from salm_duplex_model.evaluation.timeline import Scene, Spoken

PROMPT = (
    "You mark a spoken assistant. Below is a conversation as it was heard, in order of time, with seconds. Users may "
    "interrupt; an assistant that was interrupted rightly stops in mid-sentence. Mark how helpful, correct and coherent the "
    "assistant's words are, from 0 (nonsense or nothing said) to 10 (excellent). Answer with the number alone."
)
RETRY = urllib3.Retry(
    total=5, backoff_factor=0.5, backoff_max=30, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None
)
TIMEOUT_S = 120


@dataclass
class Judge:
    """`url` is the endpoint's base, such as https://api.openai.com/v1; the key is taken from OPENAI_API_KEY, if set."""

    url: str
    model: str
    retry: urllib3.Retry = RETRY

    def __post_init__(self) -> None:
        self._pool = urllib3.PoolManager(retries=self.retry, timeout=TIMEOUT_S)

    def mark(self, scene: Scene, agent: list[Spoken]) -> float | None:
        """The mark of a dialogue; raises `WorkError` where the endpoint does not answer."""
        conversation = transcript(scene, agent)
        for _ in range(2):
            if (mark := parse_mark(self._ask(conversation))) is not None:
                return mark
        return None

    def _ask(self, conversation: str) -> str:
        messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": conversation}]
        key = os.environ.get("OPENAI_API_KEY")
        try:
            response = self._pool.request(
                "POST",
                f"{self.url.rstrip('/')}/chat/completions",
                json={"model": self.model, "messages": messages, "temperature": 0},
                headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            )
        except urllib3.exceptions.HTTPError as error:
            # The error's text may hold the request; its kind says enough.
            raise WorkError(f"The judge at {self.url} does not answer ({type(error).__name__}).") from None
        if response.status != 200:
            raise WorkError(
                f"The judge at {self.url} answers with status {response.status}; see --judge-model and the key."
            )
        try:
            return str(json.loads(response.data)["choices"][0]["message"]["content"])
        except (ValueError, KeyError, IndexError, TypeError):
            raise WorkError(f"The judge at {self.url} does not answer as a chat endpoint does.") from None


def parse_mark(answer: str) -> float | None:
    """A number from 0 to 10 and nothing else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:\s*/\s*10)?\.?", answer.strip())
    return float(found[1]) if found and float(found[1]) <= 10 else None


def transcript(scene: Scene, agent: list[Spoken]) -> str:
    """Both sides' turns in order of time."""
    turns = [("user", turn) for turn in scene.user] + [("assistant", turn) for turn in agent]
    ordered = sorted(turns, key=lambda turn: turn[1].start)
    return "\n".join(f"[{turn.start:.1f}–{turn.end:.1f} s] {speaker}: {turn.text}" for speaker, turn in ordered)
