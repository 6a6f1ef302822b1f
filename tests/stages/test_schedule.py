import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from material import make_dialogue, noise_speech, spoken_noise

from manifests.columns import dialogue_row
from manifests.direction import Disfluency
from manifests.frames import SOURCE_FRAME, SOURCE_RATE, TARGET_FRAME, TARGET_RATE
from manifests.records import DuplexDialogue, Rejected, Timeline, Turn
from stages.schedule import Range, Schedule, ScheduleSettings


def schedule(spoken, seed=0, **changes) -> Timeline | Rejected:
    return Schedule(ScheduleSettings.model_validate(changes), seed).process([spoken])[0]


def always(**changes):
    return {"barge_in": {"share": 1.0, "turn_share": 1.0, **changes}}


def seconds(segment):
    rate = SOURCE_RATE if segment.speaker == "user" else TARGET_RATE
    return segment.start / rate, segment.end / rate


THREE = (("user", 1.5, 5), ("agent", 6.0, 20), ("user", 1.0, 3), ("agent", 2.0, 6))


def test_a_barge_in_cuts_the_agent_after_exactly_the_cut_off():
    timeline = schedule(spoken_noise(*THREE), **always())
    _, agent, user, _ = timeline.segments
    assert (user.event, agent.cut_off) == ("barge_in", True)
    silent_after = seconds(agent)[1] - seconds(user)[0]
    assert silent_after == pytest.approx(0.64, abs=1 / TARGET_RATE)
    assert seconds(agent)[0] + 0.8 <= seconds(user)[0]


def test_a_cut_turn_keeps_only_the_words_said_completely():
    _, agent, _, _ = schedule(spoken_noise(*THREE), **always()).segments
    assert 0 < len(agent.words) < 20
    assert agent.text_heard == " ".join(f"w{i}" for i in range(len(agent.words)))
    assert agent.text_full == " ".join(f"w{i}" for i in range(20))
    assert agent.words[-1].end <= agent.length
    next_word_end = 6.0 * TARGET_RATE / 20 * (len(agent.words) + 1)
    assert next_word_end > agent.length


def test_the_agent_waits_its_gap_and_starts_on_a_frame():
    timeline = schedule(spoken_noise(*THREE), **always(share=0.0))
    user, agent, *_ = timeline.segments
    assert agent.start % TARGET_FRAME == 0
    assert 0.64 <= seconds(agent)[0] - seconds(user)[1] < 0.64 + 0.08


def test_shares_of_zero_and_one_are_never_and_always():
    spoken = [spoken_noise(*THREE, id=f"d{i}") for i in range(40)]
    assert not any(s.cut_off for d in spoken for s in schedule(d, **always(share=0.0)).segments)
    assert all(any(s.cut_off for s in schedule(d, **always()).segments) for d in spoken)
    half = sum(any(s.cut_off for s in schedule(d).segments) for d in spoken)
    assert 10 <= half <= 30


def test_an_agent_turn_too_short_to_cut_is_unchanged():
    short = (("user", 1.0, 3), ("agent", 1.2, 4), ("user", 1.0, 3), ("agent", 1.0, 3))
    assert not any(s.cut_off for s in schedule(spoken_noise(*short), **always()).segments)


def test_the_input_may_fix_a_barge_in_or_forbid_it():
    spoken = spoken_noise(*THREE)

    def with_event(event):
        turns = tuple(replace(t, event=event) if i == 2 else t for i, t in enumerate(spoken.dialogue.turns))
        return replace(spoken, dialogue=replace(spoken.dialogue, turns=turns))

    assert schedule(with_event("barge_in"), **always(share=0.0)).segments[2].event == "barge_in"
    assert schedule(with_event("turn"), **always()).segments[2].event == "turn"


def test_an_impossible_fixed_barge_in_rejects_the_dialogue():
    spoken = spoken_noise(("user", 1.0, 3), ("agent", 0.5, 2), ("user", 1.0, 3))
    turns = (*spoken.dialogue.turns[:2], replace(spoken.dialogue.turns[2], event="barge_in"))
    result = schedule(replace(spoken, dialogue=replace(spoken.dialogue, turns=turns)))
    assert isinstance(result, Rejected)
    assert result.reason == "barge_in_impossible"


def test_a_barge_in_that_may_wait_does_so_where_the_agents_turn_is_too_short():
    spoken = spoken_noise(("user", 1.0, 3), ("agent", 0.5, 2), ("user", 1.0, 3), ("agent", 3.0, 9), ("user", 1.0, 3))
    marked = [
        replace(t, event="barge_in", may_wait=True) if i in (2, 4) else t for i, t in enumerate(spoken.dialogue.turns)
    ]
    timeline = schedule(replace(spoken, dialogue=replace(spoken.dialogue, turns=tuple(marked))))
    assert [segment.event for segment in timeline.segments] == ["turn", "turn", "turn", "turn", "barge_in"]
    silence = np.zeros(0, np.int16)
    assert dialogue_row(DuplexDialogue(timeline, silence, silence))["barge_ins_that_wait"] == 1


def test_a_fixed_gap_is_kept():
    spoken = spoken_noise(*THREE)
    turns = (*spoken.dialogue.turns[:2], replace(spoken.dialogue.turns[2], gap_s=2.5), spoken.dialogue.turns[3])
    timeline = schedule(replace(spoken, dialogue=replace(spoken.dialogue, turns=turns)), **always())
    _, agent, user, _ = timeline.segments
    assert seconds(user)[0] - seconds(agent)[1] == pytest.approx(2.5, abs=2 / SOURCE_RATE)


def test_a_dialogue_that_is_too_long_is_rejected():
    result = schedule(spoken_noise(*THREE), max_dialogue_s=5)
    assert isinstance(result, Rejected)
    assert result.reason == "dialogue_too_long"


def test_the_timeline_depends_only_on_seed_and_id():
    spoken = spoken_noise(*THREE)
    random.seed(1)
    np.random.seed(1)
    first = schedule(spoken)
    random.seed(2)
    Schedule(ScheduleSettings(), 0).process([spoken_noise(*THREE, id="other"), spoken])
    assert schedule(spoken).segments == first.segments
    assert schedule(spoken, seed=1).segments != first.segments


turns = st.lists(
    st.tuples(st.sampled_from(["user", "agent"]), st.floats(0.05, 8), st.integers(1, 12)), min_size=1, max_size=10
)


@settings(max_examples=150, deadline=None)
@given(turns=turns, seed=st.integers(0, 9), cut_off=st.sampled_from([0.08, 0.32, 0.64, 1.0]), gap=st.floats(0, 1))
def test_invariants_of_every_timeline(turns, seed, cut_off, gap):
    timeline = schedule(
        spoken_noise(*turns),
        seed=seed,
        agent_gap_s=gap,
        user_gap_s={"low": 0, "high": gap},
        tail_s=0,
        **always(cut_off_s=cut_off),
    )
    for speaker, rate_frame in (("user", SOURCE_FRAME), ("agent", TARGET_FRAME)):
        own = [s for s in timeline.segments if s.speaker == speaker]
        assert all(a.end <= b.start for a, b in itertools.pairwise(own)), "one speaker's turns overlap"
        assert all(s.length > 0 and s.end <= timeline.frames * rate_frame for s in own)
        for segment in own:
            assert all(0 <= w.start <= w.end <= segment.length for w in segment.words)
            assert all(a.end <= b.start for a, b in zip(segment.words, segment.words[1:], strict=False))
            assert segment.cut_off or segment.text_heard == segment.text_full
    assert all(s.start % TARGET_FRAME == 0 for s in timeline.segments if s.speaker == "agent")
    starts = [seconds(s)[0] for s in timeline.segments]
    assert starts == sorted(starts)
    cuts = [i for i, s in enumerate(timeline.segments) if s.cut_off]
    assert cuts == [i - 1 for i, s in enumerate(timeline.segments) if s.event == "barge_in"]


def test_range_is_checked():
    with pytest.raises(ValueError, match="'low' must not be above 'high'"):
        Range(low=2, high=1)


def test_real_dialogues_have_barge_ins(timelines):
    assert make_dialogue().id == "one"
    assert any(s.cut_off for t in timelines for s in t.segments)


def with_backchannel(spoken, after: int, text: str = "", seconds: float = 0.4):
    """A backchannel after the turn `after`; one without text is a stage's, one with text the input's."""
    turn = Turn("user", text=text, spoken="mm-hm", voice="user-voice", event="backchannel")
    turns, speech = list(spoken.dialogue.turns), list(spoken.speech)
    turns.insert(after + 1, turn)
    speech.insert(after + 1, noise_speech(seconds, 1))
    return replace(spoken, dialogue=replace(spoken.dialogue, turns=tuple(turns)), speech=tuple(speech))


def test_the_agent_talks_through_a_backchannel():
    quiet = schedule(spoken_noise(*THREE), **always(share=0.0))
    timeline = schedule(with_backchannel(spoken_noise(*THREE), 1), **always(share=0.0))
    _, agent, aside, user, _ = timeline.segments
    assert (aside.event, aside.speaker, user.event) == ("backchannel", "user", "turn")
    assert seconds(agent)[0] + 0.8 <= seconds(aside)[0]
    assert seconds(aside)[1] + 1.5 <= seconds(agent)[1]
    assert not agent.cut_off
    assert [s.start for s in timeline.segments if s.event == "turn"] == [s.start for s in quiet.segments]


def test_a_barge_in_comes_after_a_backchannel_in_the_same_turn():
    for seed in range(30):
        timeline = schedule(with_backchannel(spoken_noise(*THREE), 1), seed=seed, **always())
        events = [s.event for s in timeline.segments]
        if "barge_in" in events:
            aside, user = (timeline.segments[events.index(event)] for event in ("backchannel", "barge_in"))
            assert seconds(user)[0] >= seconds(aside)[1] + 0.8
            assert timeline.segments[events.index("barge_in") - 2].cut_off


def test_a_backchannel_without_room_is_dropped_or_rejected():
    short = spoken_noise(("user", 1.0, 3), ("agent", 1.2, 4), ("user", 1.0, 3), ("agent", 1.0, 3))
    assert "backchannel" not in {s.event for s in schedule(with_backchannel(short, 1)).segments}
    refused = schedule(with_backchannel(short, 1, text="mm-hm"))
    assert isinstance(refused, Rejected)
    assert refused.reason == "backchannel_impossible"


def test_a_pause_delays_what_follows_it():
    paused = {"share": 1, "turn_share": 1, "words": 3, "length_s": {"low": 0.7, "high": 0.7}}
    spoken = spoken_noise(*THREE)
    plain, timeline = (schedule(spoken, **always(share=0.0), pause=p) for p in ({"share": 0}, paused))
    before, after = plain.segments[0], timeline.segments[0]
    assert len(after.pauses) == 2  # five words: one for every three begun
    assert after.length == before.length + 2 * round(0.7 * SOURCE_RATE)
    for pause in after.pauses:
        assert pause.length == round(0.7 * SOURCE_RATE)
        assert all(word.end <= pause.start or word.start >= pause.end for word in after.words)
    assert [w.end - w.start for w in after.words] == [w.end - w.start for w in before.words]
    assert not any(s.pauses for s in timeline.segments if s.speaker == "agent")
    assert seconds(timeline.segments[1])[0] - seconds(after)[1] == pytest.approx(0.64, abs=0.08)


def test_nobody_pauses_where_a_sentence_has_ended():
    spoken = spoken_noise(*THREE)
    ended = replace(spoken.speech[0], words=tuple(replace(w, text=w.text + ".") for w in spoken.speech[0].words))
    spoken = replace(spoken, speech=(ended, *spoken.speech[1:]))
    for seed in range(10):
        first, *others = schedule(spoken, seed=seed, pause={"share": 1, "turn_share": 1}).segments
        assert not first.pauses
        assert any(s.pauses for s in others)


def with_events(spoken, **events: str):
    """`spoken` with events at turns, by index: `at2="side_talk"`."""
    turns = list(spoken.dialogue.turns)
    for at, event in events.items():
        turns[int(at.removeprefix("at"))] = replace(turns[int(at.removeprefix("at"))], event=event, text="")
    return replace(spoken, dialogue=replace(spoken.dialogue, turns=tuple(turns)))


def test_a_false_start_falls_into_the_agents_turn_which_continues():
    spoken = with_events(
        spoken_noise(("user", 2.0, 6), ("agent", 8.0, 24), ("user", 0.5, 2), ("user", 2.0, 6), ("agent", 2.0, 6)),
        at2="false_start",
    )
    _, agent, start, turn, _ = schedule(spoken, barge_in={"share": 0}).segments
    assert (start.event, turn.event, agent.cut_off) == ("false_start", "turn", False)
    assert seconds(agent)[0] + 0.8 <= seconds(start)[0] and seconds(start)[1] + 1.5 <= seconds(agent)[1] + 1e-4
    assert seconds(turn)[0] > seconds(agent)[1]


def test_nobody_answers_side_talk_and_nothing_barges_in_after_it():
    spoken = with_events(
        spoken_noise(("user", 2.0, 6), ("agent", 8.0, 24), ("user", 1.0, 3), ("user", 2.0, 6), ("agent", 2.0, 6)),
        at2="side_talk",
    )
    for id in range(10):
        own = replace(spoken, dialogue=replace(spoken.dialogue, id=f"d{id}"))
        _, agent, talk, turn, answer = schedule(own, **always()).segments
        assert (talk.event, turn.event, agent.cut_off) == ("side_talk", "turn", False)
        ends = [seconds(one)[1] for one in (agent, talk, turn)]
        starts = [seconds(one)[0] for one in (talk, turn, answer)]
        assert all(start > end for start, end in zip(starts, ends, strict=True))


def test_several_backchannels_find_room_in_one_turn():
    turns = [("user", 2.0, 6), ("agent", 9.0, 27), *[("user", 0.4, 1)] * 4, ("user", 2.0, 6)]
    events = {f"at{index}": "backchannel" for index in range(2, 6)}
    for id in range(20):
        spoken = with_events(spoken_noise(*turns, id=f"d{id}"), **events)
        segments = schedule(spoken, barge_in={"share": 0}).segments
        assert [segment.event for segment in segments].count("backchannel") == 4
        backchannels = [seconds(segment) for segment in segments[2:6]]
        assert all(b[0] - a[1] >= 0.79 for a, b in itertools.pairwise(backchannels))


def said_after(spoken, words: int, event: str, text: str = ""):
    """The third turn, or a backchannel before it, after this many of the agent's words."""
    if event == "backchannel":
        spoken = with_backchannel(spoken, 1, text=text)
    turns = list(spoken.dialogue.turns)
    turns[2] = replace(turns[2], event=event, after_words=words)
    return replace(spoken, dialogue=replace(spoken.dialogue, turns=tuple(turns)))


@pytest.mark.parametrize(
    ("event", "words"), [("barge_in", 5), ("barge_in", 12), ("backchannel", 5), ("backchannel", 12)]
)
def test_a_reaction_to_certain_words_starts_soon_after_them(event, words):
    starts = set()
    for seed in range(20):
        _, agent, user, *_ = schedule(
            said_after(spoken_noise(*THREE), words, event), seed=seed, **always(share=0.0)
        ).segments
        assert (user.event, agent.cut_off) == (event, event == "barge_in")
        starts.add(seconds(user)[0] - seconds(agent)[0])
    assert words * 0.3 <= min(starts) and max(starts) <= words * 0.3 + 0.37 + 0.01
    assert len(starts) > 10


def test_without_room_after_its_words_an_aside_is_left_out_and_an_interruption_waits():
    segments = schedule(said_after(spoken_noise(*THREE), 16, "backchannel")).segments
    assert "backchannel" not in {segment.event for segment in segments}
    _, agent, user, _ = schedule(said_after(spoken_noise(*THREE), 18, "barge_in"), **always()).segments
    assert (user.event, agent.cut_off) == ("turn", False)
    assert seconds(user)[0] > seconds(agent)[1]


def with_turn(spoken, after: int, turn: Turn, seconds: float, words: int):
    """A turn that a stage has inserted after the turn `after`."""
    turns, speech = list(spoken.dialogue.turns), list(spoken.speech)
    turns.insert(after + 1, turn)
    speech.insert(after + 1, noise_speech(seconds, words))
    return replace(spoken, dialogue=replace(spoken.dialogue, turns=tuple(turns)), speech=tuple(speech))


TALKATIVE = (("user", 2.0, 6), ("agent", 4.0, 12), ("user", 8.0, 24), ("agent", 3.0, 9))
MM_HM = Turn("agent", text="", spoken="mm-hm", event="backchannel")


def test_the_agents_backchannel_falls_into_the_users_turn_which_continues():
    for number in range(20):
        spoken = with_turn(spoken_noise(*TALKATIVE, id=f"d{number}"), 2, MM_HM, 0.4, 1)
        pauses = {"share": number % 2, "turn_share": 1, "words": 12}
        user, aside, answer = schedule(spoken, barge_in={"share": 0.5}, pause=pauses).segments[2:]
        assert (aside.speaker, aside.event, aside.start % TARGET_FRAME) == ("agent", "backchannel", 0)
        assert seconds(user)[0] + 2 <= seconds(aside)[0] and seconds(aside)[1] + 1 <= seconds(user)[1]
        assert seconds(answer)[0] > seconds(user)[1]


def test_the_agents_backchannel_comes_soon_after_a_phrase():
    spoken = with_turn(spoken_noise(*TALKATIVE), 2, MM_HM, 0.4, 1)
    words = tuple(replace(w, text=f"{w.text},") if n == 11 else w for n, w in enumerate(spoken.speech[2].words))
    speech = (*spoken.speech[:2], replace(spoken.speech[2], words=words), *spoken.speech[3:])
    user, aside, _ = schedule(replace(spoken, speech=speech)).segments[2:]
    assert 0.16 <= seconds(aside)[0] - (user.start + user.words[11].end) / SOURCE_RATE <= 0.56


def test_an_agents_backchannel_without_room_is_dropped_or_rejected():
    short = spoken_noise(("user", 2.0, 6), ("agent", 4.0, 12))
    assert len(schedule(with_turn(short, 0, MM_HM, 0.4, 1)).segments) == 2
    refused = schedule(with_turn(short, 0, replace(MM_HM, text="mm-hm"), 0.4, 1))
    assert isinstance(refused, Rejected) and "the user turn before it is not long enough" in refused.message


def test_the_agent_asks_again_after_a_long_silence():
    again = Turn("agent", text="", spoken="Still there?", event="turn", act="reprompt")
    spoken = with_turn(spoken_noise(*THREE), 1, again, 1.0, 2)
    for profile in ("paper", "human"):
        segments = schedule(spoken, silence_s={"low": 6, "high": 7}, profile=profile, **always()).segments
        assert [(s.speaker, s.event) for s in segments] == [
            ("user", "turn"), ("agent", "turn"), ("agent", "turn"), ("user", "turn"), ("agent", "turn"),
        ]  # fmt: skip
        assert 6 <= seconds(segments[2])[0] - seconds(segments[1])[1] <= 7.1
        assert seconds(segments[3])[0] > seconds(segments[1])[1] + 6


def test_users_pause_after_fillers():
    spoken = spoken_noise(*THREE)
    turns = (
        replace(spoken.dialogue.turns[0], disfluencies=tuple(Disfluency("hesitation", n, 1) for n in (1, 4))),
        *spoken.dialogue.turns[1:],
    )
    spoken = replace(spoken, dialogue=replace(spoken.dialogue, turns=turns))
    user = schedule(spoken, pause={"after_filler": 1}).segments[0]
    assert len(user.pauses) == 1, "the last word has nothing behind it"
    assert user.words[1].end <= user.pauses[0].start < user.pauses[0].end <= user.words[2].start
    assert not schedule(spoken, pause={"after_filler": 0}).segments[0].pauses
    number = [
        len(
            schedule(replace(spoken, dialogue=replace(spoken.dialogue, id=f"d{i}")), profile="human").segments[0].pauses
        )
        for i in range(200)
    ]
    plain = [len(schedule(spoken_noise(*THREE, id=f"d{i}"), profile="human").segments[0].pauses) for i in range(200)]
    assert sum(number) < 1.2 * sum(plain) + 200 * 0.7, "they count among the profile's"


def test_barge_ins_early_late_and_again():
    long = (("user", 1.0, 3), ("agent", 9.0, 30), ("user", 1.0, 3), ("agent", 9.0, 30), ("user", 1.0, 3))

    def onsets(**changes) -> list[list[float]]:
        made = [schedule(spoken_noise(*long, id=f"d{i}"), barge_in={"share": 1, **changes}) for i in range(60)]
        return [
            [seconds(b)[0] - seconds(a)[0] for a, b in itertools.pairwise(t.segments) if b.event == "barge_in"]
            for t in made
        ]

    assert max([*itertools.chain(*onsets(early=1))]) < 3
    assert min([*itertools.chain(*onsets(late=1))]) >= 6
    both = [*itertools.chain(*onsets(early=0.5, late=0.5))]
    assert not any(3 <= onset < 6 for onset in both) and len({onset < 3 for onset in both}) == 2
    assert {len(own) for own in onsets(turn_share=0)} == {1}
    assert {len(own) for own in onsets(turn_share=0, again=1)} == {1, 2}, "two where the first turn is barged into"
    with pytest.raises(ValueError, match="must not add up to more than 1"):
        ScheduleSettings.model_validate({"barge_in": {"early": 0.6, "late": 0.6}})


def test_the_agent_may_finish_its_word():
    for number in range(30):
        _, agent, user, _ = schedule(spoken_noise(*THREE, id=f"d{number}"), **always(finish_word=1)).segments
        assert agent.cut_off and agent.cut_word is None
        assert agent.words[-1].end == agent.length
        assert 0.64 <= seconds(agent)[1] - seconds(user)[0] + 1e-4 <= 0.64 + 0.3 + 1e-3, "a word takes 0.3 s"
        assert len(agent.text_full.split()) > len(agent.words)


def held(spoken, first: int, act: str = "wait"):
    """The user stops the agent's turn 1, which starts again with its word `first`."""
    words = spoken.dialogue.turns[1].spoken.split()[first:]
    said = [Turn("user", "", spoken="Wait.", event="barge_in", act=act)]
    if act == "wait":
        said += [Turn("user", "", "Go on.", event="turn", act="go_on")]
        said += [Turn("agent", "", " ".join(words), event="turn", act="resume")]
    for place, turn in enumerate(said, 1):
        spoken = with_turn(spoken, place, turn, 0.3 * len(turn.spoken.split()), len(turn.spoken.split()))
    named = (
        [replace(w, text=text) for w, text in zip(spoken.speech[4].words, words, strict=True)] if act == "wait" else []
    )
    speech = [replace(s, words=tuple(named)) if n == 4 and named else s for n, s in enumerate(spoken.speech)]
    return replace(spoken, speech=tuple(speech))


def with_sentences(spoken, *ends: int):
    """The words of the agent's turn 1 at these positions end a sentence."""
    words = tuple(replace(w, text=f"{w.text}.") if n in ends else w for n, w in enumerate(spoken.speech[1].words))
    said = " ".join(word.text for word in words)
    turns = [replace(t, spoken=said) if n == 1 else t for n, t in enumerate(spoken.dialogue.turns)]
    speech = [replace(s, words=words) if n == 1 else s for n, s in enumerate(spoken.speech)]
    return replace(spoken, dialogue=replace(spoken.dialogue, turns=tuple(turns)), speech=tuple(speech))


def test_the_agent_waits_and_resumes_at_the_start_of_the_interrupted_sentence():
    for number in range(40):
        spoken = held(with_sentences(spoken_noise(*THREE, id=f"d{number}"), 7, 13, 19), 8)
        profile = "human" if number % 2 else "paper"
        made = schedule(spoken, barge_in={"share": 0, "finish_word": 0.5}, profile=profile)
        _, agent, wait, go_on, again, user, _ = made.segments
        assert [s.event for s in (agent, wait, go_on, again, user)] == ["turn", "barge_in", "turn", "turn", "turn"]
        assert agent.cut_off and 8 <= len(agent.words) <= 14
        assert again.text_heard.split() == agent.text_full.split()[8:] and not again.cut_off
        assert 5.5 <= seconds(go_on)[0] - max(seconds(wait)[1], seconds(agent)[1]) <= 9.1
        assert seconds(again)[0] > seconds(go_on)[1]


def test_after_stop_the_users_next_turn_comes_late_and_the_agent_says_nothing_before():
    made = schedule(held(spoken_noise(*THREE), 8, "stop"), barge_in={"share": 0})
    _, agent, stop, user, answer = made.segments
    assert agent.cut_off and (stop.event, user.event, answer.speaker) == ("barge_in", "turn", "agent")
    assert seconds(user)[0] - seconds(agent)[1] >= 5.5


def test_a_wait_without_room_is_dropped_with_its_turns():
    spoken = held(with_sentences(spoken_noise(*THREE), 1, 19), 0)  # too early in the turn
    made = schedule(spoken, barge_in={"share": 0})
    assert [s.speaker for s in made.segments] == ["user", "agent", "user", "agent"]
    assert len(made.spoken.dialogue.turns) == 4 and not any(s.cut_off for s in made.segments)
    turns = tuple(replace(t, text=t.spoken) if t.act else t for t in spoken.dialogue.turns)
    refused = schedule(replace(spoken, dialogue=replace(spoken.dialogue, turns=turns)))
    assert isinstance(refused, Rejected) and refused.reason == "barge_in_impossible"
