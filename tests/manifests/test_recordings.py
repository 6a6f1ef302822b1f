import numpy as np
import pytest
import soundfile
from recorded_material import make_cut, write_recording

from manifests.formats import parse_dialogue
from manifests.recordings import MAX_SECONDS, found_beside, parse_recording, read_recording
from manifests.records import BadDialogue, Recording, TimedWord


def test_a_path_or_a_lhotse_cut(tmp_path):
    words = write_recording(tmp_path / "a.wav", "hello there", channels=2)
    cut = make_cut(tmp_path / "a.wav", "a", "hello there", "anna", words)
    cut.channel = 1
    parsed = parse_recording(cut.truncate(offset=0.25, duration=1.0).to_dict())
    assert (parsed.path, parsed.start_s, parsed.duration_s) == (str(tmp_path / "a.wav"), 0.25, 1.0)
    assert (parsed.channel, parsed.speaker) == (1, "anna")
    assert [word.text for word in parsed.words] == ["HELLO", "THERE"]
    assert parsed.words[0].start_s == pytest.approx(0.25, abs=1e-6)
    # Cut before the second word: the alignment is not that of the cut, so it is not used.
    assert not parse_recording(cut.truncate(duration=0.6).to_dict()).words
    assert parse_recording("b.flac") == Recording("b.flac")


def test_in_the_native_format(tmp_path):
    turns = [{"speaker": "user", "text": "Hi.", "recording": "a.wav"}, {"speaker": "agent", "text": "Hello."}]
    dialogue = parse_dialogue({"turns": turns}, "file:1", "x")
    assert [turn.recording for turn in dialogue.turns] == [Recording("a.wav"), None]


SOURCE = {"type": "file", "channels": [0], "source": "a.wav"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "empty"),
        ({"duration": 1}, "'recording'"),
        ({"duration": 1, "recording": {"sources": []}}, "sources"),
        ({"duration": 1, "recording": {"sources": [SOURCE | {"type": "command"}]}}, "type"),
        ({"duration": 1, "channel": 2, "recording": {"sources": [SOURCE]}}, "no source for its channel"),
        ({"duration": 1, "recording": {"sources": [SOURCE], "transforms": [{"name": "Speed"}]}}, "modifies its audio"),
    ],
)
def test_values_that_are_not_recordings_are_reported(raw, message):
    with pytest.raises(BadDialogue, match=message):
        parse_recording(raw)


def test_relative_paths_count_from_the_dialogue_file(tmp_path):
    assert found_beside("a.wav", str(tmp_path / "d.jsonl")) == str(tmp_path / "a.wav")
    assert found_beside("/x/a.wav", "d.jsonl") == "/x/a.wav"
    assert found_beside("a/b.wav", "s3://bucket/set/d.jsonl") == "s3://bucket/set/a/b.wav"
    assert found_beside("s3://other/a.wav", "d.jsonl") == "s3://other/a.wav"


def test_exactly_the_requested_part_is_read(tmp_path):
    ramp = np.arange(-8_000, 8_000, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", np.stack([0 * ramp, ramp], axis=1), 8_000)
    samples, rate = read_recording(Recording(str(tmp_path / "a.wav"), 0.5, 0.25, 1))
    assert rate == 8_000
    assert np.array_equal(np.rint(samples * 32768), ramp[4_000:6_000])
    whole, _ = read_recording(Recording(f"file://{tmp_path}/a.wav", channel=1))
    assert len(whole) == 16_000


def test_unreadable_recordings_have_a_reason(tmp_path):
    (tmp_path / "text.wav").write_text("no audio")
    soundfile.write(tmp_path / "long.wav", np.zeros(8_000 * (MAX_SECONDS + 1), np.int16), 8_000)
    soundfile.write(tmp_path / "short.wav", np.zeros(8_000, np.int16), 8_000)
    for recording, reason in (
        (Recording("gone.wav"), "recording_missing"),
        (Recording("file:///gone.wav"), "recording_missing"),
        (Recording("text.wav"), "recording_unreadable"),
        (Recording(""), "recording_unreadable"),
        (Recording("long.wav"), "recording_too_long"),
        (Recording("short.wav", 0.5, 1.0), "recording_unreadable"),
        (Recording("short.wav", 2.0), "recording_unreadable"),
        (Recording("short.wav", channel=1), "recording_unreadable"),
    ):
        path = recording.path if "://" in recording.path else str(tmp_path / recording.path)
        with pytest.raises(BadDialogue) as error:
            read_recording(Recording(path, recording.start_s, recording.duration_s, recording.channel))
        assert error.value.reason == reason, recording


def test_words_without_text_are_silence():
    word = [["", 0, 0.5], ["hi", 0.5, 0.25, None]]
    raw = {"duration": 1, "recording": {"sources": [SOURCE]}, "supervisions": [{"alignment": {"word": word}}]}
    assert parse_recording(raw).words == (TimedWord("hi", 0.5, 0.75),)
