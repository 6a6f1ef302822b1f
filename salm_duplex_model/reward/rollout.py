"""Conversations for training by rewards: a dialogue's user talks to several copies of the agent, each of which draws its
decisions from its own seed; and the same decisions' probabilities in one offline pass, with gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lhotse import MonoCut
from torch import Tensor

from manifests.frames import SOURCE_FRAME
from salm_duplex_model.channels import SPEECH_DELAY
from salm_duplex_model.codec.nemo import AnyCodec
from salm_duplex_model.evaluation.play import answers, frames_played, user_channels
from salm_duplex_model.model import DuplexModel
from salm_duplex_model.reward.policy import DrawnMarks, decisions, log_chances
from salm_duplex_model.session import Decoding, Session


@dataclass(frozen=True, slots=True)
class Group:
    """G conversations about one dialogue, T frames with its tail, as the model read them.

    `audio` float32 (1, T · 1 280) is the user's, `text` (G, T) the agent's; `codes` (G, T − 1, 4) are those that it read
    in each frame, its own of the frame before, and `user_text` (G, T − 1) likewise, if the model has it. The
    `log_probabilities` (G, T − 1) are those of the decision of each frame but the first, as drawn.
    """

    cut: MonoCut
    audio: Tensor
    text: Tensor
    codes: Tensor
    user_text: Tensor | None
    log_probabilities: Tensor


def roll_out(
    model: DuplexModel,
    codec: AnyCodec,
    cuts: Sequence[MonoCut],
    seeds: Sequence[int],
    code_temperature: float = 0.0,
    code_seed: int = 0,
) -> list[Group]:
    """Play each cut to equally many copies of the agent, all at once, one for each of the `seeds`, cut by cut. The codes
    of all conversations are drawn from `code_seed`, so that they differ only by decisions."""
    group = len(seeds) // len(cuts)
    frames = frames_played(cuts)
    user = user_channels(cuts, frames)
    device = next(model.parameters()).device
    marks = DrawnMarks(model.special, seeds, device)
    decoding = Decoding(code_temperature=code_temperature, seed=code_seed)
    session = Session(model, codec, batch=len(seeds), decoding=decoding, marks=marks)
    text, codes, written = [session.text], [torch.full_like(session.codes, SPEECH_DELAY)], [session.user_text]
    for _ in answers(session, user.repeat_interleave(group, 0)):
        text.append(session.text)
        codes.append(session.codes)
        written.append(session.user_text)
    known = [one for one in written if one is not None]
    user_text = torch.stack(known, 1) if known else None
    drawn = torch.stack(marks.log_probabilities, 1)
    channels, read = torch.stack(text, 1), torch.stack(codes, 1)
    groups = []
    for number, (cut, length) in enumerate(zip(cuts, frames, strict=True)):
        rows = slice(number * group, (number + 1) * group)
        groups.append(
            Group(
                cut,
                user[number, :length].reshape(1, length * SOURCE_FRAME).to(device),
                channels[rows, :length],
                read[rows, : length - 1],
                None if user_text is None else user_text[rows, : length - 1],
                drawn[rows, : length - 1].clone(),
            )
        )
    return groups


def chances_of(model: DuplexModel, group: Group) -> Tensor:
    """`log_chances` (G, T − 1, 2) of a group's decisions. The model reads all of its own codes, as in a session: a
    share of them is dropped (`data.code_dropout`) in supervised training only."""
    marks, _ = decisions(group.text, model.special)
    frames = torch.tensor([group.text.shape[1]])
    heard, _ = model.encoder(group.audio, frames=frames)
    vectors = model.embed(group.text[:, :-1], group.codes, group.user_text) + heard[:, :-1]
    return log_chances(model.text_head(model.hidden(vectors)), marks)


def text_of(group: Group) -> np.ndarray:
    """The agents' text channels, int64 (G, T)."""
    channels: np.ndarray = group.text.cpu().numpy()
    return channels
