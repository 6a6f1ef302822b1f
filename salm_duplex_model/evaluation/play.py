"""Play a test set's user channels to a model, frame by frame and in batches, and record its answers.

With `play` the loop is open: the user speaks as recorded, whatever the agent does. With `converse` it is closed: the
user says the same turns but reacts to the agent (`live_user.py`). Frame t of the agent is the output for frame t of the
user, as in a corpus; a live session adds the 80 ms that it takes to record that frame.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from lhotse import MonoCut

from manifests.frames import FRAME_SECONDS, SOURCE_FRAME, TARGET_FRAME
from salm_duplex_model.batch import frames_of
from salm_duplex_model.codec.nemo import AnyCodec
from salm_duplex_model.evaluation.happened import happened
from salm_duplex_model.evaluation.live_user import LiveUser
from salm_duplex_model.evaluation.metrics import TAIL_S
from salm_duplex_model.evaluation.script import script_of
from salm_duplex_model.model import DuplexModel
from salm_duplex_model.session import GREEDY, Decoding, Session

STRETCH = 25
"""Frames decoded together."""


@dataclass(frozen=True, slots=True)
class Played:
    """The agent's output in a dialogue and its tail: `audio` float32 (T · 1 764,) at 22 050 Hz, `tokens` int64 (T,),
    and `user_tokens` int64 (T,) if the model has the user's text channel.

    In a closed loop, `cut` is the conversation as it happened and `recorded` the test cut; `kept` holds samples of how
    closely the script was followed, by metric.
    """

    cut: MonoCut
    audio: np.ndarray
    tokens: np.ndarray
    user_tokens: np.ndarray | None = None
    recorded: MonoCut | None = None
    kept: dict[str, list[float]] = field(default_factory=dict)


def batches(cuts: Sequence[MonoCut], batch: int) -> list[list[MonoCut]]:
    """Batches of similar length, longest first, so that running out of memory shows at once."""
    ordered = sorted(cuts, key=lambda cut: (-frames_of(cut), cut.id))
    return [ordered[first : first + batch] for first in range(0, len(ordered), batch)]


def play(model: DuplexModel, codec: AnyCodec, cuts: Sequence[MonoCut], decoding: Decoding = GREEDY) -> Iterator[Played]:
    """Play one batch of cuts, padded with silence to the longest plus `TAIL_S`."""
    session = Session(model, codec, batch=len(cuts), decoding=decoding)
    frames = frames_played(cuts)
    record = Record(session)
    for codes, *_ in answers(session, user_channels(cuts, frames)):
        record.add(codes)
    for cut, (audio, tokens, user_tokens) in zip(cuts, record.rows(frames), strict=True):
        yield Played(cut, audio, tokens, user_tokens)


def converse(
    model: DuplexModel, codec: AnyCodec, cuts: Sequence[MonoCut], decoding: Decoding = GREEDY
) -> Iterator[Played]:
    """Let the users of one batch of cuts talk to the agent until each conversation is over, plus `TAIL_S`.

    Raises `RequestError` for a cut whose user channel can't be split into turns.
    """
    users = [LiveUser(script_of(cut), model.special) for cut in cuts]
    session = Session(model, codec, batch=len(cuts), decoding=decoding)
    record, inputs = Record(session), []
    while not all(user.over for user in users):
        inputs.append(np.stack([user.frame(token) for user, token in zip(users, session.text.tolist(), strict=True)]))
        record.add(session.think(torch.from_numpy(inputs[-1])))
    channels = np.stack(inputs, 1).reshape(len(users), -1)
    rows = record.rows([user.frames or 0 for user in users])
    for cut, user, channel, (audio, tokens, user_tokens) in zip(cuts, users, channels, rows, strict=True):
        yield Played(happened(cut, user, channel), audio, tokens, user_tokens, cut, user.kept())


class Record:
    """The codes and text of a session, from its first frame on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._codes: list[torch.Tensor] = []
        self._text, self._user_text = [session.text], [session.user_text]

    def add(self, codes: torch.Tensor) -> None:
        """Add a step's codes (B, 4) and the session's current text."""
        self._codes.append(codes)
        self._text.append(self._session.text)
        self._user_text.append(self._session.user_text)

    def rows(self, frames: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """Audio, text and, if the model has it, the user's text of each conversation, cut to its number of `frames`."""
        # Nobody listens live, and decoding many frames at once is much faster.
        stretches = torch.split(torch.stack(self._codes, 1), STRETCH, dim=1)
        sound = torch.cat([self._session.sound(stretch).cpu() for stretch in stretches], 1).numpy()
        text = torch.stack(self._text, 1).cpu().numpy()
        known = [tokens for tokens in self._user_text if tokens is not None]
        user_text = torch.stack(known, 1).cpu().numpy() if known else None
        for row, length in enumerate(frames):
            own = None if user_text is None else user_text[row, :length]
            yield sound[row, : length * TARGET_FRAME], text[row, :length], own


def written(
    model: DuplexModel, codec: AnyCodec, cuts: Sequence[MonoCut], decoding: Decoding = GREEDY
) -> Iterator[tuple[MonoCut, np.ndarray]]:
    """Like `play` but without audio, in half the time: each cut and its text channel, int64 (T,)."""
    session = Session(model, codec, batch=len(cuts), decoding=decoding)
    frames = frames_played(cuts)
    tokens = [session.text, *(text for _, text, _ in answers(session, user_channels(cuts, frames)))]
    channels = torch.stack(tokens, 1).cpu().numpy()
    for row, (cut, length) in enumerate(zip(cuts, frames, strict=True)):
        yield cut, channels[row, :length]


def frames_played(cuts: Sequence[MonoCut]) -> list[int]:
    """Each cut's frames with its tail."""
    return [frames_of(cut) + round(TAIL_S / FRAME_SECONDS) for cut in cuts]


def user_channels(cuts: Sequence[MonoCut], frames: Sequence[int]) -> torch.Tensor:
    """The users' audio, each padded with silence to the most `frames`: float32 (B, T, 1 280)."""
    user = torch.zeros(len(cuts), max(frames), SOURCE_FRAME)
    for row, cut in enumerate(cuts):
        samples = torch.from_numpy(cut.load_audio()[0])
        user[row].view(-1)[: len(samples)] = samples
    return user


def answers(session: Session, user: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]]:
    """For each of the users' frames (B, T, 1 280): the codes to play (B, 4), and the next frame's text and user text (B,)."""
    for t in range(user.shape[1]):
        yield session.think(user[:, t]), session.text, session.user_text
