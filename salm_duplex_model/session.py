"""The streaming session: 80 ms of the user's audio in, 80 ms of the agent's out, many conversations side by side.

It is the offline pass of `generate.py`, one frame at a time: encoder, LLM and codec decoder each keep what they need of the
past. The LLM remembers a window of frames, so a session of any length takes the same memory.
"""

import torch
from torch import Tensor
from transformers import DynamicCache

from manifests.frames import CODEBOOK_SIZE, CODEBOOKS, SOURCE_FRAME, TARGET_FRAME
from salm_duplex_model.channels import SPEECH_DELAY
from salm_duplex_model.codec import Codec
from salm_duplex_model.model import DuplexModel

CONTEXT_FRAMES = 2_048
"""About 164 s, longer than nearly every dialogue of a corpus: what the LLM has learned to look back on."""


class Session:
    """A batch of conversations. After a step `text` (B,) holds the token of the frame to come, `codes` (B, 4) the codes of
    the frame just played, speech BOS and EOS among them."""

    def __init__(
        self,
        model: DuplexModel,
        codec: Codec,
        batch: int = 1,
        context_frames: int = CONTEXT_FRAMES,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        """`temperature` 0 takes the likeliest token and codes, above it they are drawn from `seed`."""
        self.model, self.context_frames, self.temperature = model.eval(), context_frames, temperature
        self.device = next(model.parameters()).device
        self.frame = 0
        self.text = torch.full((batch,), model.special.pad, device=self.device)
        self.codes = torch.full((batch, CODEBOOKS), SPEECH_DELAY, device=self.device)
        self._encoder_state = model.encoder.initial_state(batch)
        self._cache = DynamicCache()
        self._decoder = codec.stream(batch)
        # A frame that is no speech is played as silence: the middle one of many, where the codec has settled.
        self._silence = codec.encode(torch.zeros(1, 31 * TARGET_FRAME))[0, 15].long().to(self.device)
        self._decoder.decode(self._silence.cpu().expand(batch, 8, CODEBOOKS))  # a decoder starts with a click
        self._random = torch.Generator(self.device).manual_seed(seed)

    @torch.inference_mode()
    def step(self, user: Tensor) -> Tensor:
        """The next frame of every conversation: user audio (B, 1 280) float32 in [-1, 1] → agent audio (B, 1 764)."""
        if user.shape != (len(self.text), SOURCE_FRAME):
            raise ValueError(f"user must be ({len(self.text)}, {SOURCE_FRAME}), not {tuple(user.shape)}")
        heard, self._encoder_state = self.model.encoder(user.to(self.device), self._encoder_state)
        vectors = self.model.embed(self.text[:, None], self.codes[:, None]) + heard
        # The position counts on though old frames are forgotten: rotary attention looks at distances alone.
        position = torch.full((len(self.text), 1), self.frame, device=self.device)
        hidden = self.model.hidden(vectors, self._cache, position)
        text_logits, code_logits = self.model.heads(hidden[:, 0])
        self.text, self.codes = self._choose(text_logits), self._choose(code_logits)
        self._forget()
        self.frame += 1
        played = torch.where((self.codes < CODEBOOK_SIZE).all(-1, keepdim=True), self.codes, self._silence)
        return self._decoder.decode(played[:, None].cpu())

    def _choose(self, logits: Tensor) -> Tensor:
        if self.temperature == 0:
            return logits.argmax(-1)
        shares = (logits.float() / self.temperature).softmax(-1)
        drawn = torch.multinomial(shares.flatten(0, -2), 1, generator=self._random)
        return drawn.view(logits.shape[:-1])

    def _forget(self) -> None:
        """Drop what lies before the window, some frames at a time: each drop copies the rest."""
        if self._cache.get_seq_length() < self.context_frames + self.context_frames // 8:
            return
        for layer in self._cache.layers:
            layer.keys = layer.keys[:, :, -self.context_frames :].contiguous()
            layer.values = layer.values[:, :, -self.context_frames :].contiguous()
