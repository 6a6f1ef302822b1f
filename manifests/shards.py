"""Lhotse Shar shards: from `DuplexDialogue` records to cuts and tar files.

A cut has the user's channel as `recording`, the agent's as `target_audio`, its codes as `target_codes`, a reference
of the agent's voice as `context_audio` if the corpus has one, and one supervision per turn. NeMo's duplex datasets
and `CutSet.from_shar` read it directly."""

import contextlib
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lhotse import AudioSource, MonoCut, Recording, SupervisionSegment
from lhotse.array import Array, TemporalArray
from lhotse.audio.backend import LibsndfileBackend, audio_backend
from lhotse.shar import ArrayTarWriter, AudioTarWriter
from lhotse.supervision import AlignmentItem

from manifests.frames import (
    FRAME_SECONDS,
    SOURCE_FRAME,
    SOURCE_RATE,
    TARGET_FRAME,
    TARGET_RATE,
    convert_up,
    nearest_frame,
)
from manifests.interruptions import interruptions
from manifests.records import ASIDES, DuplexDialogue, Segment, Timeline, TokenizedDialogue
from manifests.text_channel import text_for_frames

FIELDS = {"cuts": "jsonl.gz", "recording": "tar", "target_audio": "tar", "target_codes": "tar", "context_audio": "tar"}
"""The files of a shard, in Lhotse Shar's naming: `FIELD.NNNNNN.EXTENSION`; the last one is optional."""


def shard_file(field: str, number: int) -> str:
    return f"{field}.{number:06d}.{FIELDS[field]}"


def write_shard(
    directory: Path, number: int, dialogues: Sequence[TokenizedDialogue], provenance: dict[str, Any]
) -> None:
    """Write one Shar shard into an existing folder; the same dialogues give the same bytes.

    Either all dialogues have a reference, in all shards of a corpus, or none does.
    `provenance` (the seed, the recipe's id) goes into every cut's custom fields.
    """
    cuts = []
    with contextlib.ExitStack() as files:
        # Always the same backend: another one would write other FLAC bytes.
        files.enter_context(audio_backend(LibsndfileBackend()))
        roles = ["recording", "target_audio", *(["context_audio"] if dialogues[0].reference is not None else [])]
        audio = {
            role: files.enter_context(
                AudioTarWriter(str(directory / shard_file(role, number)), shard_size=None, format="flac")
            )
            for role in roles
        }
        codes = files.enter_context(
            ArrayTarWriter(str(directory / shard_file("target_codes", number)), shard_size=None)
        )
        for dialogue in dialogues:
            cut = build_cut(dialogue, provenance)
            cuts.append(cut)
            audio["recording"].write(cut.id, dialogue.user[None], SOURCE_RATE, cut.recording)
            audio["target_audio"].write(cut.id, dialogue.agent[None], TARGET_RATE, cut.target_audio)
            if dialogue.reference is not None:
                audio["context_audio"].write(cut.id, dialogue.reference[None], TARGET_RATE, cut.context_audio)
            codes.write(cut.id, dialogue.codes, cut.target_codes)
    lines = "".join(json.dumps(cut.to_dict(), ensure_ascii=False) + "\n" for cut in cuts)
    (directory / shard_file("cuts", number)).write_bytes(gzip.compress(lines.encode(), mtime=0))


def build_cut(record: TokenizedDialogue, provenance: dict[str, Any]) -> MonoCut:
    """The Lhotse cut of a dialogue; audio and codes are placeholders that Shar fills from its tar files."""
    dialogue, timeline = record.dialogue, record.timeline
    duration = _seconds(timeline.frames * SOURCE_FRAME, SOURCE_RATE)
    custom: dict[str, Any] = {
        "target_audio": _recording(dialogue.id, record.agent, TARGET_RATE, duration),
        "target_codes": _codes(record.codes),
        "task": "s2s_duplex",
        "total_turns": sum(segment.event not in ASIDES for segment in timeline.segments),
        "source": dialogue.source,
        **provenance,
    }
    if record.reference is not None:
        length = _seconds(len(record.reference), TARGET_RATE)
        custom["context_audio"] = _recording(f"{dialogue.id}-reference", record.reference, TARGET_RATE, length)
        custom["context_audio_unaligned"] = True  # else Lhotse would load only as much of it as the cut is long
    if noise := record.noise:
        custom["noise"] = {"kind": noise.kind, "snr_db": round(noise.snr_db, 2)}
        custom["noise_bursts"] = [
            [_seconds(b.start, SOURCE_RATE), _seconds(b.length, SOURCE_RATE)] for b in noise.bursts
        ]
    custom |= record.sound.described()
    if dialogue.direction and dialogue.direction.events:
        custom["director"] = dialogue.direction.by
    if dialogue.labels:
        custom["labels"] = dict(dialogue.labels)
    if dialogue.system_prompt:
        custom["system_prompt"] = dialogue.system_prompt
    return MonoCut(
        id=dialogue.id,
        start=0,
        duration=duration,
        channel=0,
        recording=_recording(dialogue.id, record.user, SOURCE_RATE, duration),
        supervisions=[_supervision(record, segment) for segment in timeline.segments],
        custom=custom,
    )


def _recording(id: str, samples: np.ndarray, rate: int, duration: float) -> Recording:
    source = AudioSource(type="shar", channels=[0], source="")
    return Recording(id=id, sources=[source], sampling_rate=rate, num_samples=len(samples), duration=duration)


def _codes(codes: np.ndarray) -> TemporalArray:
    array = Array(storage_type="shar", storage_path="", storage_key="", shape=list(codes.shape))
    return TemporalArray(array=array, temporal_dim=0, frame_shift=FRAME_SECONDS, start=0)


def _supervision(record: DuplexDialogue, segment: Segment) -> SupervisionSegment:
    turn = record.dialogue.turns[segment.turn]
    rate = SOURCE_RATE if segment.speaker == "user" else TARGET_RATE
    start, duration = _seconds(segment.start, rate), _seconds(segment.length, rate)
    end = round(start + duration, 8)
    words = []
    for word in segment.words:
        word_start = _seconds(segment.start + word.start, rate)
        # Rounding to Lhotse's eight digits must not move a word beyond its turn.
        word_end = min(_seconds(segment.start + word.end, rate), end)
        words.append(AlignmentItem(word.text, word_start, round(word_end - word_start, 8)))
    cut = segment.cut_word
    pauses = [[_seconds(segment.start + p.start, rate), _seconds(p.length, rate)] for p in segment.pauses]
    heard = [(d.kind, words[d.first : d.first + d.number]) for d in turn.disfluencies]
    disfluencies = [[kind, *_stretch(own)] for kind, own in heard if own]
    return SupervisionSegment(
        id=f"{record.dialogue.id}-{segment.turn:03d}",
        recording_id=record.dialogue.id,
        start=start,
        duration=duration,
        text=_laid_out(record.timeline, segment),
        language=record.dialogue.language or None,
        speaker=segment.speaker,
        alignment={"word": words},
        custom={
            "event": segment.event,
            "cut_off": segment.cut_off,
            "text_heard": segment.text_heard,
            "text_full": segment.text_full,
            "text_written": turn.text,
            "voice": turn.voice,
            "speech": "recording" if turn.recording else "synthesis",
            "word_times": record.timeline.spoken.speech[segment.turn].word_times,
            **({"edit": turn.edit} if turn.edit else {}),
            **({"left_out": list(turn.left_out)} if turn.left_out else {}),
            **({"cut_word": [cut.text, _seconds(segment.start + cut.start, rate)]} if cut else {}),
            **({"pauses": pauses} if pauses else {}),
            **({"disfluencies": disfluencies} if disfluencies else {}),
            **({"act": turn.act} if turn.act else {}),
            **_interruption(record.timeline, segment),
        },
    )


def _stretch(words: Sequence[AlignmentItem]) -> tuple[str, float, float]:
    """The text, start and duration of neighboring words."""
    start = words[0].start
    return " ".join(word.symbol for word in words), start, round(words[-1].end - start, 8)


def _interruption(timeline: Timeline, segment: Segment) -> dict[str, Any]:
    """The kind of a barge-in, and how the agent yields."""
    if segment.event != "barge_in" and not segment.cut_off:
        return {}
    one = next(own for own in interruptions(timeline) if segment is own.user or segment is own.agent)
    if segment is one.agent:
        return {"yields": "after_word" if one.finishes_word else "in_word"}
    return {"barge_in": {"place": one.place, "in_row": one.in_row}}


def _laid_out(timeline: Timeline, segment: Segment) -> str:
    """The text for NeMo's text channel, at one token per frame from the turn's start.

    For a turn that was cut off, the part of its whole text that fits before the cut, since NeMo would write the rest
    after EOS; but at least enough to reach the user's onset, which missing tokens would reveal."""
    if not segment.cut_off:
        return segment.text_full
    begin = convert_up(segment.start, TARGET_RATE, SOURCE_RATE)
    onset = next(s.start for s in timeline.segments if s.event == "barge_in" and s.start > begin)
    cut = nearest_frame(segment.length, TARGET_FRAME)
    return text_for_frames(segment.text_full, (onset - begin) // SOURCE_FRAME, cut - 1)


def _seconds(samples: int, rate: int) -> float:
    """Samples as seconds, rounded to Lhotse's eight digits."""
    return round(samples / rate, 8)
