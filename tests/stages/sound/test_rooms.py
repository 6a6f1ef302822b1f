import random

import numpy as np
import pytest
import soundfile
from lhotse import Recording, RecordingSet

from manifests.errors import RequestError
from manifests.records import BadDialogue
from stages.render import Render, RenderSettings
from stages.sound.recordings import listed
from stages.sound.rooms import BEFORE, RoomSettings, in_room, simulated_response

LENGTH = 32_000
CLICK_AT = 8_000


@pytest.fixture(scope="module")
def click() -> np.ndarray:
    """A click at half a second: its output is the room's impulse response."""
    channel = np.zeros(LENGTH, np.float32)
    channel[CLICK_AT] = 0.5
    return channel


def reverberation_s(response: np.ndarray, high_db: float, low_db: float) -> float:
    """RT60 by Schroeder's integration: the slope between two levels, as a time for 60 dB."""
    energy = np.cumsum(response[::-1].astype(float) ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0] + 1e-30)
    between = np.flatnonzero((level <= high_db) & (level >= low_db))
    return -60 / np.polyfit(between / 16_000, level[between], 1)[0]


@pytest.mark.parametrize("rt60_s", [0.15, 0.3, 0.5, 0.8])
def test_the_reverberation_time_is_that_of_the_label(click, rt60_s):
    settings = RoomSettings(share=1, rt60_s={"low": rt60_s, "high": rt60_s})
    for seed in range(3):
        heard, room = in_room(click, click != 0, settings, random.Random(seed))
        assert room.rt60_s == rt60_s and not room.recording
        assert 0.19 <= room.distance_m <= 0.72
        response = heard[CLICK_AT - BEFORE :]
        assert reverberation_s(response, -5, -35) == pytest.approx(rt60_s, rel=0.15)


def test_the_direct_sound_stays_where_it_was(click):
    for seed in range(6):
        heard, _ = in_room(click, click != 0, RoomSettings(share=1), random.Random(seed))
        assert len(heard) == LENGTH
        assert np.abs(heard).argmax() == CLICK_AT
        assert np.abs(heard[: CLICK_AT - BEFORE]).max() < 1e-6


def test_a_response_is_reproducible_and_depends_on_the_place():
    places = np.array([1.0, 1.2, 1.1]), np.array([1.6, 1.5, 1.3])
    one = simulated_response((4.0, 3.0, 2.5), *places, 0.3)
    assert np.array_equal(one, simulated_response((4.0, 3.0, 2.5), *places, 0.3))
    other = simulated_response((4.0, 3.0, 2.5), places[0] + 0.1, places[1], 0.3)
    assert not np.array_equal(one[:2_000], other[:2_000])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Two recorded responses at 48 kHz with several channels, one with half a second of silence before its sound."""
    folder = tmp_path_factory.mktemp("responses")
    random_ = np.random.default_rng(0)
    recordings = []
    for name, lead, rt60_s in (("hall", 24_000, 0.6), ("office", 10, 0.25)):
        tail = random_.normal(0, 0.05, 48_000) * 10 ** (-3 * np.arange(48_000) / 48_000 / rt60_s)
        tail[0] = 1.0
        response = 0.5 * np.concatenate([np.zeros(lead), tail])
        soundfile.write(folder / f"{name}.wav", np.stack([response, 0 * response], axis=1), 48_000, subtype="FLOAT")
        recordings.append(Recording.from_file(folder / f"{name}.wav", recording_id=name))
    path = folder / "recordings.jsonl.gz"
    RecordingSet.from_recordings(recordings).to_file(path)
    return path


def test_recorded_responses_are_drawn_and_their_direct_sound_stays_where_it_was(click, manifest):
    settings, seen = RoomSettings(share=1, recordings=str(manifest)), {}
    for seed in range(8):
        heard, room = in_room(click, click != 0, settings, random.Random(seed))
        assert abs(int(np.abs(heard).argmax()) - CLICK_AT) <= 1
        assert np.abs(heard[: CLICK_AT - BEFORE]).max() < 1e-4
        assert room.distance_m is None and room.size_m == ()
        seen[room.recording] = room.rt60_s
    assert seen == {"hall": pytest.approx(0.6, rel=0.1), "office": pytest.approx(0.25, rel=0.1)}


def test_a_silent_response_is_reported_and_one_without_reverberation_changes_nothing(click, tmp_path):
    for name, peak in (("silent", 0.0), ("dead", 0.5)):
        response = np.zeros(1_600, np.float32)
        response[100] = peak
        soundfile.write(tmp_path / f"{name}.wav", response, 16_000, subtype="FLOAT")
        recording = Recording.from_file(tmp_path / f"{name}.wav", recording_id=name)
        RecordingSet.from_recordings([recording]).to_file(tmp_path / f"{name}.jsonl")
    with pytest.raises(BadDialogue, match=r"'silent' of .* is silent"):
        in_room(click, click != 0, RoomSettings(share=1, recordings=str(tmp_path / "silent.jsonl")), random.Random(0))
    dead = RoomSettings(share=1, recordings=str(tmp_path / "dead.jsonl"))
    heard, room = in_room(click, click != 0, dead, random.Random(0))
    assert heard == pytest.approx(click, abs=1e-6) and room.rt60_s == 0


def test_speech_stays_as_loud_as_it_was(rendered, timelines):
    rooms = Render(RenderSettings(room={"share": 1}), 0).process(timelines[:3])
    for wet, dry in zip(rooms, rendered, strict=False):
        assert np.array_equal(wet.agent, dry.agent)
        spoken = np.zeros(len(dry.user), bool)
        for segment in dry.timeline.segments:
            if segment.speaker == "user":
                spoken[segment.start : segment.end] = True
        levels = [10 * np.log10(np.mean(r.user[spoken].astype(float) ** 2)) for r in (wet, dry)]
        assert levels[0] + wet.sound.turned_down_db == pytest.approx(levels[1], abs=0.1)


def test_turns_start_and_end_where_their_labels_say_within_two_frames(timelines):
    """Edges by energy: a turn starts when it exceeds −20 dB of its own level, over 10 ms, and ends when it stays below."""
    edges = []
    for record in Render(RenderSettings(room={"share": 1}), 0).process(timelines):
        user = [s for s in record.timeline.segments if s.speaker == "user"]
        for segment in user:
            around = record.user[max(0, segment.start - 4_000) : segment.end + 8_000].astype(float)
            power = np.convolve(around**2, np.ones(160) / 160, mode="same")
            level = np.mean(record.user[segment.start : segment.end].astype(float) ** 2)
            loud = np.flatnonzero(power > level * 10**-2)
            first = loud[0] + max(0, segment.start - 4_000) - segment.start
            last = loud[-1] + max(0, segment.start - 4_000) - segment.end
            edges.append((first / 1_280, last / 1_280))
    starts, ends = np.array(edges).T
    assert len(edges) >= 20
    assert np.abs(starts).max() < 2
    assert np.abs(ends).max() < 2


@pytest.mark.parametrize(
    "content, reason",
    [
        ("", "lists no recordings"),
        ("[1]\n", "not a JSON object"),
        (
            '{"id": "a", "sources": [{"type": "command", "channels": [0], "source": "rm -r /"}], "duration": 1}\n',
            "type",
        ),
        (
            '{"id": "a", "sources": [{"type": "file", "channels": [0], "source": "gone.wav"}], "duration": 1}\n',
            "is missing at",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_is_rejected_before_any_work(tmp_path, content, reason):
    path = tmp_path / "recordings.jsonl"
    path.write_text(content)
    listed.cache_clear()
    with pytest.raises(RequestError, match=reason):
        Render.check(RenderSettings(room={"share": 1, "recordings": str(path)}))
    Render.check(RenderSettings(room={"share": 0, "recordings": str(path)}))


def test_a_missing_manifest_is_rejected_and_an_existing_one_is_recorded_in_the_corpus(tmp_path, manifest):
    with pytest.raises(RequestError, match=r"gone\.jsonl"):
        Render.check(RenderSettings(room={"share": 1, "recordings": str(tmp_path / "gone.jsonl")}))
    stage = Render(RenderSettings(room={"share": 1, "recordings": str(manifest)}), 0)
    stage.check(stage.settings)
    assert len(stage.made_by()["room.recordings_sha256"]) == 64
    assert Render(RenderSettings(), 0).made_by() == {}


def test_a_response_that_cannot_be_read_rejects_its_dialogue(tmp_path, timelines):
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    path = tmp_path / "recordings.jsonl"
    path.write_text(
        '{"id": "a", "sources": [{"type": "file", "channels": [0], "source": "broken.wav"}], "duration": 1}\n'
    )
    (rejected,) = Render(RenderSettings(room={"share": 1, "recordings": str(path)}), 0).process(timelines[:1])
    assert rejected.reason == "recording_unreadable" and "broken.wav" in rejected.message
