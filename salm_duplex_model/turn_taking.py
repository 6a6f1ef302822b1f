"""When the agent starts and stops: probabilities summed over frames, instead of the most likely token of each frame.

A model that was trained to wait when unsure spreads the probability of BOS over many frames, and BOS is the most likely
token in none of them. So the probabilities of BOS and, while the agent speaks, of EOS are summed, and the token is chosen
when its sum reaches a threshold. While neither side speaks, hardly anything is forgotten: the sum of BOS is about the
probability that the reference agent would have answered by now, and a start threshold of 0.8 waits until it would have
in four of five cases. In other frames, sums decay by `memory`. (If they decayed as fast in silence, an answer that the
model spreads over 17 frames would never add up: an agent trained on such answers, with thresholds tuned either way, then
took 78 % of 335 turns, after 0.8 s on average, and takes 96 % of them this way, after 1.4 s.) BOS is summed during the
agent's turn too, since an agent that was talked over may have missed its end, and should still answer. Both sums are
reset when the agent starts or stops.

An agent that has just spoken would sum small probabilities in the silence after its turn until it starts unprompted. So
after a start, BOS is not summed until the user is heard: until the model writes BOS or a word in the user's text channel
or, if it has none, until there is a voice on the user's line, for which it may take a noise. Until then, a start
requires a single frame whose probability reaches the threshold and is at least one half, as in greedy decoding. Before
either side has spoken, sums decay by `memory`: an agent that is to speak first does, and a long silence does not add up.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Protocol

import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from manifests.text_channel import SpecialTokens
from salm_duplex_model.window_cache import seated

QUIET_MEMORY = 0.99
"""Decay of the start sum per frame while neither side speaks, half of it in 5.5 s."""
ALONE = 0.5
"""Minimum probability in a single frame while the user is not heard."""
FLOOR = 10 ** (-62 / 10)
"""Minimum noise floor, in power (−62 dBFS), so that faint noise on a silent line does not count as a voice."""
VOICE = 10 ** (12 / 10)
"""Power this many times above the floor (12 dB) counts as a voice, or as another sound that the model should judge."""
RISE = 10 ** (0.24 / 10)
"""The floor follows falling power immediately, and rises by this factor per frame, 3 dB per second."""
BARGED_FRAMES = 12
"""A voice this shortly before the agent's end, about a second, caused the end and still needs an answer."""


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """The agent starts when the sum of BOS reaches `start`, and stops when that of EOS reaches `stop`. In each frame in
    which either side speaks, and before the first turn, the sums are multiplied by `memory`: at 0, only the current
    frame counts. In other frames, the sum of BOS is multiplied by `QUIET_MEMORY`."""

    start: Annotated[float, Field(gt=0, le=20)] = 0.5
    stop: Annotated[float, Field(gt=0, le=20)] = 0.5
    memory: Annotated[float, Field(ge=0, lt=1)] = 0.85

    __pydantic_config__ = ConfigDict(extra="forbid")

    def as_dict(self) -> dict[str, float]:
        return asdict(self)

    def __str__(self) -> str:
        """In the form of `--turn-taking`."""
        return ",".join(f"{name}={value:g}" for name, value in self.as_dict().items())


class Marks(Protocol):
    """Decides in which frames a session's agents emit BOS and EOS; conversations are rows."""

    def __call__(self, logits: Tensor, user: Tensor, user_text: Tensor | None) -> Tensor:
        """Text logits (rows, V) after the user's frame (rows, samples), and the user's text channel of that frame (rows,)
        if the model has one → logits of the tokens that remain possible."""

    def reset(self, row: int) -> None:
        """Start a new conversation in a row."""

    def seat(self, kept: list[int], rows: int) -> None:
        """Keep the rows `kept`, in order, followed by new ones that must be reset: `rows` in total."""


class Turns:
    """Tracks whether each conversation's agent speaks, and its sums; conversations are rows, on the model's device."""

    def __init__(self, settings: TurnTaking, special: SpecialTokens, rows: int, device: torch.device) -> None:
        self.settings, self._special = settings, special
        self._speaking = torch.zeros(rows, dtype=torch.bool, device=device)
        self._starts = torch.zeros(rows, device=device)
        self._stops = torch.zeros(rows, device=device)
        self._asked = torch.zeros(rows, dtype=torch.bool, device=device)
        """Whether the user was heard since the agent's last start."""
        self._opening = torch.zeros(rows, dtype=torch.bool, device=device)
        """Whether neither side has spoken yet."""
        self._unheard = torch.zeros(rows, dtype=torch.long, device=device)
        """Frames since a voice on the user's line."""
        self._floor = torch.zeros(rows, device=device)
        """Noise floor of the user's line, as power."""
        for row in range(rows):
            self.reset(row)

    def __call__(self, logits: Tensor, user: Tensor, user_text: Tensor | None) -> Tensor:
        """Text logits (rows, V) after the user's frame (rows, samples), and the user's text channel of that frame (rows,)
        if the model has one → masked logits: only BOS or EOS is left when the agent starts or stops, only PAD while it is
        silent, and neither BOS nor EOS otherwise."""
        pad, bos, eos = self._special.pad, self._special.bos, self._special.eos
        voice = self._listen(user)
        heard = voice if user_text is None else (user_text != pad) & (user_text != eos)
        self._asked, self._opening = self._asked | heard, self._opening & ~heard
        summed = self._asked | self._opening
        quiet = self._asked & ~self._speaking & ~voice

        probabilities = logits.float().softmax(-1)
        kept = self._starts.masked_fill(~summed, 0) * torch.where(quiet, QUIET_MEMORY, self.settings.memory)
        self._starts = kept + probabilities[:, bos]
        self._stops = self.settings.memory * self._stops + probabilities[:, eos].masked_fill(~self._speaking, 0)
        begins = (self._starts >= self.settings.start) & (summed | (self._starts >= ALONE))
        ends = self._speaking & ~begins & (self._stops >= self.settings.stop)
        turns = begins | ends

        tokens = torch.arange(logits.shape[-1], device=logits.device)
        words = (tokens != bos) & (tokens != eos)
        settled = turns | ~self._speaking
        token = torch.where(begins, bos, torch.where(ends, eos, pad))
        left = torch.where(settled[:, None], tokens == token[:, None], words)

        self._asked = self._asked & torch.where(ends, self._unheard <= BARGED_FRAMES, ~begins)
        self._opening = self._opening & ~begins
        self._speaking = (self._speaking | begins) & ~ends
        self._starts, self._stops = self._starts.masked_fill(turns, 0), self._stops.masked_fill(turns, 0)
        return logits.masked_fill(~left, -torch.inf)

    def _listen(self, user: Tensor) -> Tensor:
        """Follow each user's noise floor: whether there is a voice, or another sound that the model should judge, (rows,)."""
        power = user.square().mean(-1)
        voice = power > VOICE * self._floor
        self._floor = torch.minimum(power, RISE * self._floor).clamp(min=FLOOR)
        self._unheard = (self._unheard + 1).masked_fill(voice, 0)
        return voice

    def reset(self, row: int) -> None:
        """Reset a row for a new conversation, in which either side may speak first."""
        self._speaking[row], self._starts[row], self._stops[row] = False, 0, 0
        self._asked[row], self._opening[row] = False, True
        self._unheard[row], self._floor[row] = BARGED_FRAMES + 1, FLOOR

    def seat(self, kept: list[int], rows: int) -> None:
        """Keep the rows `kept`, in order, followed by new ones that must be reset: `rows` in total."""
        for name in ("_speaking", "_starts", "_stops", "_asked", "_opening", "_unheard", "_floor"):
            setattr(self, name, seated(getattr(self, name), kept, rows))
