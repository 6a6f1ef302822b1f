"""cast: who speaks. One agent voice for the whole corpus, a user voice for each dialogue.

The paper fixes the agent's voice and draws the users' at random (arXiv 2505.15670, section 3). Splits share no user
voice, so that a test hears voices that the training never did.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field, model_validator

from manifests.records import SPLITS, Dialogue, Turn
from stages.base import Settings, Stage, draw
from stages.espeak import DEFAULT_AGENT_VOICE, voices


class CastSettings(Settings):
    agent_voice: str = Field(default=str(DEFAULT_AGENT_VOICE), description="the agent's voice in every dialogue")
    user_voices: list[str] = Field(
        default_factory=voices, description="the voices to draw users from; each is kept to one split"
    )

    @model_validator(mode="after")
    def _a_voice_for_every_split(self) -> "CastSettings":
        if len(set(self.user_voices) - {self.agent_voice}) < len(SPLITS):
            raise ValueError(
                "'user_voices' needs three different voices or more beside the agent's, one for each split"
            )
        return self


class Cast(Stage):
    """Give every turn a voice; one that the input fixes, or a recording brings, is kept."""

    Settings = CastSettings
    settings: CastSettings

    def setup(self) -> None:
        self.pools = voice_pools([v for v in self.settings.user_voices if v != self.settings.agent_voice], self.seed)

    def process(self, records: Sequence[Dialogue]) -> list[Dialogue]:
        return [self._cast(dialogue) for dialogue in records]

    def _cast(self, dialogue: Dialogue) -> Dialogue:
        user = draw(self.seed, dialogue.id, "cast").choice(self.pools[dialogue.split or "train"])
        voice = {"user": user, "agent": self.settings.agent_voice}
        turns = (replace(t, voice=t.voice or _recorded_voice(t) or voice[t.speaker]) for t in dialogue.turns)
        return replace(dialogue, turns=tuple(turns))


def _recorded_voice(turn: Turn) -> str:
    """A recorded turn brings its voice: the speaker's name, where that is known."""
    return f"recording:{turn.recording.speaker}".rstrip(":") if turn.recording else ""


def voice_pools(user_voices: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Deal the voices out to the splits by a hash of seed and voice: a tenth each to test and validation, at least one."""
    ranked = sorted(set(user_voices), key=lambda voice: hashlib.sha256(f"{seed}\x1f{voice}".encode()).digest())
    held_out = max(1, len(ranked) // 10)
    train, validation, test = SPLITS
    return {test: ranked[:held_out], validation: ranked[held_out : 2 * held_out], train: ranked[2 * held_out :]}
