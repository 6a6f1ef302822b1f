"""The effects together, on real dialogues, and their labels in a corpus."""

import numpy as np
import pytest
from lhotse import MonoCut

from manifests.columns import dialogue_row
from manifests.plain import from_plain, to_plain
from manifests.records import TokenizedDialogue
from manifests.shards import build_cut
from pipeline.commands.options import SHIPPED
from pipeline.recipe import load_recipe
from pipeline.report.inspection import inspect_text
from stages.render import Render, RenderSettings

EVERYTHING = {
    "room": {"share": 1},
    "echo": {"share": 1},
    "noise": {"share": 1},
    "microphone": {"share": 1},
    "level_changes": {"share": 1},
    "telephone": {"share": 1},
    "codec": {"share": 1},
    "packet_loss": {"share": 1},
}


@pytest.fixture(scope="module")
def sounding(timelines):
    return Render(RenderSettings(**EVERYTHING), 0).process(timelines[:3])


def test_the_agents_channel_stays_bit_for_bit_and_the_users_as_long(sounding, rendered):
    for wild, clean in zip(sounding, rendered, strict=False):
        assert np.array_equal(wild.agent, clean.agent)
        assert all(np.array_equal(one, other) for one, other in zip(wild.uncut, clean.uncut, strict=True))
        assert wild.user.shape == clean.user.shape and wild.user.dtype == np.int16
        assert not np.array_equal(wild.user, clean.user)
        assert wild.timeline == clean.timeline or wild.timeline is clean.timeline


def test_the_same_seed_and_dialogue_sound_the_same_in_any_batch(sounding, timelines):
    (alone,) = Render(RenderSettings(**EVERYTHING), 0).process([timelines[2]])
    assert np.array_equal(alone.user, sounding[2].user) and alone.sound == sounding[2].sound
    (other,) = Render(RenderSettings(**EVERYTHING), 1).process([timelines[2]])
    assert other.sound != alone.sound
    assert sounding[0].sound != sounding[1].sound


def test_one_effect_does_not_change_the_random_numbers_of_another(sounding, timelines):
    (fewer,) = Render(RenderSettings(**{"echo": {"share": 1}, "level_changes": {"share": 1}}), 0).process(
        [timelines[0]]
    )
    assert fewer.sound.echo == sounding[0].sound.echo
    assert fewer.sound.level_changes == sounding[0].sound.level_changes
    assert fewer.sound.microphone is None and fewer.noise is None


def test_a_channel_that_would_clip_is_attenuated_and_labeled(timelines):
    loud = {"share": 1, "gain_db": {"low": 19, "high": 20}}
    (record,) = Render(RenderSettings(level_changes=loud), 0).process([timelines[0]])
    (clean,) = Render(RenderSettings(), 0).process([timelines[0]])
    assert 0.88 * 32_768 < np.abs(record.user.astype(int)).max() < 0.9 * 32_768
    assert record.sound.turned_down_db > 0
    speech = timelines[0].segments[0]
    first = slice(speech.start, speech.start + 3_000)
    gained = np.linalg.norm(record.user[first].astype(float)) / np.linalg.norm(clean.user[first].astype(float))
    expected = record.sound.level_changes.levels[0].gain_db - record.sound.turned_down_db
    assert 20 * np.log10(gained) == pytest.approx(expected, abs=1)


def test_each_effect_is_in_the_cut_and_counted_in_the_table(sounding, rendered):
    record = sounding[0]
    codes = np.zeros((record.timeline.frames, 4), np.int16)
    cut = build_cut(TokenizedDialogue.of(record, codes), {"seed": 0, "recipe": "abc"})
    custom = MonoCut.from_dict(cut.to_dict()).custom  # as Lhotse reads it back
    echo = record.sound.echo
    assert custom["echo"] == {"gain": echo.gain, "delay_s": echo.delay / 16_000}
    assert custom["microphone"]["kind"] == record.sound.microphone.kind
    assert custom["telephone"] == {"kind": "narrowband", "low_hz": 300, "high_hz": 3_400}
    assert custom["level_changes"][0] == [0, record.sound.level_changes.levels[0].gain_db]
    row = dialogue_row(record)
    assert (row["echo_gain"], row["echo_delay_s"]) == (echo.gain, round(echo.delay / 16_000, 4))
    assert (row["microphone"], row["telephone"]) == (record.sound.microphone.kind, "narrowband")
    assert row["level_range_db"] > 0
    assert custom["codec"] == {"kind": record.sound.codec.kind, "kbps": record.sound.codec.kbps}
    assert custom["packet_loss"] == {"packet_s": 0.02, "lost": list(record.sound.packet_loss.lost)}
    assert (row["codec"], row["lost_packets"]) == (record.sound.codec.kind, len(record.sound.packet_loss.lost))
    assert f"echo on the user's channel: gain {echo.gain}, delay_s {echo.delay / 16_000}" in inspect_text(cut)
    clean = build_cut(TokenizedDialogue.of(rendered[0], codes), {}).custom
    assert not set(clean) & {"room", "echo", "noise_recording", "microphone", "level_changes", "telephone", "codec"}
    assert not set(clean) & {"packet_loss", "turned_down_db"}


def test_in_the_wild_most_dialogues_have_several_effects(timelines, rendered):
    spec = load_recipe(SHIPPED / "in_the_wild.yaml").stage("render")
    wild = spec.make(3).process(timelines)
    numbers = [len(record.sound.described()) + (record.noise is not None) for record in wild]
    assert 2 <= np.mean(numbers) <= 4 and max(numbers) >= 4
    for record, clean in zip(wild, rendered, strict=True):
        assert np.array_equal(record.agent, clean.agent)
        assert np.abs(record.user.astype(int)).max() < 32_767


def test_a_record_keeps_its_sound_on_disk(sounding):
    assert from_plain(*to_plain(sounding[0])).sound == sounding[0].sound
