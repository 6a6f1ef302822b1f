"""The behavior metrics on hand-made timelines of good and bad agents."""

import pytest

from salm_duplex_model.evaluation import metrics as m
from salm_duplex_model.evaluation.timeline import Interval, ReferenceTurn, Scene, UserTurn


def spans(*pairs: tuple[float, float]) -> list[Interval]:
    return [Interval(a, b) for a, b in pairs]


def user(start: float, end: float, event: str = "turn", pauses: tuple = (), answered: bool = True) -> UserTurn:
    return UserTurn(start, end, "", event, tuple(spans(*pauses)), answered)  # type: ignore[arg-type]


def scene(*turns: UserTurn, reference: tuple = (), noises: tuple = (), duration: float = 60.0, **more) -> Scene:
    said = tuple(ReferenceTurn(a, b, planned_end=b) for a, b in reference)
    return Scene("s", duration, turns, said, tuple(spans(*noises)), **more)


BARGE = scene(user(0, 2), user(5, 7, "barge_in"), reference=((2.64, 5.64), (7.64, 9)))


@pytest.mark.parametrize(
    ("agent", "met", "success", "latency"),
    [
        (spans((2.6, 5.6)), [1.0], [1.0], [0.6]),  # yields
        (spans((2.6, 6.5)), [1.0], [1.0], [1.5]),  # at the last moment
        (spans((2.6, 6.6)), [1.0], [0.0], []),  # too late
        (spans((2.6, 30)), [1.0], [0.0], []),  # never
        (spans((2.6, 4.9)), [0.0], [], []),  # already silent: no barge-in to succeed
        (spans((5.0, 5.8)), [0.0], [], []),  # starts together with the user: no turn to stop
        ([], [0.0], [], []),
    ],
)
def test_barge_in(agent, met, success, latency):
    assert m.barge_in_met_rate(BARGE, agent) == met
    assert m.barge_in_success_rate(BARGE, agent) == success
    assert m.barge_in_latency_s(BARGE, agent) == pytest.approx(latency)


@pytest.mark.parametrize(
    ("agent", "text", "yields"),
    [
        (spans((2.6, 5.6)), spans((2.5, 6.4)), [1.0]),
        (spans((2.6, 5.6)), spans((2.5, 4.0)), [1.0]),  # all text is written, only the sound continues
        (spans((2.6, 5.1)), spans((2.5, 9.0)), [0.0]),  # keeps writing, unheard
        (spans((2.6, 9.0)), spans((2.5, 5.6)), [0.0]),  # keeps speaking
        (spans((2.6, 4.9)), spans((2.5, 9.0)), []),  # already silent
    ],
)
def test_an_agent_that_yields_stops_speaking_and_writing(agent, text, yields):
    assert m.barge_in_yield_rate(BARGE, agent, text) == yields


def test_repeated_barge_ins_come_within_15_s_of_the_previous_one():
    three = scene(user(5, 6, "barge_in"), user(20, 21, "barge_in"), user(36, 37, "barge_in"))
    agent = spans((4, 5.5), (15, 22), (30, 36.5))
    assert m.barge_in_success_rate(three, agent) == [1, 0, 1]
    assert m.repeated_barge_in_success_rate(three, agent) == [0]


@pytest.mark.parametrize(
    ("agent", "alarms"),
    [
        (spans((2.64, 4)), [0.0]),  # answers when the user is done
        (spans((1.0, 4)), [1.0]),  # in the middle
        (spans((1.85, 4)), [1.0]),  # 0.15 s before the user's end
        (spans((1.95, 4)), [0.0]),  # 0.05 s before it: not counted
        (spans((0.6, 1.2)), [0.0]),  # in the labeled pause: another metric
        (spans((0.9, 1.2)), [1.0]),  # after the pause, when the user has continued
        (spans((-1, 4)), [0.0]),  # spoke before: no start, but talked over the user
    ],
)
def test_false_alarms(agent, alarms):
    one = scene(user(0, 2, pauses=((0.5, 0.8),)))
    assert m.false_alarm_rate(one, agent) == alarms


def test_a_restart_while_the_user_barges_in_is_a_false_alarm():
    assert m.false_alarm_rate(BARGE, spans((2.6, 5.6), (6.2, 9))) == [0, 1]


def test_a_start_in_a_backchannel_is_not_a_false_alarm():
    assert m.false_alarm_rate(scene(user(0, 1), user(3, 3.5, "backchannel")), spans((3.2, 5))) == [0]


@pytest.mark.parametrize(
    ("start", "taken"), [(0.49, [0, 0]), (0.5, [1, 0]), (0.79, [1, 0]), (0.8, [0, 0]), (3, [0, 0])]
)
def test_pause_take_overs(start, taken):
    one = scene(user(0, 2, pauses=((0.5, 0.8), (1.2, 1.5))))
    assert m.pause_take_over_rate(one, spans((start, 5))) == taken


def test_talking_over_the_user_is_measured_without_any_start():
    one = scene(user(2, 5.5), user(8, 9), user(12, 15.5, "barge_in"))
    assert m.talk_over_share(one, spans((0, 60))) == [1, 1]  # the second turn is too short to tell
    assert m.talk_over_share(one, spans((0, 3.5), (10, 14.5))) == pytest.approx([0, 0.5])


def test_an_agent_that_ends_only_when_it_is_interrupted_does_not_end_its_turns():
    two = scene(user(0, 2), user(10, 11, "barge_in"), user(30, 31), duration=40)
    assert m.turn_ended_rate(two, spans((2.6, 10.6), (11.6, 20), (31.6, 35))) == [1, 1]
    assert m.turn_ended_rate(two, spans((2.6, 10.6), (11.6, 30.6), (31.6, 42))) == [0]


def test_a_turn_in_the_silence_after_the_dialogue_has_no_time_to_end():
    assert m.turn_ended_rate(scene(user(0, 2), duration=10), spans((2.6, 5), (10, 12))) == [1]


LONG = scene(
    user(0, 1), user(8, 8.4, "backchannel"), reference=((1.64, 20),), noises=((14, 14.2), (18.5, 18.6)), duration=22
)


@pytest.mark.parametrize(
    ("agent", "stops"),
    [
        (spans((1.6, 20)), [0.0, 0.0]),  # keeps talking; the noise at 18.5 is too close to the reference's end to count
        (spans((1.6, 9)), [1.0]),  # stops for the backchannel, and is silent when the noise comes
        (spans((1.6, 9), (10, 15)), [1.0, 1.0]),
        (spans((1.6, 9.6), (10, 15.6)), [0.0, 0.0]),  # ends, but not within 1.5 s
        ([], []),
    ],
)
def test_false_stops(agent, stops):
    assert m.false_stop_rate(LONG, agent) == stops


def test_a_false_start_is_not_a_reason_to_stop():
    one = scene(user(0, 1), user(8, 8.4, "false_start"), reference=((1.64, 20),), duration=22)
    assert m.false_stop_rate(one, spans((1.6, 20))) == [0]
    assert m.false_stop_rate(one, spans((1.6, 8.8))) == [1]


def test_side_talk_must_not_be_answered():
    one = scene(user(0, 1), user(8, 9, "side_talk"), user(10, 11), reference=((1.64, 5), (11.64, 14)), duration=16)
    assert m.side_talk_answer_rate(one, spans((1.6, 5), (11.6, 14))) == [0]
    assert m.side_talk_answer_rate(one, spans((1.6, 5), (9.5, 12))) == [1]
    assert m.false_alarm_rate(one, spans((1.6, 5), (11.6, 14))) == [0, 0]


def test_chance_stops_are_reported_at_moments_without_the_user():
    quiet = scene(user(0, 1), reference=((1.64, 12),), duration=14)
    # Whole seconds, 3 s after the user's end and 3 s before the reference's: 4 … 9.
    assert m.chance_stop_rate(quiet, spans((1.6, 12))) == [0] * 6
    assert m.chance_stop_rate(quiet, spans((1.6, 6))) == [0, 1]  # at 4 and 5; it ends by itself at 6
    assert m.chance_stop_rate(LONG, spans((1.6, 20))) == [0, 0]  # 4 and 5 only: other moments are too close to the user


@pytest.mark.parametrize(
    ("agent", "latencies", "taken"),
    [
        (spans((2.64, 4)), [0.64], [1.0]),
        (spans((1.95, 4)), [-0.05], [1.0]),  # practically at once
        (spans((1.8, 4)), [], [0.0]),  # started while the user talked, and did not start again
        (spans((4.9, 6)), [2.9], [1.0]),
        (spans((5.0, 6)), [], [0.0]),  # the user has taken the floor again
        ([], [], [0.0]),
    ],
)
def test_first_response(agent, latencies, taken):
    two = scene(user(0, 2), user(5, 6, answered=False))
    assert m.first_response_latency_s(two, agent) == pytest.approx(latencies)
    assert m.turn_taken_rate(two, agent) == taken


def test_answers_to_barge_ins_are_separate_and_backchannels_end_no_window():
    mixed = scene(user(0, 2), user(3, 3.3, "backchannel"), user(6, 8, "barge_in"))
    agent = spans((4, 6.5), (8.5, 10))
    assert m.first_response_latency_s(mixed, agent) == pytest.approx([2.0])
    assert m.interruption_response_latency_s(mixed, agent) == pytest.approx([0.5])
    assert m.turn_taken_rate(mixed, []) == m.interruption_taken_rate(mixed, []) == [0.0]


@pytest.mark.parametrize(
    ("agent", "opens", "per_min"),
    [
        (spans((11, 12)), False, 0),
        (spans((1, 2)), False, 1),  # before the user has said anything
        (spans((1, 2)), True, 0),  # as the labels expect
        (spans((1, 2), (4, 5)), True, 1),  # but only once
        (spans((11, 12), (14, 15), (20, 21)), False, 2),  # continues unprompted
        (
            spans((9, 10), (11, 12)),
            False,
            0,
        ),  # the user's turn continued at the first start, and had ended before the second
        ([], False, 0),
    ],
)
def test_unprompted_starts(agent, opens, per_min):
    one = scene(user(8, 10.5), agent_opens=opens)
    assert m.unprompted_starts_per_min(one, agent) == [per_min]
    assert m.unprompted_dialogue_share(one, agent) == [float(per_min > 0)]


def test_in_a_silent_scene_every_start_is_unprompted():
    silence = scene(noises=((3, 4),), duration=30)
    assert m.unprompted_starts_per_min(silence, spans((5, 6), (9, 10))) == [4]


@pytest.mark.parametrize(
    ("own", "reference", "pairs"),
    [
        ([10, 100], [10, 100], 2),
        ([23, 113], [10, 100], 2),  # 13 frames late
        ([24, 114], [10, 100], 0),  # 14
        ([5, 10, 15], [10], 1),  # each counts once
        ([20], [10, 30], 1),
        ([12, 20], [10, 24], 2),
        ([], [10], 0),
    ],
)
def test_turn_taking_by_token(own, reference, pairs):
    assert m.matched_starts(own, reference) == pairs


def test_a_start_in_a_silence_in_which_the_agent_may_ask_again_is_prompted_once():
    one = scene(user(0, 1), user(14, 15), reference=((1.6, 3), (10, 11)), silences=(Interval(6, 14),), duration=60)
    assert m.unprompted_starts_per_min(one, spans((1.6, 3), (10, 11), (15.6, 18))) == [0]
    assert m.unprompted_starts_per_min(one, spans((1.6, 3), (4, 5), (10, 11), (15.6, 18))) == [1]
    assert m.unprompted_starts_per_min(one, spans((1.6, 3), (9, 10), (11, 12), (15.6, 18))) == [1]


def test_an_agents_backchannel_is_not_a_turn_if_the_labels_have_some():
    agent = spans((4, 4.5), (6, 7.5), (9.8, 10.3), (12, 12.5))
    plain = scene(user(0, 10), reference=((10.64, 12),))
    assert plain.turns_of(agent) == agent
    held = scene(user(0, 10), reference=((10.64, 12),), backchannels=(Interval(3, 3.4),))
    assert held.turns_of(agent) == agent[1:]


def test_an_agent_asked_to_wait_says_nothing():
    turns = [user(0, 1), UserTurn(5, 5.5, "", "barge_in", act="wait"), user(12, 12.5)]
    one = scene(*turns, reference=((1.6, 5.6), (13, 15)))
    assert m.wait_answer_rate(one, spans((1.6, 5.6), (13, 15))) == [0]
    assert m.wait_answer_rate(one, spans((1.6, 5.6), (7, 8), (13, 15))) == [1]
