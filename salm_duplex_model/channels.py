"""The agent's channels as seen by the model: the inputs and labels of each frame.

The arrangement is that of NeMo 3's `DuplexS2SModel.prepare_inputs`: where text is BOS or EOS, the four codes are
speech BOS or EOS; the speech channel is one frame behind the text, and its first frame is the speech-delay id;
position t, which sees the user's frame t and the agent's own frame t, predicts the agent's frame t + 1. So at
position t, the model predicts the text of frame t + 1 and the audio codes of frame t."""

from dataclasses import dataclass

import torch
from torch import Tensor

from manifests.frames import CODEBOOK_SIZE, CODEBOOKS
from manifests.text_channel import SpecialTokens
from salm_duplex_model.config import TokenWeights

SPEECH_BOS, SPEECH_EOS, SPEECH_DELAY = CODEBOOK_SIZE, CODEBOOK_SIZE + 1, CODEBOOK_SIZE + 2
SPEECH_VOCABULARY = CODEBOOK_SIZE + 3


@dataclass(frozen=True, slots=True)
class Channels:
    """Inputs and labels of T − 1 positions: text (B, T − 1), codes (B, T − 1, 4); `valid` (B, T − 1) is false on
    padding."""

    text_inputs: Tensor
    code_inputs: Tensor
    text_labels: Tensor
    code_labels: Tensor
    valid: Tensor
    user_inputs: Tensor | None = None
    user_labels: Tensor | None = None
    """The user's text (B, T − 1), if the model has it."""


def arrange(
    text: Tensor, codes: Tensor, frames: Tensor, special: SpecialTokens, user_text: Tensor | None = None
) -> Channels:
    """Arrange text (B, T), codes (B, T, 4) and the user's text (B, T), padded beyond each row's `frames` (B,)."""
    mark = text[..., None]
    codes = torch.where(mark == special.bos, SPEECH_BOS, codes)
    codes = torch.where(mark == special.eos, SPEECH_EOS, codes)
    delay = codes.new_full((len(codes), 1, CODEBOOKS), SPEECH_DELAY)
    codes = torch.cat([delay, codes[:, :-1]], dim=1)
    positions = torch.arange(text.shape[1] - 1, device=text.device)
    return Channels(
        text_inputs=text[:, :-1],
        code_inputs=codes[:, :-1],
        text_labels=text[:, 1:],
        code_labels=codes[:, 1:],
        valid=positions < (frames - 1).to(text.device, non_blocking=True)[:, None],
        user_inputs=None if user_text is None else user_text[:, :-1],
        user_labels=None if user_text is None else user_text[:, 1:],
    )


def text_label_weights(text: Tensor, special: SpecialTokens, weights: TokenWeights) -> Tensor | None:
    """The loss weight of each token of a text channel (B, T), float32 (B, T); None if all weights are 1.

    The weighted sum is divided by the number of frames, as in NeMo's `DuplexSTTModel` (3.0), and not by the sum of
    the weights. So a label has the same weight in every batch, and the losses of a batch's parts add up. A low weight
    of PAD makes the whole text loss smaller; `loss.text_weight` can compensate for that."""
    if weights == TokenWeights():
        return None
    pad, bos, eos = (text == token for token in (special.pad, special.bos, special.eos))
    inside = inside_turns(text, special)
    found = torch.full(text.shape, weights.text, dtype=torch.float32, device=text.device)
    kinds = ((pad, weights.pad), (pad & inside, weights.inside), (bos, weights.bos), (eos, weights.eos))
    for tokens, weight in kinds:
        found.masked_fill_(tokens, weight)
    return found


def inside_turns(text: Tensor, special: SpecialTokens) -> Tensor:
    """Whether the latest mark of a text channel (B, T), up to and including each frame, is BOS: bool (B, T)."""
    bos, eos = text == special.bos, text == special.eos
    # The position of the latest BOS or EOS: odd after BOS.
    places = torch.arange(2, 2 * text.shape[1] + 2, 2, device=text.device)
    return torch.where(bos | eos, places + bos, 0).cummax(1).values % 2 == 1
