"""The values of the template's `dialogue`, which shows one dialogue in the report and in `salm-duplex browse`."""

import io
from typing import Any

import soundfile
from lhotse import MonoCut

from manifests.frames import FRAME_SECONDS, TARGET_RATE
from manifests.pcm import to_float
from manifests.text_channel import text_heard
from pipeline.report.codes_image import packed
from pipeline.report.inspection import lost_text, stereo, user_sound, voices
from pipeline.report.timeline_layout import barge_ins, lay_out, mark_of
from pipeline.report.timeline_svg import lane_names_svg, timeline_svg


def dialogue_view(cut: MonoCut, split: str, audio: str) -> dict[str, Any]:
    """The template's values; `audio` is the URL that the player loads."""
    layout, codes = lay_out(cut), cut.load_custom("target_codes")
    return {
        "id": cut.id,
        "split": split,
        "source": cut.custom.get("source", ""),
        "duration": cut.duration,
        "frames": round(cut.duration / FRAME_SECONDS),
        "system_prompt": cut.custom.get("system_prompt", ""),
        "sound": user_sound(cut),
        "labels": cut.custom.get("labels", {}),
        "voices": [(speaker, ", ".join(voices(cut, speaker))) for speaker in ("user", "agent")],
        "audio": audio,
        "names": lane_names_svg(layout, codes),
        "svg": timeline_svg(layout, codes),
        "codes": packed(codes),
        "turns": _turns(cut),
    }


def mp3(cut: MonoCut) -> bytes:
    """Both channels as stereo MP3 of 64 kbit/s, the user left; with a constant bit rate, so that browsers seek exactly.

    Written from floats, since libsndfile 1.2.2 turns half of the int16 samples of a stereo file into noise (its pull
    request 1106).
    """
    audio = io.BytesIO()
    samples = to_float(stereo(cut))
    soundfile.write(audio, samples, TARGET_RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=0.6)
    return audio.getvalue()


def _turns(cut: MonoCut) -> list[dict[str, Any]]:
    cut_off_after = {agent.id: agent.end - user.start for agent, user in barge_ins(cut.supervisions)}
    return [
        {
            "speaker": s.speaker,
            "start": s.start,
            "end": s.end,
            "text": text_heard(s),
            "lost": lost_text(s),
            "mark": mark_of(s),
            "recorded": s.custom.get("speech") == "recording",
            "pauses": [length for _, length in s.custom.get("pauses", ())],
            "cut_off_after": cut_off_after.get(s.id),
        }
        for s in cut.supervisions
    ]
