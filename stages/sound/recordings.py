"""Recordings listed in a Lhotse manifest, for noise and for impulse responses.

A manifest is read as data and never through Lhotse's own loading: there, a source may be a command, which is refused
here."""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import soxr

from manifests.errors import RequestError
from manifests.frames import SOURCE_RATE
from manifests.raw_records import BrokenRecord
from manifests.recordings import found_beside, parse_recording, read_recording
from manifests.records import BadDialogue, Recording
from manifests.sources import Source, UnreadableInput, fingerprint_of


@dataclass(frozen=True, slots=True)
class Listed:
    """A recording, or a cut of one, with its name in the manifest."""

    id: str
    recording: Recording


@lru_cache(maxsize=16)
def listed(manifest: str) -> tuple[Listed, ...]:
    """The entries of a manifest of recordings or cuts, at a path or fsspec URL, plain or compressed; paths in it are
    relative to its folder. Raises `RequestError`, naming the line, if it lists something else or nothing."""
    try:
        found = [_listed(manifest, number, raw) for number, raw in Source(manifest).records()]
    except UnreadableInput as error:
        raise RequestError(f"The manifest {manifest} can't be used: {error}") from None
    if not found:
        raise RequestError(f"The manifest {manifest} lists no recordings; name another.")
    return tuple(found)


def check_manifest(key: str, manifest: str) -> None:
    """Raise `RequestError` if the manifest in the recipe's `key` can't be used, or a local file of it is missing."""
    for one in listed(manifest):
        if "://" not in one.recording.path and not os.path.exists(one.recording.path):
            raise RequestError(
                f"The recipe's {key} names {manifest}, whose recording '{one.id}' is missing at {one.recording.path}; "
                "correct its path."
            )


@lru_cache(maxsize=16)
def fingerprint(manifest: str) -> str:
    return fingerprint_of(manifest)


def read_at_source_rate(one: Listed, start_s: float = 0.0, longest_s: float | None = None) -> np.ndarray:
    """A recording's samples from `start_s`, floats (samples,) at 16 kHz; raises `BadDialogue` if it can't be read."""
    recording = replace(one.recording, start_s=one.recording.start_s + start_s)
    if recording.duration_s is not None:
        left = recording.duration_s - start_s
        recording = replace(recording, duration_s=left if longest_s is None else min(left, longest_s))
    samples, rate = read_recording(recording)
    return samples if rate == SOURCE_RATE else np.asarray(soxr.resample(samples, rate, SOURCE_RATE, quality="HQ"))


def choose(manifest: str, draw: random.Random) -> Listed:
    """A uniformly random recording of a manifest."""
    found: Sequence[Listed] = listed(manifest)
    return found[draw.randrange(len(found))]


def _listed(manifest: str, number: int, raw: Any) -> Listed:
    if isinstance(raw, BrokenRecord) or not isinstance(raw, dict):
        raise RequestError(
            f"The manifest {manifest} is not a Lhotse manifest: its record {number} is not a JSON object."
        )
    if "sources" in raw:  # a recording, as a cut of the whole
        channels = [c for source in raw["sources"] if isinstance(source, dict) for c in source.get("channels", ())]
        raw = {
            "id": raw.get("id"),
            "duration": raw.get("duration"),
            "channel": min(channels, default=0),
            "recording": raw,
        }
    try:
        recording = parse_recording(raw)
    except BadDialogue as error:
        raise RequestError(
            f"The manifest {manifest} can't be used: its record {number} is neither a recording nor a cut of one channel: {error}"
        ) from None
    return Listed(str(raw.get("id") or number), replace(recording, path=found_beside(recording.path, manifest)))
