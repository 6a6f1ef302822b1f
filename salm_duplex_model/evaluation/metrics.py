"""The behavior metrics: small functions of a scene's labels and the agent's speech times.

Each returns one sample per event, so a figure is their mean, and its interval comes from resampling dialogues. Rates
have samples 0 and 1; latencies and times are in seconds. The paper's metrics (SALM-Duplex, arXiv 2505.15670) are
barge-in success, barge-in latency, false alarms and first response; the others cover what these four miss. `agent` is
in order of time.

A *start* is the start of an agent's turn, *silent* is its end; turns are already joined over short gaps (`activity.py`).
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from manifests.frames import FRAME_SECONDS
from manifests.records import DURING
from salm_duplex_model.evaluation.timeline import Interval, Scene, UserTurn

STOP_WITHIN_S = 1.5
"""As in the paper: an agent that is silent this soon after the user's onset has yielded."""
USER_STOPS_S = 0.1
"""As in the paper: a start while the user talks does not count if the user stops within this time."""
REPEATED_WITHIN_S = 15.0
TALKS_ON_S = 2 * STOP_WITHIN_S
"""A stop can be judged false only if the reference agent keeps talking for this much longer than the window."""
CLEAR_S = 3.0
"""Minimum distance of a control moment from all user activity."""
CONTROL_EVERY_S = 1.0
TAIL_S = 2.0
"""Silence appended to a dialogue, in which the agent may still answer, or finish."""
TOLERANCE_FRAMES = 13
"""NeMo's tolerance for turn taking by token."""

Agent = Sequence[Interval]
Metric = Callable[[Scene, Agent], list[float]]


def barge_in_met_rate(scene: Scene, agent: Agent) -> list[float]:
    """Per barge-in: whether the agent was speaking."""
    return [float(speaking(agent, turn.start) is not None) for turn in _barge_ins(scene)]


def barge_in_success_rate(scene: Scene, agent: Agent) -> list[float]:
    """Per barge-in on a speaking agent: whether it falls silent within 1.5 s of the user's onset."""
    return [float(delay <= STOP_WITHIN_S) for delay in _delays(agent, _barge_ins(scene))]


def barge_in_latency_s(scene: Scene, agent: Agent) -> list[float]:
    """Per successful barge-in: from the user's onset until the agent is silent."""
    return [delay for delay in _delays(agent, _barge_ins(scene)) if delay <= STOP_WITHIN_S]


def barge_in_yield_rate(scene: Scene, agent: Agent, text: Agent) -> list[float]:
    """Per barge-in on a speaking agent: whether, within 1.5 s, it is silent and its turn on the text channel is also
    over.

    An agent that was never trained on overlapping speech may fall silent only for lack of codes, and keep writing
    text, which nobody has heard."""
    yielded = []
    for turn in _barge_ins(scene):
        spoken, written = speaking(agent, turn.start), speaking(text, turn.start)
        if spoken is not None:
            end = max(spoken.end, written.end if written is not None else turn.start)
            yielded.append(float(end - turn.start <= STOP_WITHIN_S))
    return yielded


def repeated_barge_in_success_rate(scene: Scene, agent: Agent) -> list[float]:
    """Success of barge-ins within 15 s of the previous one."""
    turns = _barge_ins(scene)
    again = [turn for before, turn in itertools.pairwise(turns) if turn.start - before.start <= REPEATED_WITHIN_S]
    return [float(delay <= STOP_WITHIN_S) for delay in _delays(agent, again)]


def false_alarm_rate(scene: Scene, agent: Agent) -> list[float]:
    """Per user turn, without backchannels: whether the agent starts while the user talks.

    A start in one of the turn's labeled pauses counts as taking over in a pause, not here.
    """
    return [float(starts_early(turn, agent)) for turn in scene.floor_turns]


def pause_take_over_rate(scene: Scene, agent: Agent) -> list[float]:
    """Per labeled pause inside a user's turn: whether the agent starts in it."""
    pauses = [pause for turn in scene.floor_turns for pause in turn.pauses]
    return [float(any(pause.holds(start) for start in _starts(agent))) for pause in pauses]


def talk_over_share(scene: Scene, agent: Agent) -> list[float]:
    """Per user turn: the share of it, from 1.5 s after its start, during which the agent also speaks.

    This reveals an agent that never yields, which has no starts. Before that time it may finish: the loop is open,
    and if its own answer is longer than the reference's, the user's next turn is an unlabeled barge-in."""
    rests = [Interval(turn.start + STOP_WITHIN_S, turn.end) for turn in scene.floor_turns]
    return [_overlap(agent, rest) / rest.length for rest in rests if rest.length > 0]


def turn_ended_rate(scene: Scene, agent: Agent) -> list[float]:
    """Per agent turn that starts before the end of the dialogue, and during which the user does not speak: whether it
    ends before the end of the appended silence.

    An agent that keeps droning until it is interrupted succeeds in every barge-in, but fails here.
    """
    timely = [turn for turn in agent if turn.start < scene.duration]
    left_alone = [turn for turn in timely if not any(turn.holds(event.start) for event in scene.user)]
    return [float(turn.end < scene.duration + TAIL_S - FRAME_SECONDS) for turn in left_alone]


def false_stop_rate(scene: Scene, agent: Agent) -> list[float]:
    """Per backchannel or false start of the user, or burst of noise, on a speaking agent: whether it falls silent
    within 1.5 s.

    Counted only if the reference agent keeps talking, for 1.5 s more than that.
    """
    events = [*(turn for turn in scene.user if turn.event in DURING), *scene.noises]
    counted = [event for event in events if reference_talks_on(scene, event.start)]
    return [float(delay <= STOP_WITHIN_S) for delay in _delays(agent, counted)]


def side_talk_answer_rate(scene: Scene, agent: Agent) -> list[float]:
    """Per side talk of the user: whether the agent starts after it and before the user's next turn, when it should
    not speak."""
    return [
        float(any(talk.start < turn.start < scene.window_after(talk) for turn in agent))
        for talk in scene.user
        if talk.event == "side_talk"
    ]


def wait_answer_rate(scene: Scene, agent: Agent) -> list[float]:
    """Per "wait" or "stop" of the user: whether the agent starts after its onset and before the user's next turn."""
    return [
        float(any(wait.start < turn.start < scene.window_after(wait) for turn in agent))
        for wait in scene.user
        if wait.act in ("wait", "stop")
    ]


def chance_stop_rate(scene: Scene, agent: Agent) -> list[float]:
    """The baseline for false stops: the same at moments without any user activity within 3 s.

    The moments are whole seconds at which the agent speaks and the reference agent keeps talking for as long. A
    freely generated answer also ends somewhere, and this is how often. A turn that the user starts later is no
    activity: in a closed loop, it is what follows from the stop. Speech planned during the agent's turn is, said or not."""
    heard = [*scene.user, *scene.noises]
    during = [event.start for event in scene.user if event.event in (*DURING, "barge_in")]
    during += [*scene.planned, *(burst.start for burst in scene.noises)]
    moments = [
        Interval(float(moment), float(moment))
        for moment in np.arange(0, scene.duration, CONTROL_EVERY_S)
        if reference_talks_on(scene, moment)
        and not any(event.start <= moment < event.end + CLEAR_S for event in heard)
        and not any(moment < start < moment + CLEAR_S for start in during)
    ]
    return [float(delay <= STOP_WITHIN_S) for delay in _delays(agent, moments)]


def first_response_latency_s(scene: Scene, agent: Agent) -> list[float]:
    """Per user turn answered by both the reference agent and the agent: from its end to the agent's start.

    The answer is the first start from 0.1 s before the turn's end until the user's next turn. Barge-ins are not included.
    """
    return [latency for latency in _latencies(scene, agent, "turn") if latency is not None]


def turn_taken_rate(scene: Scene, agent: Agent) -> list[float]:
    """Per user turn answered by the reference agent, without barge-ins: whether the agent answers it."""
    return [float(latency is not None) for latency in _latencies(scene, agent, "turn")]


def interruption_response_latency_s(scene: Scene, agent: Agent) -> list[float]:
    """First response latency after barge-ins."""
    return [latency for latency in _latencies(scene, agent, "barge_in") if latency is not None]


def interruption_taken_rate(scene: Scene, agent: Agent) -> list[float]:
    """Turn taken rate of barge-ins."""
    return [float(latency is not None) for latency in _latencies(scene, agent, "barge_in")]


def unprompted_starts_per_min(scene: Scene, agent: Agent) -> list[float]:
    """Per dialogue: starts per minute that are not prompted by the user.

    A start is prompted if a user turn other than a backchannel ended or continued since the agent's previous start.
    If the agent speaks first in the labels, its first start is also prompted, and so is one start in a silence in
    which the labels have it ask again."""
    return [60 * len(unprompted_starts(scene, agent)) / scene.duration]


def unprompted_dialogue_share(scene: Scene, agent: Agent) -> list[float]:
    """Per dialogue: whether the agent starts unprompted in it."""
    return [float(bool(unprompted_starts(scene, agent)))]


BEHAVIOR: dict[str, Metric] = {
    metric.__name__: metric
    for metric in (
        barge_in_success_rate,
        barge_in_latency_s,
        barge_in_met_rate,
        repeated_barge_in_success_rate,
        false_alarm_rate,
        pause_take_over_rate,
        talk_over_share,
        turn_ended_rate,
        false_stop_rate,
        side_talk_answer_rate,
        wait_answer_rate,
        chance_stop_rate,
        first_response_latency_s,
        turn_taken_rate,
        interruption_response_latency_s,
        interruption_taken_rate,
        unprompted_starts_per_min,
        unprompted_dialogue_share,
    )
}


def matched_starts(agent_bos: Sequence[int], reference_bos: Sequence[int]) -> int:
    """The number of the agent's BOS frames that can be paired one-to-one with the reference's, at most 13 frames apart.

    NeMo 3 scores turn taking in the same way (`nemo.collections.speechlm2.parts.metrics.turn_taking`: the frames
    differ by at most 13, about a second), but only for the first turn and as one accuracy; here, all turns count
    once. Pairs divided by the agent's number are the precision, and by the reference's the recall."""
    pairs, own, other = 0, sorted(agent_bos), sorted(reference_bos)
    while own and other:
        if abs(own[0] - other[0]) <= TOLERANCE_FRAMES:
            pairs, own, other = pairs + 1, own[1:], other[1:]
        elif own[0] < other[0]:
            own = own[1:]
        else:
            other = other[1:]
    return pairs


def unprompted_starts(scene: Scene, agent: Agent) -> list[float]:
    """The agent's unprompted starts, see `unprompted_starts_per_min`: always between the user's turns, without asides."""
    found, since = [], float("-inf")
    silences = list(scene.silences)
    for position, start in enumerate(_starts(agent)):
        prompted = any(turn.start <= start and turn.end > since for turn in scene.floor_turns)
        silence = next((own for own in silences if own.holds(start)), None)
        if not prompted and silence is not None:
            silences.remove(silence)
        elif not prompted and not (position == 0 and scene.agent_opens):
            found.append(start)
        since = start
    return found


def speaking(agent: Agent, moment: float) -> Interval | None:
    """The agent's current turn, at least a frame old: a turn that starts together with the user's need not be stopped."""
    return next((turn for turn in agent if turn.start + FRAME_SECONDS <= moment < turn.end), None)


def talking(turn: UserTurn, moment: float) -> bool:
    """Whether the user is talking in its turn, and not in a labeled pause."""
    return turn.holds(moment) and not any(pause.holds(moment) for pause in turn.pauses)


def reference_talks_on(scene: Scene, moment: float) -> bool:
    """Whether the reference agent talks, and would keep talking for `TALKS_ON_S`: in a closed loop, an agent that falls silent
    gives the user the floor, and its stop must count."""
    return any(turn.holds(moment) and turn.planned_end >= moment + TALKS_ON_S for turn in scene.reference)


def starts_early(turn: UserTurn, agent: Agent) -> bool:
    """Whether the agent starts while the user talks in its turn, see `false_alarm_rate`."""
    return any(talking(turn, own.start) and turn.end - own.start > USER_STOPS_S for own in agent)


def stop_delay(agent: Agent, event: Interval) -> float | None:
    """How long after the event's onset the agent is silent; None if it did not speak."""
    turn = speaking(agent, event.start)
    return None if turn is None else turn.end - event.start


def answer_delay(scene: Scene, turn: UserTurn, agent: Agent) -> float | None:
    """How long after the turn's end the agent answers it; None without an answer."""
    window = Interval(turn.end - USER_STOPS_S, scene.window_after(turn))
    return next((own.start - turn.end for own in agent if window.holds(own.start)), None)


def _barge_ins(scene: Scene) -> list[UserTurn]:
    return [turn for turn in scene.user if turn.event == "barge_in"]


def _starts(agent: Agent) -> list[float]:
    return [turn.start for turn in agent]


def _delays(agent: Agent, events: Sequence[Interval]) -> list[float]:
    """For each event at whose onset the agent speaks: how long after it the agent is silent."""
    delays = [stop_delay(agent, event) for event in events]
    return [delay for delay in delays if delay is not None]


def _overlap(agent: Agent, turn: Interval) -> float:
    parts = [own.clipped(turn.start, turn.end) for own in agent]
    return sum(part.length for part in parts if part is not None)


def _latencies(scene: Scene, agent: Agent, event: str) -> list[float | None]:
    """For each answered turn of this event: the latency of the agent's answer, None without one."""
    latencies: list[float | None] = []
    for turn in scene.user:
        if turn.event == event and turn.answered:
            latencies.append(answer_delay(scene, turn, agent))
    return latencies
