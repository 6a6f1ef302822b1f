"""One dialogue as text, JSON, stereo WAV and timeline plot: `salm-duplex inspect`."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from lhotse import MonoCut, SupervisionSegment

from manifests.frames import FRAME_SECONDS, SOURCE_RATE, TARGET_RATE
from manifests.labels import shown
from manifests.pcm import to_int16
from manifests.sound import EFFECTS
from manifests.text_channel import is_cut_off, text_heard, whole_text
from pipeline.report.timeline_figure import timeline_figure
from pipeline.report.timeline_layout import barge_ins, mark_of


def stereo(cut: MonoCut) -> np.ndarray:
    """Both channels as int16 (samples, 2) at 22 050 Hz: the user left, the agent right."""
    return side_by_side(cut.load_audio()[0], cut.load_target_audio()[0])


def side_by_side(user: np.ndarray, agent: np.ndarray) -> np.ndarray:
    """A user's float samples at 16 kHz and an agent's at 22.05 kHz as int16 (samples, 2) at 22 050 Hz."""
    user = soxr.resample(user, SOURCE_RATE, TARGET_RATE)
    user = np.pad(user[: len(agent)], (0, max(0, len(agent) - len(user))))
    return to_int16(np.stack([user, agent], axis=1))


def write_stereo(cut: MonoCut, path: Path | BinaryIO) -> None:
    """Write a stereo WAV, 16 bits, 22 050 Hz: the user left, the agent right."""
    soundfile.write(path, stereo(cut), TARGET_RATE, subtype="PCM_16", format="WAV")


def write_timeline(cut: MonoCut, path: Path) -> None:
    """Write a PNG of both channels with turns, words and barge-ins; a row for every 20 seconds."""
    timeline_figure(cut).savefig(path, format="png", dpi=120, metadata={"Software": None})


def lost_text(supervision: SupervisionSegment) -> str:
    """The words that a turn lost to a cut-off; empty for a complete turn."""
    lost = whole_text(supervision).split()[len(text_heard(supervision).split()) :]
    return " ".join(lost) if is_cut_off(supervision) else ""


def voices(cut: MonoCut, speaker: str) -> list[str]:
    """The voices of a speaker's turns."""
    return sorted({s.custom["voice"] for s in cut.supervisions if s.speaker == speaker})


def inspect_text(cut: MonoCut) -> str:
    """The dialogue as lines: times in seconds and frames, speaker, text heard, [lost text]."""
    frames, turns = round(cut.duration / FRAME_SECONDS), int(cut.custom["total_turns"])
    lines = [f"{cut.id}: {cut.duration:.2f} s, {frames} frames of 80 ms, {turns} turns"]
    lines += [f"{speaker} voice: {', '.join(voices(cut, speaker))}" for speaker in ("user", "agent")]
    lines += [f"{effect} on the user's channel: {parameters}" for effect, parameters in user_sound(cut).items()]
    lines += [f"label {name}: {shown(value)}" for name, value in cut.custom.get("labels", {}).items()]
    if prompt := cut.custom.get("system_prompt"):
        lines.append(f"system prompt: {prompt}")
    cut_off_after = {agent.id: agent.end - user.start for agent, user in barge_ins(cut.supervisions)}
    lines += [_turn_line(s, cut_off_after.get(s.id)) for s in cut.supervisions]
    return "\n".join(map(_printable, lines))


def user_sound(cut: MonoCut) -> dict[str, str]:
    """The effects on the user's channel, each with a short description."""
    found = {}
    if noise := cut.custom.get("noise"):
        # Older corpora have the text itself.
        background = noise if isinstance(noise, str) else f"{noise['kind']} at {noise['snr_db']:.0f} dB"
        found["noise"] = f"{background}, {len(cut.custom['noise_bursts'])} bursts"
    return found | {effect: _parameters(cut.custom[effect]) for effect in EFFECTS if effect in cut.custom}


def _turn_line(s: SupervisionSegment, cut_off_after: float | None) -> str:
    frames = f"{_frame(s.start)}–{_frame(s.end)}"
    mark = "cut off" if s.custom["cut_off"] else mark_of(s)
    pauses = ", ".join(f"{length:.2f} s at {start:.2f}" for start, length in s.custom.get("pauses", ()))
    paused = f" [pauses: {pauses}]" if pauses else ""
    lost = f" [lost: {lost_text(s)}]" if s.custom["cut_off"] else ""
    after = f" [silent {cut_off_after:.2f} s after the user's onset]" if cut_off_after is not None else ""
    return f"{s.start:7.2f} – {s.end:6.2f} s  {frames:>11}  {s.speaker:<5}  {mark:<11}  {text_heard(s)}{paused}{lost}{after}"


def _parameters(effect: Any) -> str:
    """The parameters of an effect as short text."""
    if isinstance(effect, dict):
        return ", ".join(f"{name} {len(value) if name == 'lost' else value}" for name, value in effect.items())
    return f"{len(effect)} gains" if isinstance(effect, list) else f"{effect}"


def _frame(seconds: float) -> int:
    """The 80 ms frame, counted from 0, at a time."""
    return int(seconds / FRAME_SECONDS + 1e-6)


def _printable(line: str) -> str:
    """The line without control characters: a dialogue's text must not control the terminal."""
    return "".join(character if character.isprintable() else " " for character in line)


def cut_as_json(cut: MonoCut) -> dict[str, Any]:
    """The content of `inspect_text` for programs, with times in seconds."""
    return {
        "id": cut.id,
        "duration_s": cut.duration,
        "frames": round(cut.duration / FRAME_SECONDS),
        "system_prompt": cut.custom.get("system_prompt", ""),
        "labels": cut.custom.get("labels", {}),
        "voices": {speaker: voices(cut, speaker) for speaker in ("user", "agent")},
        "turns": [_turn_as_json(s) for s in cut.supervisions],
    }


def _turn_as_json(s: SupervisionSegment) -> dict[str, Any]:
    words = (s.alignment or {}).get("word", [])
    return {
        "speaker": s.speaker,
        "start_s": s.start,
        "end_s": s.end,
        "text": text_heard(s),
        **s.custom,
        "text_lost": lost_text(s),
        "words": [{"text": word.symbol, "start_s": word.start, "end_s": word.end} for word in words],
    }
