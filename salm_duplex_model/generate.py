"""Greedy decoding of a complete recording, frame by frame with the LLM's cache."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from manifests.frames import CODEBOOKS, SOURCE_FRAME
from salm_duplex_model.channels import SPEECH_DELAY
from salm_duplex_model.model import DuplexModel
from salm_duplex_model.turn_taking import Turns, TurnTaking


@dataclass(frozen=True, slots=True)
class Decoded:
    """`text` (B, T) is aligned to frames, with PAD in frame 0; `codes` (B, T, 4) may contain speech BOS and EOS."""

    text: Tensor
    codes: Tensor


@torch.inference_mode()
def greedy(model: DuplexModel, audio: Tensor, turn_taking: TurnTaking | None = None) -> Decoded:
    """Answer the user's audio (B, frames · 1 280) with the likeliest token and codes of every frame, and, with
    `turn_taking`, BOS and EOS by their summed probabilities."""
    user, _ = model.encoder(audio)
    batch, frames = user.shape[:2]
    text = torch.full((batch, frames + 1), model.special.pad, device=audio.device)
    codes = torch.full((batch, frames + 1, CODEBOOKS), SPEECH_DELAY, device=audio.device)
    cache = DynamicCache()
    turns = Turns(turn_taking, model.special, batch, audio.device) if turn_taking else None
    for t in range(frames):
        vectors = model.embed(text[:, t : t + 1], codes[:, t : t + 1]) + user[:, t : t + 1]
        text_logits, code_logits = (logits[:, 0] for logits in model.heads(model.hidden(vectors, cache)))
        if turns is not None:
            text_logits = turns(text_logits, audio[:, t * SOURCE_FRAME : (t + 1) * SOURCE_FRAME])
        text[:, t + 1] = text_logits.argmax(-1)
        codes[:, t + 1] = code_logits.argmax(-1)
    # The speech channel is one frame behind: the output at t + 1 is the audio of frame t.
    return Decoded(text[:, :frames], codes[:, 1:])
