"""`salm-duplex converse`: stream a user's recording through a session, frame by frame, as if live."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch

from manifests.errors import RequestError, WorkError
from manifests.frames import FRAME_SECONDS, SOURCE_FRAME, SOURCE_RATE, TARGET_RATE, frames_to_cover
from pipeline.report.inspection import side_by_side
from salm_duplex_model.checkpoint import load_run, read_config
from salm_duplex_model.codec.nemo import load_codec
from salm_duplex_model.evaluation.activity import text_turns, user_turns
from salm_duplex_model.evaluation.timeline import Spoken
from salm_duplex_model.session import Decoding, Session


@dataclass(frozen=True, slots=True)
class Conversation:
    user: np.ndarray
    agent: np.ndarray
    turns: list[Spoken]
    step_ms: list[float]
    user_turns: list[Spoken] | None = None
    """The user's turns as the model transcribes them; None unless it has `user_text`."""

    def as_dict(self) -> dict[str, Any]:
        steps = np.asarray(self.step_ms)
        return {
            "seconds": round(len(self.step_ms) * FRAME_SECONDS, 2),
            "turns": _as_dicts(self.turns),
            **({} if self.user_turns is None else {"user_turns": _as_dicts(self.user_turns)}),
            "step_ms_mean": round(float(steps.mean()), 2),
            "step_ms_p99": round(float(np.quantile(steps, 0.99)), 2),
        }


def _as_dicts(turns: Sequence[Spoken]) -> list[dict[str, Any]]:
    return [{"start_s": round(t.start, 2), "end_s": round(t.end, 2), "text": t.text} for t in turns]


def converse(run: Path, user: Path, tail_s: float, decoding: Decoding, codec: str | None = None) -> Conversation:
    """Play a recording, then `tail_s` of silence, to a run's model.

    It speaks with the codec it was trained on, or with `codec`, which must have the same codes. Raises `RequestError` if
    either can't be used.
    """
    model, tokenizer = load_run(run)
    samples = read_user(user)
    frames = frames_to_cover(len(samples), SOURCE_FRAME) + round(tail_s / FRAME_SECONDS)
    heard = np.zeros(frames * SOURCE_FRAME, dtype=np.float32)
    heard[: len(samples)] = samples
    session = Session(model.for_inference(), load_codec(codec or read_config(run).codec), decoding=decoding)
    # The token that a step returns belongs to the next frame.
    agent, tokens, user_tokens, step_ms = [], [tokenizer.special.pad], [tokenizer.special.pad], []
    for frame in torch.from_numpy(heard).view(frames, 1, SOURCE_FRAME):
        begun = time.perf_counter()
        agent.append(session.step(frame)[0].numpy())
        step_ms.append(1000 * (time.perf_counter() - begun))
        tokens.append(int(session.text[0]))
        if session.user_text is not None:
            user_tokens.append(int(session.user_text[0]))
    turns = text_turns(np.array(tokens), tokenizer.special, tokenizer.decode)
    heard_turns = user_turns(np.array(user_tokens), tokenizer.special, tokenizer.decode)
    return Conversation(heard, np.concatenate(agent), turns, step_ms, heard_turns if model.has_user_text else None)


def read_user(path: Path) -> np.ndarray:
    """Any audio file as float32 mono at 16 kHz."""
    if not path.is_file():
        raise RequestError(f"There is no recording {path}; name an audio file.")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise RequestError(
            f"The recording {path} can't be read: {str(error).rstrip('.')}; name an audio file."
        ) from None
    if not len(samples):
        raise RequestError(f"The recording {path} is empty; name another audio file.")
    resampled: np.ndarray = soxr.resample(samples.mean(axis=1), rate, SOURCE_RATE)
    return resampled


def write_conversation(conversation: Conversation, out: Path, stereo: bool) -> None:
    """Write the agent's audio as WAV at 22 050 Hz; `stereo`: the user left, the agent right."""
    sound = side_by_side(conversation.user, conversation.agent) if stereo else conversation.agent
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(out, sound, TARGET_RATE, subtype="PCM_16", format="WAV")
    except (OSError, soundfile.LibsndfileError) as error:
        raise WorkError(f"{out} can't be written: {error}.") from error
