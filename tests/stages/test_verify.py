"""verify: good dialogues pass, damaged ones are dropped with the right reason and figures."""

import re
from dataclasses import replace

import numpy as np
import pytest
import soxr
from corpus_material import make_corpus, rows_of
from nemo_material import make_asr
from pydantic import ValidationError

from manifests.record_files import RecordWriter, read_record_files
from manifests.records import BadDialogue, Checks, Rejected
from pipeline.recipe import load_recipe
from pipeline.report.card import card
from pipeline.report.page import report
from stages.render import Render, RenderSettings
from stages.verify import Verify, VerifySettings, _speech, channel, clipped_samples, compare


def verify(**settings):
    stage = Verify(VerifySettings(**settings), 0)
    stage.setup()
    return stage


@pytest.fixture(scope="module")
def listening():
    return verify(vad="bundled")


@pytest.fixture(scope="module")
def kept(listening, rendered):
    return listening.process(rendered)


def exact(record, speaker):
    """Speech as detected without any error."""
    _, rate = channel(record, speaker)
    own = [s for s in record.timeline.segments if s.speaker == speaker]
    return [stretch for segment in own for stretch in _speech(segment, rate)]


def judged(record, speaker, heard, **allowed) -> str:
    """The reason and the sentence, or None."""
    try:
        compare(record, speaker, heard).judge(VerifySettings(**allowed))
    except BadDialogue as error:
        return f"{error.reason}: {error}"
    return ""


def test_good_dialogues_pass_with_their_figures(kept):
    assert all(not isinstance(record, Rejected) for record in kept)
    for record in kept:
        checks, segments = record.checks, record.timeline.segments
        assert len(checks.edge_errors_s) == 2 * len(segments)
        assert np.mean(np.abs(checks.edge_errors_s) <= 0.08) > 0.9
        assert checks.least_heard > 0.6 and checks.extra_s < 0.25 and checks.clipped < 1e-4
        assert checks.user_wers == checks.agent_wers == ()
    assert len({error for record in kept for error in record.checks.edge_errors_s}) > 10  # detected, not copied


def test_noise_on_the_users_channel_is_not_speech(listening, timelines):
    noise = {"share": 1, "snr_db_low": 15, "snr_db_high": 30, "bursts_a_minute": 10}
    noisy = Render(RenderSettings(noise=noise), 0).process(timelines)
    found = listening.process(noisy)
    assert all(record.noise for record in noisy)
    assert sum(isinstance(record, Rejected) for record in found) == 0, [r for r in found if isinstance(r, Rejected)]


def test_pauses_are_silence_and_backchannels_are_speech(listening):
    recipe = load_recipe(
        overrides=[
            "speak.backchannel={share: 1, turn_share: 1}", "schedule.pause={share: 1, turn_share: 1}",
            "schedule.barge_in.share=0",
        ]
    )  # fmt: skip
    from material import make_dialogue

    records: list = [make_dialogue("d0")]
    for name in ("speak", "cast", "synthesize", "schedule", "render"):
        records = recipe.stage(name).make(0).process(records)
    (record,) = records
    events = [segment.event for segment in record.timeline.segments]
    assert "backchannel" in events and any(segment.pauses for segment in record.timeline.segments)
    (checked,) = listening.process(records)
    assert not isinstance(checked, Rejected), checked
    # Without the backchannel's label, its audio is unlabeled speech.
    silent = tuple(s for s in record.timeline.segments if s.event != "backchannel")
    (found,) = listening.process([replace(record, timeline=replace(record.timeline, segments=silent))])
    assert found.reason == "extra_speech"
    # And without the pauses' labels, their silence counts as missing speech.
    whole = tuple(replace(s, pauses=()) for s in record.timeline.segments)
    silent = max(sum(p.length for p in s.pauses) / s.length for s in record.timeline.segments)
    strict = verify(vad="bundled", heard=1 - silent + 0.05)
    (found,) = strict.process([replace(record, timeline=replace(record.timeline, segments=whole))])
    assert found.reason == "speech_missing"


def shifted(record):
    return replace(record, agent=np.roll(record.agent, round(0.3 * 22_050)))


def swapped(record):
    user = soxr.resample(record.agent.astype(np.float32), 22_050, 16_000)
    agent = soxr.resample(record.user.astype(np.float32), 16_000, 22_050)
    return replace(record, user=np.rint(user).astype(np.int16), agent=np.rint(agent).astype(np.int16))


def muted(record):
    agent = record.agent.copy()
    turn = next(s for s in record.timeline.segments if s.speaker == "agent")
    agent[turn.start : turn.end] = 0
    return replace(record, agent=agent)


def clipped(record):
    loud = record.user.astype(float) * 2.5 * 32767 / np.abs(record.user.astype(int)).max()
    return replace(record, user=np.clip(loud, -32768, 32767).astype(np.int16))


@pytest.mark.parametrize(
    ("damage", "reasons"),
    [
        (shifted, {"edges_off"}),
        (swapped, {"speech_missing"}),
        (muted, {"speech_missing"}),
        (clipped, {"clipped"}),
    ],
)
def test_damage_is_caught_and_the_sentence_has_the_figures(listening, rendered, damage, reasons):
    found = listening.process([damage(record) for record in rendered])
    assert {result.reason for result in found} == reasons
    for result, record in zip(found, rendered, strict=True):
        assert (result.id, result.stage) == (record.dialogue.id, "verify")
        assert re.search(r"\d", result.message) and "verify." in result.message and result.message.endswith(".")


def test_edges_are_judged_together_and_the_sentence_has_the_worst(rendered):
    record = rendered[0]
    heard = exact(record, "user")
    edges = 2 * len(heard)
    assert judged(record, "user", heard) == ""
    one_late = [(start + 0.2, end) for start, end in heard[:1]] + heard[1:]
    assert judged(record, "user", one_late) == ""  # a weak sound in a few places is not a wrong label
    said = judged(record, "user", [(start - 0.1, end - 0.2) for start, end in heard])
    assert said.startswith(
        f"edges_off: {edges} of {edges} edges of the user's turns are more than 0.08 s from their labels"
    )
    assert "over the 25% of verify.edges_off: turn 1 ends by its label at " in said
    assert said.endswith("but its speech ends 0.20 s earlier.")
    assert judged(record, "user", [(start - 0.05, end + 0.05) for start, end in heard]) == ""
    assert judged(record, "user", [(start - 0.1, end - 0.2) for start, end in heard], edge_frames=3) == ""


def test_missing_and_extra_speech_are_reported_with_their_place(rendered):
    record = rendered[0]
    heard = exact(record, "user")
    (start, end), *others = heard
    assert judged(record, "user", []).startswith(
        "speech_missing: Turn 1 (user) lacks speech: 0% of its labeled speech from "
    )
    half = judged(record, "user", [(start, start + 0.5 * (end - start)), *others])
    assert "50% of its labeled speech" in half and half.endswith("under the 60% of verify.heard.")
    assert "lacks" not in judged(record, "user", [(start, start + 0.7 * (end - start)), *others])
    end = record.timeline.frames * 0.08
    extra = judged(record, "user", [*heard, (end - 0.5, end)])
    assert extra.startswith("extra_speech: The user's channel has unlabeled speech: 0.50 s from ")


@pytest.mark.parametrize("level", [32_767, 4_000])
def test_clipping_is_seen_at_any_level_and_sound_is_not_clipping(level):
    sine = np.sin(np.arange(16_000) * 2 * np.pi * 173 / 16_000)
    assert clipped_samples(np.rint(sine * level).astype(np.int16)) == 0
    assert clipped_samples(np.rint((2 * sine).clip(-1, 1) * level).astype(np.int16)) > 5_000
    assert clipped_samples(np.zeros(100, np.int16)) == 0


def test_words_are_recognized_turn_by_turn_and_wrong_ones_are_reported(rendered, tmp_path):
    """With an untrained NeMo checkpoint, everything recognized is wrong."""
    asr = str(make_asr(tmp_path / "asr.nemo"))
    (found,) = verify(recognizer=asr, wer=0.5).process(rendered[:1])
    assert found.reason == "wrong_words"
    assert re.match(
        r"Turn 1 \(user\) is not recognized as written: \d+% of its words are wrong, over the 50% of", found.message
    )
    (kept,) = verify(recognizer=asr, wer=100).process(rendered[:1])
    wers = kept.checks.user_wers + kept.checks.agent_wers
    assert len(wers) == len(rendered[0].timeline.segments) and min(wers) > 0.5


def test_without_a_model_only_clipping_is_checked(rendered):
    stage = verify()
    assert stage.made_by() == {}
    assert [r.checks for r in stage.process(rendered)] == [Checks(r.checks.clipped) for r in stage.process(rendered)]


def test_the_models_behind_the_checks_are_recorded(listening):
    made_by = listening.made_by()
    assert made_by["vad"] == "bundled" and len(made_by["vad_sha256"]) == 64


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"vad": "nothing"}, "'bundled', the path of a checkpoint, or a name"),
        ({"recognizer": "whisper"}, "neither pocketsphinx nor a NeMo checkpoint"),
        ({"edge_frames": 0}, "greater than 0"),
    ],
)
def test_a_wrong_setting_is_rejected_before_any_work(settings, said):
    with pytest.raises(ValidationError, match=said):
        VerifySettings(**settings)


def test_checks_are_kept_on_disk_in_the_manifest_and_in_the_report(kept, tmp_path):
    with RecordWriter(tmp_path) as writer:
        writer.write(kept[0])
    (read,) = read_record_files(tmp_path)
    assert read.checks == kept[0].checks
    (tmp_path / "corpus").mkdir()
    corpus = make_corpus(tmp_path / "corpus", kept)
    row = rows_of(corpus.dialogues)[0]
    assert row["edge_errors_s"] == list(kept[0].checks.edge_errors_s) and row["agent_wers"] == []
    page = report(corpus)
    for title in ("Turn edge error", "Speech detected", "Extra speech"):
        assert f"<h3>{title}</h3>" in page
    assert "user WER" not in page
    assert "turn edge error" in card(corpus)


EFFECTS = {
    name: {"share": 1}
    for name in ("room", "echo", "noise", "microphone", "level_changes", "telephone", "codec", "packet_loss")
}


def test_the_user_is_heard_before_room_echo_and_line(listening, timelines, kept):
    """Effects added later do not invalidate labels."""
    wild = Render(RenderSettings(**EFFECTS), 0).process(timelines[:3])
    found = listening.process(wild)
    assert not any(isinstance(record, Rejected) for record in found)
    assert [record.checks.edge_errors_s for record in found] == [record.checks.edge_errors_s for record in kept[:3]]
    echo_alone = [
        replace(record, dry=None) for record in Render(RenderSettings(echo={"share": 1}), 0).process(timelines[:2])
    ]
    assert {record.reason for record in listening.process(echo_alone)} == {"extra_speech"}


@pytest.mark.parametrize("effects", [("room",), ("microphone", "level_changes", "telephone", "codec", "packet_loss")])
def test_the_edges_of_turns_hold_after_all_effects(listening, timelines, effects):
    """Measured on the channel itself: within two frames."""
    wild = Render(RenderSettings(**{name: EFFECTS[name] for name in effects}), 0).process(timelines[:5])
    edges = [
        edge
        for record in wild
        for edge in compare(record, "user", listening.vad.speech(*channel(record, "user"))).edges
    ]
    assert len(edges) == 20
    assert max(abs(edge.error_s) for edge in edges) <= 0.16
    assert np.median([abs(edge.error_s) for edge in edges if edge.kind == "start"]) < 0.03
