"""The entries of `manifests/columns.py` that count events, other than all barge-ins."""

from collections.abc import Callable

from manifests.figures import count_column
from manifests.interruptions import Interruption, interruptions
from manifests.records import Act, DuplexDialogue, Event, Speaker


def _events(event: Event, speaker: Speaker = "user") -> Callable[[DuplexDialogue], int]:
    return lambda record: sum((s.event, s.speaker) == (event, speaker) for s in record.timeline.segments)


def _acts(*acts: Act) -> Callable[[DuplexDialogue], int]:
    return lambda record: sum(record.dialogue.turns[s.turn].act in acts for s in record.timeline.segments)


def _barge_ins(kind: Callable[[Interruption], bool]) -> Callable[[DuplexDialogue], int]:
    return lambda record: sum(map(kind, interruptions(record.timeline)))


EVENT_COLUMNS = (
    count_column(
        "barge_ins_early", "early barge-ins", _barge_ins(lambda one: one.place == "early"),
        "Barge-ins in the first third of the agent's full turn.",
    ),
    count_column(
        "barge_ins_late", "late barge-ins", _barge_ins(lambda one: one.place == "late"),
        "Barge-ins in the last third of the agent's full turn.",
    ),
    count_column(
        "barge_ins_again", "repeated barge-ins", _barge_ins(lambda one: one.in_row > 1),
        "Barge-ins into the agent's answer to a barge-in.",
    ),
    count_column(
        "words_finished", "barge-ins in which the agent finishes its word", _barge_ins(lambda one: one.finishes_word),
        "Barge-ins in which the agent finishes its word.",
    ),
    count_column(
        "waits", "barge-ins that make the agent wait", _acts("wait"),
        "How often the user makes the agent wait, until \"go on\".",
    ),
    count_column(
        "stops", "barge-ins that make the agent stop", _acts("stop"),
        "How often the user makes the agent stop.",
    ),
    count_column(
        "resumed", "turns that the agent resumes", _acts("resume"),
        "Agent turns that resume after the user's \"wait\".",
    ),
    count_column(
        "backchannels", "backchannels", _events("backchannel"),
        'How often the user says a word or two ("mm-hm") without taking the floor.',
    ),
    count_column(
        "agent_backchannels", "backchannels of the agent", _events("backchannel", "agent"),
        "How often the agent does so, during the user's turn.",
    ),
    count_column(
        "false_starts", "false starts", _events("false_start"),
        "How often the user starts to speak during the agent's turn and gives up.",
    ),
    count_column(
        "side_talks", "side talk", _events("side_talk"),
        "How often the user says something to somebody else.",
    ),
    count_column(
        "reprompts", "questions of the agent after a long silence", _acts("reprompt"),
        "How often the agent asks again after a long silence of the user.",
    ),
)  # fmt: skip
