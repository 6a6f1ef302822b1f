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
    for codes in answers(session, user_channels(cuts, frames)):
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
    record = Record(Session(model, codec, batch=len(cuts), decoding=decoding))
    channels = _talk(users, record)
    rows = record.rows([user.frames or 0 for user in users])
    for cut, user, channel, (audio, tokens, user_tokens) in zip(cuts, users, channels, rows, strict=True):
        yield Played(happened(cut, user, channel), audio, tokens, user_tokens, cut, user.kept())


def _talk(users: Sequence[LiveUser], record: "Record") -> np.ndarray:
    """Let the users talk to the agents of a new session; returns the user channels, float32 (B, samples)."""
    inputs = []
    while not all(user.over for user in users):
        tokens = record.session.text.tolist()
        inputs.append(np.stack([user.frame(token) for user, token in zip(users, tokens, strict=True)]))
        record.add(record.session.think(torch.from_numpy(inputs[-1])))
    return np.stack(inputs, 1).reshape(len(users), -1)


class Record:
    """The codes and text of a session, from its first frame on."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._codes: list[torch.Tensor] = []
        self._text, self._user_text = [session.text], [session.user_text]

    def add(self, codes: torch.Tensor) -> None:
        """Add a step's codes (B, 4) and the session's current text."""
        self._codes.append(codes)
        self._text.append(self.session.text)
        self._user_text.append(self.session.user_text)

    def rows(self, frames: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """Audio, text and, if the model has it, the user's text of each conversation, cut to its number of `frames`."""
        # Nobody listens live, and decoding many frames at once is much faster.
        stretches = torch.split(torch.stack(self._codes, 1), STRETCH, dim=1)
        sound = torch.cat([self.session.sound(stretch).cpu() for stretch in stretches], 1).numpy()
        known = [tokens for tokens in self._user_text if tokens is not None]
        user_text = torch.stack(known, 1).cpu().numpy() if known else None
        for row, (length, text) in enumerate(zip(frames, self.texts(frames), strict=True)):
            own = None if user_text is None else user_text[row, :length]
            yield sound[row, : length * TARGET_FRAME], text, own

    def texts(self, frames: Sequence[int]) -> list[np.ndarray]:
        """Text of each conversation, cut to its number of `frames`."""
        text = torch.stack(self._text, 1).cpu().numpy()
        return [text[row, :length] for row, length in enumerate(frames)]


def written(
    model: DuplexModel,
    codec: AnyCodec,
    cuts: Sequence[MonoCut],
    decoding: Decoding = GREEDY,
    *,
    closed_loop: bool = False,
) -> Iterator[tuple[MonoCut, np.ndarray]]:
    """Like `play` or, in a closed loop, `converse`, but without audio, in half the time: each cut, in a closed loop of
    the conversation as it happened, and its text channel, int64 (T,)."""
    record = Record(Session(model, codec, batch=len(cuts), decoding=decoding))
    if closed_loop:
        users = [LiveUser(script_of(cut), model.special) for cut in cuts]
        channels = _talk(users, record)
        frames = [user.frames or 0 for user in users]
        cuts = [happened(*one) for one in zip(cuts, users, channels, strict=True)]
    else:
        frames = frames_played(cuts)
        for codes in answers(record.session, user_channels(cuts, frames)):
            record.add(codes)
    yield from zip(cuts, record.texts(frames), strict=True)


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


def answers(session: Session, user: torch.Tensor) -> Iterator[torch.Tensor]:
    """For each of the users' frames (B, T, 1 280): the codes to play (B, 4)."""
    for t in range(user.shape[1]):
        yield session.think(user[:, t])
