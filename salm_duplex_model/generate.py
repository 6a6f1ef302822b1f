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
    user_text: Tensor | None = None
    """The user's text, aligned like `text`; None if the model does not have it."""


@torch.inference_mode()
def greedy(model: DuplexModel, audio: Tensor, turn_taking: TurnTaking | None = None) -> Decoded:
    """Answer the user's audio (B, frames · 1 280) with the most likely token and codes of every frame; with
    `turn_taking`, BOS and EOS are chosen by their summed probabilities."""
    user, _ = model.encoder(audio)
    batch, frames = user.shape[:2]
    text = torch.full((batch, frames + 1), model.special.pad, device=audio.device)
    codes = torch.full((batch, frames + 1, CODEBOOKS), SPEECH_DELAY, device=audio.device)
    user_text = torch.full_like(text, model.special.pad) if model.has_user_text else None
    cache = DynamicCache()
    turns = Turns(turn_taking, model.special, batch, audio.device) if turn_taking else None
    for t in range(frames):
        here = slice(t, t + 1)
        user_input = None if user_text is None else user_text[:, here]
        hidden = model.hidden(model.embed(text[:, here], codes[:, here], user_input) + user[:, here], cache)[:, 0]
        text_logits, code_logits = model.heads(hidden)
        if turns is not None:
            said = None if user_text is None else user_text[:, t]
            text_logits = turns(text_logits, audio[:, t * SOURCE_FRAME : (t + 1) * SOURCE_FRAME], said)
        text[:, t + 1] = text_logits.argmax(-1)
        codes[:, t + 1] = code_logits.argmax(-1)
        if user_text is not None:
            user_text[:, t + 1] = model.user_text_head(hidden).argmax(-1)
    # The speech channel is one frame behind: the output at t + 1 is the audio of frame t.
    return Decoded(text[:, :frames], codes[:, 1:], None if user_text is None else user_text[:, :frames])
