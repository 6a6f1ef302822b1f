"""When the agent starts and stops: chances added up over frames, in place of the likeliest token of a single one.

A model that was taught to wait where it is unsure spreads the chance of BOS over many frames, and in none of them BOS is the
likeliest token. So the chances are summed, older ones weighing less by `memory` a frame, and the mark comes when the sum
passes a threshold: of BOS, and while the agent speaks of EOS. BOS counts then too, since an agent that a user has talked over
may have let its end pass, and is to answer all the same. Both sums are emptied when the agent starts or stops.

An agent that has just spoken would add up small chances in the silence after its turn until it starts unasked. So from its
start on the summing of BOS waits for the user's voice. Until that is heard, a start needs a frame whose chance passes by
itself, and is one half at least, as where the likeliest token is taken.
"""

from dataclasses import asdict, dataclass
from typing import Annotated

import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from manifests.text_channel import SpecialTokens
from salm_duplex_model.window_cache import seated

ALONE = 0.5
"""What a single frame's chance has to be while the user is not heard."""
FLOOR = 10 ** (-62 / 10)
"""Power: a line is taken to be as loud as −62 dBFS at least, so that what rustles on a silent one is no voice."""
VOICE = 10 ** (12 / 10)
"""So many times its floor, 12 dB above it, a line's power is a voice, or something else that the model had better judge by its sums."""
RISE = 10 ** (0.24 / 10)
"""The floor falls with the power at once, and rises to it by so much a frame, 3 dB a second."""
BARGED_FRAMES = 12
"""A voice that was heard so shortly before the agent's end, a second or so, is what ended it, and is still to be answered."""


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """The agent starts where the sum of BOS passes `start`, and stops where that of EOS passes `stop`; each frame a sum keeps
    `memory` of what it was: at 0 the present frame counts alone."""

    start: Annotated[float, Field(gt=0, le=20)] = 0.5
    stop: Annotated[float, Field(gt=0, le=20)] = 0.5
    memory: Annotated[float, Field(ge=0, lt=1)] = 0.85

    __pydantic_config__ = ConfigDict(extra="forbid")

    def as_dict(self) -> dict[str, float]:
        return asdict(self)

    def __str__(self) -> str:
        """As `--turn-taking` takes it."""
        return ",".join(f"{name}={value:g}" for name, value in self.as_dict().items())


class Turns:
    """Whether each conversation's agent speaks, and its sums, from frame to frame; conversations are rows, on the model's device."""

    def __init__(self, settings: TurnTaking, special: SpecialTokens, rows: int, device: torch.device) -> None:
        self.settings, self._special = settings, special
        self._speaking = torch.zeros(rows, dtype=torch.bool, device=device)
        self._starts = torch.zeros(rows, device=device)
        self._stops = torch.zeros(rows, device=device)
        self._asked = torch.zeros(rows, dtype=torch.bool, device=device)
        """Whether chances of BOS add up: the agent has not spoken yet, or the user was heard since."""
        self._unheard = torch.zeros(rows, dtype=torch.long, device=device)
        """Frames since the user was heard."""
        self._floor = torch.zeros(rows, device=device)
        """The power of the user's line without a voice."""
        for row in range(rows):
            self.reset(row)

    def __call__(self, logits: Tensor, user: Tensor) -> Tensor:
        """Text logits (rows, V) after the user's frame (rows, samples) → those in which marks stand where they are to come, and
        nowhere else: only BOS or EOS is left where the agent is to start or to stop, and only PAD while it is silent."""
        pad, bos, eos = self._special.pad, self._special.bos, self._special.eos
        self._listen(user)
        chances = logits.float().softmax(-1)
        self._starts = self.settings.memory * self._starts.masked_fill(~self._asked, 0) + chances[:, bos]
        self._stops = self.settings.memory * self._stops + chances[:, eos].masked_fill(~self._speaking, 0)
        begins = (self._starts >= self.settings.start) & (self._asked | (self._starts >= ALONE))
        ends = self._speaking & ~begins & (self._stops >= self.settings.stop)
        turns = begins | ends

        tokens = torch.arange(logits.shape[-1], device=logits.device)
        words = (tokens != bos) & (tokens != eos)
        settled = turns | ~self._speaking
        token = torch.where(begins, bos, torch.where(ends, eos, pad))
        left = torch.where(settled[:, None], tokens == token[:, None], words)

        self._asked = torch.where(ends, self._unheard <= BARGED_FRAMES, self._asked & ~begins)
        self._speaking = (self._speaking | begins) & ~ends
        self._starts, self._stops = self._starts.masked_fill(turns, 0), self._stops.masked_fill(turns, 0)
        return logits.masked_fill(~left, -torch.inf)

    def _listen(self, user: Tensor) -> None:
        power = user.square().mean(-1)
        heard = power > VOICE * self._floor
        self._floor = torch.minimum(power, RISE * self._floor).clamp(min=FLOOR)
        self._unheard = (self._unheard + 1).masked_fill(heard, 0)
        self._asked = self._asked | heard

    def reset(self, row: int) -> None:
        """The row begins a new conversation, in which either side may speak first."""
        self._speaking[row], self._starts[row], self._stops[row] = False, 0, 0
        self._asked[row], self._unheard[row], self._floor[row] = True, BARGED_FRAMES + 1, FLOOR

    def seat(self, kept: list[int], rows: int) -> None:
        """Of the rows those that are `kept`, in their order, and after them others, to be reset: `rows` in all."""
        for name in ("_speaking", "_starts", "_stops", "_asked", "_unheard", "_floor"):
            setattr(self, name, seated(getattr(self, name), kept, rows))
