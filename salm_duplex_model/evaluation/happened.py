"""The cut of a closed loop: labels and user channel of the actual conversation, for the same metrics as any other cut."""

import io
from typing import Any

import numpy as np
import soundfile
from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.utils import fastcopy

from manifests.frames import FRAME_SECONDS, SOURCE_FRAME, SOURCE_RATE, to_samples
from manifests.records import Event
from salm_duplex_model.evaluation.live_user import TAIL_FRAMES, LiveUser


def happened(cut: MonoCut, user: LiveUser, channel: np.ndarray) -> MonoCut:
    """`cut` with the labels of `user`, whose conversation is over, and `channel`, its user channel float32 (samples,)
    at 16 kHz.

    The result lasts until the tail. Turns of the reference agent are where it would have spoken in this conversation;
    its audio and codes are those of `cut`.
    """
    assert user.frames is not None
    frames = user.frames - TAIL_FRAMES
    labels = []
    for said in user.said:
        labels.append(_moved(said.line.label, said.start, event=said.event))
        shift = said.start - to_samples(said.line.label.start, SOURCE_RATE)
        labels += [_moved(own, to_samples(own.start, SOURCE_RATE) + shift) for own in said.line.during]
    for expected in user.expected:
        label = _moved(expected.answer.label, expected.start, expected.end - expected.start)
        label.custom = {**(label.custom or {}), "planned_end": _seconds(expected.planned_end)}
        labels.append(label)
    bursts = [(own.start, own.length) for own in user.noises]
    bursts += [(said.start + own.start, own.length) for said in user.said for own in said.line.bursts]
    custom = {**(cut.custom or {}), "planned_speech": [_seconds(at) for at in user.planned]}
    if "noise_bursts" in custom:
        custom["noise_bursts"] = [[_seconds(start), _seconds(length)] for start, length in sorted(bursts)]
    return fastcopy(
        cut,
        duration=round(frames * FRAME_SECONDS, 8),
        recording=_recording(cut.id, channel[: frames * SOURCE_FRAME]),
        supervisions=sorted(labels, key=lambda label: label.start),
        custom=custom,
    )


def _moved(
    label: SupervisionSegment, start: int, length: int | None = None, event: Event | None = None
) -> SupervisionSegment:
    """A label moved to another start (samples at 16 kHz), with all times in it."""
    moved = label.with_offset(_seconds(start) - label.start)
    shift = moved.start - label.start
    custom: dict[str, Any] = dict(label.custom or {})
    if "pauses" in custom:
        custom["pauses"] = [[round(a + shift, 8), b] for a, b in custom["pauses"]]
    if "disfluencies" in custom:
        custom["disfluencies"] = [[kind, text, round(a + shift, 8), b] for kind, text, a, b in custom["disfluencies"]]
    if "cut_word" in custom:
        custom["cut_word"] = [custom["cut_word"][0], round(custom["cut_word"][1] + shift, 8)]
    if event is not None:
        custom["event"] = event
    return fastcopy(moved, duration=label.duration if length is None else _seconds(length), custom=custom)


def _recording(id: str, samples: np.ndarray) -> Recording:
    file = io.BytesIO()
    soundfile.write(file, samples, SOURCE_RATE, format="WAV", subtype="PCM_16")
    return Recording.from_bytes(file.getvalue(), id)


def _seconds(samples: int) -> float:
    return round(samples / SOURCE_RATE, 8)
