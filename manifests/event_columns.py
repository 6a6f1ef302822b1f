"""The entries of `manifests/columns.py` that count events, but barge-ins as such."""

from collections.abc import Callable

import pandas as pd

from manifests.figures import WHOLE, Column, Number
from manifests.interruptions import Interruption, interruptions
from manifests.records import Act, DuplexDialogue, Event, Speaker


def _events(event: Event, speaker: Speaker = "user") -> Callable[[DuplexDialogue], int]:
    return lambda record: sum((s.event, s.speaker) == (event, speaker) for s in record.timeline.segments)


def _acts(*acts: Act) -> Callable[[DuplexDialogue], int]:
    return lambda record: sum(record.dialogue.turns[s.turn].act in acts for s in record.timeline.segments)


def _barge_ins(kind: Callable[[Interruption], bool]) -> Callable[[DuplexDialogue], int]:
    return lambda record: sum(map(kind, interruptions(record.timeline)))


def _sum(rows: pd.DataFrame) -> int:
    return int(rows.sum().sum())


EVENT_COLUMNS = (
    Column(
        "barge_ins_early", WHOLE, _barge_ins(lambda one: one.place == "early"), "",
        "Barge-ins in the first third of the agent's whole turn.", (Number("barge_ins_early", "early barge-ins", _sum),),
    ),
    Column(
        "barge_ins_late", WHOLE, _barge_ins(lambda one: one.place == "late"), "",
        "Barge-ins in the last third of the agent's whole turn.", (Number("barge_ins_late", "late barge-ins", _sum),),
    ),
    Column(
        "barge_ins_again", WHOLE, _barge_ins(lambda one: one.in_row > 1), "",
        "Barge-ins into the agent's answer to a barge-in.", (Number("barge_ins_again", "barge-ins in a row, but the first", _sum),),
    ),
    Column(
        "words_finished", WHOLE, _barge_ins(lambda one: one.finishes_word), "",
        "Barge-ins at which the agent finishes its word.", (Number("words_finished", "barge-ins after whose onset the agent finishes its word", _sum),),
    ),
    Column(
        "waits", WHOLE, _acts("wait"), "", "How often the user has the agent wait, until \"go on\".",
        (Number("waits", "barge-ins that have the agent wait", _sum),),
    ),
    Column(
        "stops", WHOLE, _acts("stop"), "", "How often the user has the agent stop.",
        (Number("stops", "barge-ins that have the agent stop", _sum),),
    ),
    Column(
        "resumed", WHOLE, _acts("resume"), "", "Turns of the agent that begin again where it was told to wait.",
        (Number("resumed", "turns that the agent resumes", _sum),),
    ),
    Column(
        "backchannels", WHOLE, _events("backchannel"), "",
        'How often the user says a word or two ("mm-hm") that takes no floor.',
        (Number("backchannels", "backchannels", _sum),),
    ),
    Column(
        "agent_backchannels", WHOLE, _events("backchannel", "agent"), "", "The same of the agent, during the user's turn.",
        (Number("agent_backchannels", "backchannels of the agent", _sum),),
    ),
    Column(
        "false_starts", WHOLE, _events("false_start"), "", "Starts of the user during the agent's turn that the user gives up.",
        (Number("false_starts", "false starts", _sum),),
    ),
    Column(
        "side_talks", WHOLE, _events("side_talk"), "", "What the user says to somebody else.",
        (Number("side_talks", "side talk", _sum),),
    ),
    Column(
        "reprompts", WHOLE, _acts("reprompt"), "", "How often the agent asks again after a long silence of the user.",
        (Number("reprompts", "questions of the agent after a long silence", _sum),),
    ),
)  # fmt: skip
