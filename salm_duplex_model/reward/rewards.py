"""Rewards for when an agent speaks, from its turns on the text channel and a scene's labels. All are in [-1, 0].

The four axes and the form of their rewards are those of arXiv 2606.11167: -1 for taking over in a pause, minus the delay
for answering a turn or an interruption, F1 within 1 s for the agent's backchannels. Where our scenes and figures differ
from the paper's, these rewards follow ours (`evaluation/metrics.py`), so that what is rewarded is what `evaluate`
measures:

* The paper cuts a recording into short segments of one event each. Here a dialogue stays whole, and each event has a
  *window*: what the agent did in it is credited with the event's reward. A window starts early enough to contain the
  decisions that the reward depends on, such as a start within the user's turn, which makes it miss the turn's end.
* pause: any start counts, not only speech of more than 1 s. In scenes with agent backchannels, those are not starts.
* turn, interruption: delays count up to `SLOW_S`. Interruptions also have a reward for falling silent, which the paper
  does not need: its score is the delay of the answer alone.
* backchannel: the scenes have the user's backchannels on a speaking agent, so -1 for falling silent at one; noise and
  false starts count likewise. Agent backchannels are scored as in the paper where a scene has them.
* unprompted (not in the paper): -1 for a start while the user talks, for one that nothing prompts, and for one after
  the user asked to wait. Without it an agent may start at any time, as long as it stops and answers in time, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from manifests.frames import FRAME_SECONDS
from manifests.records import DURING
from salm_duplex_model.evaluation.metrics import (
    STOP_WITHIN_S,
    answer_delay,
    matched_starts,
    reference_talks_on,
    starts_early,
    stop_delay,
    unprompted_starts,
)
from salm_duplex_model.evaluation.timeline import Interval, Scene, UserTurn

SLOW_S = 2.0
"""An answer this late has the reward of none."""
SPREAD = 0.1
"""Added to the standard deviation of a group's rewards, so that delays differing by a frame (rewards by 0.04) weigh
little beside a take-over."""

Agent = Sequence[Interval]


@dataclass(frozen=True, slots=True)
class Credit:
    """The reward of an event, for what the agent did in `window`; None if the event depends on a speaking agent, and it
    was silent."""

    window: Interval
    reward: float | None


def pause(scene: Scene, agent: Agent) -> list[Credit]:
    """Per pause in a user's turn: -1 if the agent starts in it."""
    starts = _starts(scene.turns_of(agent))
    return [Credit(own, _unless(any(map(own.holds, starts)))) for turn in scene.floor_turns for own in turn.pauses]


def turn(scene: Scene, agent: Agent) -> list[Credit]:
    """Per answered turn: minus the delay of the agent's answer, as a share of `SLOW_S`."""
    return [_answer(scene, own, agent) for own in scene.user if own.event == "turn" and own.answered]


def interruption(scene: Scene, agent: Agent) -> list[Credit]:
    """Per barge-in: minus the time until a speaking agent is silent, as a share of 1.5 s; and, if the reference agent
    answers it, minus the delay of the answer."""
    credits = []
    for own in scene.user:
        if own.event == "barge_in":
            stop = stop_delay(agent, own)
            credits.append(Credit(_at_onset(own), None if stop is None else -min(stop, STOP_WITHIN_S) / STOP_WITHIN_S))
            if own.answered:
                credits.append(_answer(scene, own, agent))
    return credits


def backchannel(scene: Scene, agent: Agent) -> list[Credit]:
    """Per backchannel or false start of the user, or noise, while the reference agent keeps talking: -1 if a speaking
    agent falls silent within 1.5 s. Per user turn with backchannels of the reference agent: F1 - 1 of the agent's."""
    events = [*(own for own in scene.user if own.event in DURING), *scene.noises]
    credits = []
    for event in events:
        if reference_talks_on(scene, event.start):
            stop = stop_delay(agent, event)
            credits.append(Credit(_at_onset(event), None if stop is None else _unless(stop <= STOP_WITHIN_S)))
    turns = {id(own) for own in scene.turns_of(agent)}
    mine = [own.start for own in agent if id(own) not in turns]
    for own in scene.floor_turns:
        right = [other.start for other in scene.backchannels if own.holds(other.start)]
        if right:
            said = [start for start in mine if own.holds(start)]
            pairs = matched_starts(_frames(said), _frames(right))
            credits.append(Credit(Interval(own.start, own.end), 2 * pairs / (len(said) + len(right)) - 1))
    return credits


def unprompted(scene: Scene, agent: Agent) -> list[Credit]:
    """Per user turn: -1 if the agent starts while the user talks; per time between user turns: -1 if it starts
    unprompted; per request to wait: -1 if it starts before the user's next turn."""
    turns = scene.turns_of(agent)
    starts, wrong = _starts(turns), unprompted_starts(scene, turns)
    credits, since = [], 0.0
    for own in scene.floor_turns:
        credits.append(Credit(Interval(own.start, own.end), _unless(starts_early(own, turns))))
        if own.act in ("wait", "stop"):
            silence = Interval(own.end, scene.window_after(own))
            credits.append(Credit(silence, _unless(any(map(silence.holds, starts)))))
    for begin in [*(own.start for own in scene.floor_turns), float("inf")]:
        gap = Interval(since, begin)
        credits.append(Credit(gap, _unless(any(map(gap.holds, wrong)))))
        since = max((own.end for own in scene.floor_turns if own.start <= begin), default=since)
    return credits


REWARDS: dict[str, Callable[[Scene, Agent], list[Credit]]] = {
    own.__name__: own for own in (pause, turn, backchannel, interruption, unprompted)
}
"""By kind, see `settings.Weights`. The events of a scene, and their order, are the same for every agent."""


def credits_of(scene: Scene, agent: Agent) -> dict[str, list[Credit]]:
    """The rewards of an agent's turns, backchannels included, in a scene, by kind."""
    return {kind: find(scene, agent) for kind, find in REWARDS.items()}


def advantages(group: Sequence[dict[str, list[Credit]]], weights: dict[str, float], frames: int) -> np.ndarray:
    """The advantage of what each conversation of a group did in each frame, float32 (group, frames).

    As in GRPO, an event's reward is compared with those of the group's other conversations: minus their mean, over their
    standard deviation. A frame has the weighted sum over the events whose windows contain it.
    """
    times = np.arange(frames) * FRAME_SECONDS
    found = np.zeros((len(group), frames), dtype=np.float32)
    for kind, weight in weights.items():
        for event in zip(*(own[kind] for own in group), strict=True):
            rewards = np.array([np.nan if own.reward is None else own.reward for own in event])
            if np.isnan(rewards).all():
                continue
            better = np.nan_to_num((rewards - np.nanmean(rewards)) / (np.nanstd(rewards) + SPREAD))
            window = event[0].window
            found += weight * better[:, None] * ((times >= window.start) & (times < window.end))
    return found


def _answer(scene: Scene, own: UserTurn, agent: Agent) -> Credit:
    found = answer_delay(scene, own, scene.turns_of(agent))
    delay = SLOW_S if found is None else min(max(found, 0.0), SLOW_S)
    return Credit(Interval(own.start, min(own.end + SLOW_S, scene.window_after(own))), -delay / SLOW_S)


def _at_onset(event: Interval) -> Interval:
    return Interval(event.start, event.start + STOP_WITHIN_S)


def _frames(starts: Sequence[float]) -> list[int]:
    return [round(start / FRAME_SECONDS) for start in starts]


def _starts(agent: Agent) -> list[float]:
    return [own.start for own in agent]


def _unless(wrong: bool) -> float:
    return -1.0 if wrong else 0.0
