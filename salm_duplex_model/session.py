"""The streaming session: 80 ms of the user's audio in, 80 ms of the agent's out, many conversations side by side.

It is the offline pass of `generate.py`, one frame at a time: encoder, LLM and codec decoder each keep what they need of the
past. The LLM remembers a window of frames, so a session of any length takes the same memory. Conversations are rows of one
batch, which come and go while the others go on.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from manifests.frames import CODEBOOK_SIZE, CODEBOOKS, SOURCE_FRAME
from salm_duplex_model.channels import SPEECH_DELAY
from salm_duplex_model.codec.nemo import AnyCodec
from salm_duplex_model.model import DuplexModel
from salm_duplex_model.window_cache import WindowCache

CONTEXT_FRAMES = 2_048
"""About 164 s, longer than nearly every dialogue of a corpus: what the LLM has learned to look back on."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How text tokens and codes are chosen: at temperature 0 the likeliest, above it drawn, each conversation from `seed` by
    itself, so that it does not matter who else is there."""

    temperature: float = 0.0
    code_temperature: float = 0.0
    seed: int = 0


GREEDY = Decoding()


class Session:
    """A batch of conversations. After a step `text` (B,) holds the token of the frame to come, `codes` (B, 4) the codes of
    the frame just played, speech BOS and EOS among them."""

    def __init__(
        self,
        model: DuplexModel,
        codec: AnyCodec,
        batch: int = 1,
        context_frames: int = CONTEXT_FRAMES,
        decoding: Decoding = GREEDY,
    ) -> None:
        """`batch` may be 0: rows join later."""
        self.model, self.context_frames, self.decoding = model.eval(), context_frames, decoding
        self.device = next(model.parameters()).device
        silence = codec.silence().long()  # what a frame that is no speech is played as
        self._silence = silence.to(self.device)
        self._decoder = codec.stream(0, lead=silence.expand(8, CODEBOOKS))
        self._cache = WindowCache(context_frames)
        self.text = torch.empty(0, dtype=torch.long, device=self.device)
        self.codes = torch.empty(0, CODEBOOKS, dtype=torch.long, device=self.device)
        self._encoder_state = model.encoder.initial_state(0)
        self._random: list[torch.Generator] = []
        for _ in range(batch):
            self.join()

    @torch.inference_mode()
    def join(self) -> int:
        """A new conversation, as the last row: its number."""
        self.text = torch.cat([self.text, self.text.new_full((1,), self.model.special.pad)])
        self.codes = torch.cat([self.codes, self.codes.new_full((1, CODEBOOKS), SPEECH_DELAY)])
        fresh = self.model.encoder.initial_state(1)
        self._encoder_state = [torch.cat(pair) for pair in zip(self._encoder_state, fresh, strict=True)]
        self._random.append(torch.Generator().manual_seed(self.decoding.seed))
        self._decoder.join()
        self._cache.join()
        return len(self.text) - 1

    @torch.inference_mode()
    def leave(self, row: int) -> None:
        """A conversation ends: its row goes, and those after it move up by one."""
        self.text, self.codes, *self._encoder_state = (
            torch.cat([part[:row], part[row + 1 :]]) for part in (self.text, self.codes, *self._encoder_state)
        )
        del self._random[row]
        self._decoder.leave(row)
        self._cache.leave(row)

    @torch.inference_mode()
    def reset(self, row: int) -> None:
        """The row begins a new conversation, which knows nothing of the one before; the other rows go on."""
        self.text[row] = self.model.special.pad
        self.codes[row] = SPEECH_DELAY
        for part, fresh in zip(self._encoder_state, self.model.encoder.initial_state(1), strict=True):
            part[row] = fresh[0]
        self._random[row].manual_seed(self.decoding.seed)
        self._decoder.reset(row)
        self._cache.forget(row)

    def step(self, user: Tensor) -> Tensor:
        """The next frame of every conversation: user audio (B, 1 280) float32 in [-1, 1] → agent audio (B, 1 764)."""
        return self.sound(self.think(user)[:, None])

    def sound(self, codes: Tensor) -> Tensor:
        """What `think` gave for one frame or several, (B, frames, 4), as audio (B, frames · 1 764)."""
        return self._decoder.decode(codes.cpu())

    @torch.inference_mode()
    def think(self, user: Tensor) -> Tensor:
        """The first half of `step`: the codes to play (B, 4), silence where the agent does not speak. Whoever does not listen
        at once may gather them, and have many frames decoded together, which takes less time."""
        if user.shape != (len(self.text), SOURCE_FRAME):
            raise ValueError(f"user must be ({len(self.text)}, {SOURCE_FRAME}), not {tuple(user.shape)}")
        heard, self._encoder_state = self.model.encoder(user.to(self.device), self._encoder_state)
        vectors = self.model.embed(self.text[:, None], self.codes[:, None]) + heard
        # Positions count on though old frames are forgotten: rotary attention looks at distances alone.
        positions = self._cache.positions().to(self.device)
        mask = self._cache.mask(positions, vectors.dtype)
        hidden = self.model.hidden(vectors, self._cache, positions, mask)
        self._cache.advance()
        text_logits, code_logits = self.model.heads(hidden[:, 0])
        self.text = self._choose(text_logits, self.decoding.temperature)
        self.codes = self._choose(code_logits, self.decoding.code_temperature)
        return torch.where((self.codes < CODEBOOK_SIZE).all(-1, keepdim=True), self.codes, self._silence)

    def _choose(self, logits: Tensor, temperature: float) -> Tensor:
        if temperature == 0:
            return logits.argmax(-1)
        # The largest of the logits with Gumbel noise is a draw from their softmax.
        noise = torch.stack([torch.empty(logits.shape[1:]).exponential_(generator=draw) for draw in self._random])
        return (logits.float() / temperature - noise.log().to(self.device)).argmax(-1)
