"""The streaming session: 80 ms of the user's audio in, 80 ms of the agent's out, for many conversations in parallel.

It is the offline pass of `generate.py`, one frame at a time: encoder, LLM and codec decoder each keep the state they
need. The LLM sees a window of frames, so memory does not depend on the session's length. Conversations are rows of one
batch, which join and leave while the others continue.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from manifests.frames import CODEBOOK_SIZE, CODEBOOKS, SOURCE_FRAME
from salm_duplex_model.channels import SPEECH_DELAY
from salm_duplex_model.codec.nemo import AnyCodec
from salm_duplex_model.model import DuplexModel
from salm_duplex_model.turn_taking import Marks, Turns, TurnTaking
from salm_duplex_model.window_cache import WindowCache, seated

CONTEXT_FRAMES = 2_048
"""About 164 s, longer than nearly every dialogue of a corpus: the context that the LLM was trained with."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How text tokens and codes are chosen: greedily at temperature 0, else sampled, separately for each conversation
    from `seed`, so that conversations do not affect each other. With `turn_taking`, BOS and EOS are chosen by their
    summed probabilities instead."""

    temperature: float = 0.0
    code_temperature: float = 0.0
    seed: int = 0
    turn_taking: TurnTaking | None = None


GREEDY = Decoding()


class Session:
    """A batch of conversations. After a step, `text` (B,) has the token of the next frame, and `codes` (B, 4) the
    codes of the frame just played, including speech BOS and EOS. `user_text` (B,), None unless the model has
    `user_text`, is the most likely token of the user's channel for the next frame."""

    def __init__(
        self,
        model: DuplexModel,
        codec: AnyCodec,
        batch: int = 1,
        context_frames: int = CONTEXT_FRAMES,
        decoding: Decoding = GREEDY,
        marks: Marks | None = None,
    ) -> None:
        """`batch` may be 0: rows join later. `marks` decides on BOS and EOS in place of `decoding.turn_taking`."""
        self.model, self.context_frames, self.decoding = model.eval(), context_frames, decoding
        self.device = next(model.parameters()).device
        silence = codec.silence().long()  # played for frames without speech
        self._silence = silence.to(self.device)
        self._decoder = codec.stream(0, lead=silence.expand(8, CODEBOOKS), device=self.device)
        self._cache = WindowCache(context_frames, self.device)
        self._rows: list[int] = []
        """Each conversation's index in the state tensors, which have spare rows on a GPU."""
        self._places = torch.empty(0, dtype=torch.long, device=self.device)
        """The same, on the device."""
        self._text = torch.empty(0, dtype=torch.long, device=self.device)
        self._user_text = torch.empty(0, dtype=torch.long, device=self.device)
        self._codes = torch.empty(0, CODEBOOKS, dtype=torch.long, device=self.device)
        self._encoder_state = model.encoder.initial_state(0)
        turn_taking = decoding.turn_taking
        self._turns = marks or (Turns(turn_taking, model.special, 0, self.device) if turn_taking else None)
        self._graph: Graph | None = None
        self._random: list[torch.Generator] = []
        for _ in range(batch):
            self.join()

    @property
    def text(self) -> Tensor:
        return self._text[self._places]

    @property
    def user_text(self) -> Tensor | None:
        return self._user_text[self._places] if self.model.has_user_text else None

    @property
    def codes(self) -> Tensor:
        return self._codes[self._places]

    @torch.inference_mode()
    def join(self) -> int:
        """Add a conversation as the last row; returns its number."""
        if len(self._rows) == len(self._text):
            self._seat(self._room(len(self._rows) + 1))
        self._rows.append(next(place for place in range(len(self._text)) if place not in self._rows))
        self._places = torch.tensor(self._rows, device=self.device)
        self._random.append(torch.Generator())
        self._decoder.join()
        self.reset(len(self._rows) - 1)
        return len(self._rows) - 1

    @torch.inference_mode()
    def leave(self, row: int) -> None:
        """Remove a conversation's row; later rows move up by one."""
        del self._rows[row], self._random[row]
        self._decoder.leave(row)
        self._places = torch.tensor(self._rows, dtype=torch.long, device=self.device)
        room = self._room(len(self._rows))
        if room < len(self._text) and (self._graph is None or 4 * room <= len(self._text)):
            self._seat(room)

    @torch.inference_mode()
    def reset(self, row: int) -> None:
        """Clear a row's state for a new conversation; the other rows continue."""
        place = self._rows[row]
        self._text[place] = self._user_text[place] = self.model.special.pad
        self._codes[place] = SPEECH_DELAY
        for part, fresh in zip(self._encoder_state, self.model.encoder.initial_state(1), strict=True):
            part[place] = fresh[0]
        self._random[row].manual_seed(self.decoding.seed)
        if self._turns is not None:
            self._turns.reset(place)
        self._decoder.reset(row)
        self._cache.forget(place)

    def _room(self, conversations: int) -> int:
        """Number of state rows: on a GPU a power of two, so that joining and leaving rarely requires capturing a new
        graph."""
        if self.device.type != "cuda" or conversations == 0:
            return conversations
        return 1 << (conversations - 1).bit_length()

    def _seat(self, places: int) -> None:
        self._text, self._user_text, self._codes, *self._encoder_state = (
            seated(part, self._rows, places)
            for part in (self._text, self._user_text, self._codes, *self._encoder_state)
        )
        self._cache.seat(self._rows, places)
        if self._turns is not None:
            self._turns.seat(self._rows, places)
        self._rows = list(range(len(self._rows)))
        self._places = torch.tensor(self._rows, dtype=torch.long, device=self.device)
        self._graph = None

    def step(self, user: Tensor) -> Tensor:
        """The next frame of every conversation: user audio (B, 1 280) float32 in [-1, 1] → agent audio (B, 1 764)."""
        return self.sound(self.think(user)[:, None])

    def sound(self, codes: Tensor) -> Tensor:
        """Decode the output of `think` for one or more frames, (B, frames, 4), to audio (B, frames · 1 764)."""
        return self._decoder.decode(codes.cpu())

    @torch.inference_mode()
    def think(self, user: Tensor) -> Tensor:
        """The first half of `step`: the codes to play (B, 4), silence where the agent does not speak. Callers without a
        real-time listener may collect codes and decode many frames together, which is faster."""
        if user.shape != (len(self._rows), SOURCE_FRAME):
            raise ValueError(f"user must be ({len(self._rows)}, {SOURCE_FRAME}), not {tuple(user.shape)}")
        placed = torch.zeros(len(self._text), SOURCE_FRAME)
        placed[self._rows] = user
        placed = placed.to(self.device)
        encoded, self._encoder_state = self.model.encoder(placed, self._encoder_state)
        if self._graph is None and self.device.type == "cuda":
            self._graph = Graph(self._answer, encoded)
        text_logits, code_logits, *user_logits = (self._graph or self._answer)(encoded)
        self._cache.advance()
        if self._turns is not None:
            text_logits = self._turns(text_logits, placed, self._user_text if self.model.has_user_text else None)
        text = self._choose(text_logits[self._places], self.decoding.temperature)
        codes = self._choose(code_logits[self._places], self.decoding.code_temperature)
        self._text[self._places], self._codes[self._places] = text, codes
        for logits in user_logits:
            self._user_text[self._places] = logits[self._places].argmax(-1)
        return torch.where((codes < CODEBOOK_SIZE).all(-1, keepdim=True), codes, self._silence)

    def _answer(self, encoded: Tensor) -> tuple[Tensor, ...]:
        """Run the LLM on the encoded user frame (B, 1, width) and its own previous output, for all state rows: logits
        (B, …) of text, of codes and, if the model has it, of the user's text."""
        vectors = self.model.embed(self._text[:, None], self._codes[:, None], self._user_text[:, None]) + encoded
        # Positions keep counting although old frames are dropped: rotary attention depends only on distances.
        positions = self._cache.positions()
        mask = self._cache.mask(positions, self.model.code_head.weight.dtype)
        hidden = self.model.hidden(vectors, self._cache, positions, mask)[:, 0]
        user = (self.model.user_text_head(hidden),) if self.model.has_user_text else ()
        return (*self.model.heads(hidden), *user)

    def _choose(self, logits: Tensor, temperature: float) -> Tensor:
        return logits.argmax(-1) if temperature == 0 else sample(logits.float() / temperature, self._random)


def sample(logits: Tensor, random: Sequence[torch.Generator]) -> Tensor:
    """Tokens drawn from the softmax of logits (B, …, V), each row with its own generator: int64 (B, …).

    Each token takes a single random number, which is looked up in the cumulative distribution. Noise on every logit
    would take five times as long."""
    bounds = logits.softmax(-1).cumsum(-1)
    draws = torch.stack([torch.rand(logits.shape[1:-1], generator=one) for one in random]).to(logits.device)
    tokens = torch.searchsorted(bounds, (draws * bounds[..., -1])[..., None], right=True)[..., 0]
    return tokens.clamp(max=logits.shape[-1] - 1)


class Graph:
    """A function of a tensor whose GPU work is captured once and then replayed with a single launch."""

    def __init__(self, function: Callable[[Tensor], tuple[Tensor, ...]], example: Tensor) -> None:
        """Other memory that `function` reads and writes must stay in place; running it twice must have the same effect
        as running it once."""
        self._input = example.clone()
        warm_up = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        warm_up.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(warm_up):  # the initialization of libraries can't be captured
            function(self._input)
        torch.cuda.current_stream().wait_stream(warm_up)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output = function(self._input)

    def __call__(self, value: Tensor) -> tuple[Tensor, ...]:
        self._input.copy_(value)
        self._graph.replay()
        return self._output
