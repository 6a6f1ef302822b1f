"""cast: choose the voices. One agent voice for the whole corpus, a user voice for each dialogue.

The paper fixes the agent's voice and draws user voices at random (arXiv 2505.15670, section 3). Splits share no user
voice, so that tests use voices never heard in training.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field, model_validator

from manifests.records import SPLITS, Dialogue, Turn, Voice
from stages.base import Settings, Stage, draw
from stages.voices.espeak_engine import DEFAULT_AGENT_VOICE, voices


class CastSettings(Settings):
    """By default, the voices of the recipe's synthesizer; see `Synthesizer.voices`."""

    agent_voice: str = Field(default=str(DEFAULT_AGENT_VOICE), description="the agent's voice in every dialogue")
    user_voices: list[str] = Field(
        default_factory=voices, description="the voices to draw users from; each speaker is used in one split only"
    )

    @model_validator(mode="after")
    def _a_voice_for_every_split(self) -> "CastSettings":
        users = set(self.user_voices) - {self.agent_voice}
        if len(speakers := sorted({Voice.parse(voice).speaker for voice in users})) < len(SPLITS):
            raise ValueError(
                "'user_voices' needs at least three different speakers besides the agent's voice, one for each split, but "
                f"has {len(speakers)} ({', '.join(speakers) or 'none'}); name more voices there, or in the settings of the "
                "synthesizer"
            )
        return self


class Cast(Stage[Dialogue, Dialogue, CastSettings]):
    """Give every turn a voice; voices set in the input or by a recording are kept."""

    def setup(self) -> None:
        self.pools = voice_pools([v for v in self.settings.user_voices if v != self.settings.agent_voice], self.seed)

    def process(self, records: Sequence[Dialogue]) -> list[Dialogue]:
        return [self._cast(dialogue) for dialogue in records]

    def _cast(self, dialogue: Dialogue) -> Dialogue:
        user = draw(self.seed, dialogue.id, "cast").choice(self.pools[dialogue.split or "train"])
        voice = {"user": user, "agent": self.settings.agent_voice}
        # Turns inserted by `speak` have the voice that the input sets for the speaker's other turns.
        fixed = voice | {t.speaker: t.voice for t in reversed(dialogue.turns) if t.voice}
        turns = (
            replace(t, voice=t.voice or _recorded_voice(t) or (voice if t.text else fixed)[t.speaker])
            for t in dialogue.turns
        )
        return replace(dialogue, turns=tuple(turns))


def _recorded_voice(turn: Turn) -> str:
    """The voice of a recorded turn: the speaker's name, if known."""
    return str(Voice(turn.recording.speaker, recorded=True)) if turn.recording else ""


def voice_pools(user_voices: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Assign speakers to splits by a hash of seed and voice: a tenth each to test and validation, at least one."""
    ranked = sorted(set(user_voices), key=lambda voice: hashlib.sha256(f"{seed}\x1f{voice}".encode()).digest())
    speakers = list(dict.fromkeys(Voice.parse(voice).speaker for voice in ranked))
    held_out = max(1, len(speakers) // 10)
    train, validation, test = SPLITS
    dealt = {test: speakers[:held_out], validation: speakers[held_out : 2 * held_out], train: speakers[2 * held_out :]}
    return {split: [voice for voice in ranked if Voice.parse(voice).speaker in own] for split, own in dealt.items()}
