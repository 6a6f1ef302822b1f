"""Dialogues of a corpus to hear and to see, chosen for its report."""

import base64
import io
import itertools
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from lhotse import MonoCut

from manifests.corpus import Corpus
from manifests.frames import FRAME_SECONDS, TARGET_RATE
from manifests.pcm import to_float
from manifests.text_channel import text_heard
from pipeline.report.inspection import lost_text, mark_of, stereo, user_sound, voices
from pipeline.report.timeline_layout import barge_ins, lay_out
from pipeline.report.timeline_svg import lane_names_svg, timeline_svg

EXAMPLES = 5
LONGEST_EXAMPLE_S = 60.0
ALL_EXAMPLES_S = EXAMPLES * LONGEST_EXAMPLE_S
"""What all examples may last together: five minutes are about 4 MB of page."""
SPLIT_ORDER = {"test": 0, "validation": 1, "train": 2}


def examples(corpus: Corpus) -> list[dict[str, Any]]:
    """What the page shows of each example dialogue."""
    chosen = choose_examples(corpus.dialogues.read("id", "split", "shard", "duration_s", "turns", "barge_ins"))
    cuts = corpus.cuts_of(chosen)
    return [_example(cuts[id], split) for id, split in zip(chosen["id"], chosen["split"], strict=True)]


def choose_examples(rows: pd.DataFrame) -> pd.DataFrame:
    """Up to five dialogues short enough to hear: four with a barge-in and one without, where there are such, of different
    lengths, the test's voices first. Longer ones only where there are no others, and never more than five minutes."""
    by_length = rows.sort_values(["duration_s", "id"])
    short = by_length[by_length["duration_s"] <= LONGEST_EXAMPLE_S]
    if short.empty:
        short = by_length[:EXAMPLES]
    lively, calm = short[short["barge_ins"] > 0], short[short["barge_ins"] == 0]
    number = min(len(lively), EXAMPLES - 1 if len(calm) else EXAMPLES)
    chosen = pd.concat([_spread(lively, number), _spread(calm, min(len(calm), EXAMPLES - number))])
    return chosen[chosen["duration_s"].cumsum() <= ALL_EXAMPLES_S]


def _spread(by_length: pd.DataFrame, number: int) -> pd.DataFrame:
    """One row from each of `number` classes of length: the test's before validation's before train's, more turns first."""
    ranked = by_length.assign(split_order=by_length["split"].map(SPLIT_ORDER), fewer_turns=-by_length["turns"])
    edges = np.linspace(0, len(ranked), number + 1).astype(int)
    classes = [ranked[first:last] for first, last in itertools.pairwise(edges)]
    firsts = [rows.sort_values(["split_order", "fewer_turns", "id"])[:1] for rows in classes]
    return pd.concat([ranked[:0], *firsts])


def _example(cut: MonoCut, split: str) -> dict[str, Any]:
    layout = lay_out(cut)
    return {
        "id": cut.id,
        "split": split,
        "duration": cut.duration,
        "frames": round(cut.duration / FRAME_SECONDS),
        "system_prompt": cut.custom.get("system_prompt", ""),
        "sound": user_sound(cut),
        "voices": [(speaker, ", ".join(voices(cut, speaker))) for speaker in ("user", "agent")],
        "audio": base64.b64encode(_mp3(cut)).decode(),
        "names": lane_names_svg(layout),
        "svg": timeline_svg(layout),
        "turns": _turns(cut),
    }


def _mp3(cut: MonoCut) -> bytes:
    """Both channels as MP3 of 64 kbit/s; of one bit rate, so that a browser seeks exactly.

    Written from floats: libsndfile 1.2.2 makes noise of half of a stereo file's int16 samples (its pull request 1106).
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
