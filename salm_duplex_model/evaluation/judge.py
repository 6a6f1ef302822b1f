"""An LLM's score for the agent's words, 0 to 10, through any OpenAI-compatible chat endpoint.

The paper has GPT-4o-mini score transcripts; its prompt is not published, this one is ours. An answer that is not a number
is requested once more and then counted as missing.
"""

import re
from dataclasses import dataclass

import urllib3

from salm_duplex_model.chat import RETRY, Chat
from salm_duplex_model.evaluation.timeline import Scene, Spoken

PROMPT = (
    "You mark a spoken assistant. Below is a conversation as it was heard, in order of time, with seconds. Users may "
    "interrupt; an assistant that was interrupted rightly stops in mid-sentence. Mark how helpful, correct and coherent the "
    "assistant's words are, from 0 (nonsense or nothing said) to 10 (excellent). Answer with the number alone."
)


@dataclass
class Judge:
    """A model at an endpoint, see `chat.py`."""

    url: str
    model: str
    retry: urllib3.Retry = RETRY

    def __post_init__(self) -> None:
        self._chat = Chat(self.url, self.model, "judge", self.retry)

    def mark(self, scene: Scene, agent: list[Spoken]) -> float | None:
        """The score of a dialogue; raises `WorkError` if the endpoint does not answer."""
        messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": transcript(scene, agent)}]
        for _ in range(2):
            if (mark := parse_mark(self._chat.ask(messages))) is not None:
                return mark
        return None


def parse_mark(answer: str) -> float | None:
    """A number from 0 to 10 and nothing else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:\s*/\s*10)?\.?", answer.strip())
    return float(found[1]) if found and float(found[1]) <= 10 else None


def transcript(scene: Scene, agent: list[Spoken]) -> str:
    """Both sides' turns in order of time."""
    turns = [("user", turn) for turn in scene.user] + [("assistant", turn) for turn in agent]
    ordered = sorted(turns, key=lambda turn: turn[1].start)
    return "\n".join(f"[{turn.start:.1f}–{turn.end:.1f} s] {speaker}: {turn.text}" for speaker, turn in ordered)
