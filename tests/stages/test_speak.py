from material import make_dialogue

from manifests.records import Dialogue, Rejected
from stages.speak import Speak, SpeakSettings


def speak(*lines, **settings):
    stage = Speak(SpeakSettings(**settings), 0)
    stage.setup()
    return stage.process([make_dialogue(lines=lines)])[0]


def test_the_written_text_stays_beside_the_spoken():
    made = speak("It costs **$5**.", "Fine.")
    assert isinstance(made, Dialogue)
    assert made.turns[0].text == "It costs **$5**."
    assert made.turns[0].spoken == "It costs five dollars."


def test_what_cannot_be_spoken_rejects_the_dialogue_and_names_the_turn():
    made = speak("Hello.", "Привет, как дела?")
    assert isinstance(made, Rejected)
    assert (made.stage, made.reason) == ("speak", "unsupported_script")
    assert made.message.startswith("Turn 2 (agent)")


def test_a_turn_is_measured_as_spoken():
    made = speak("Call 555 0142 now.", "Yes.", max_turn_words=5)
    assert isinstance(made, Rejected)
    assert made.reason == "turn_too_long"


def test_backchannels_go_into_long_agent_turns_without_written_text():
    lines = (
        "Hello, could you tell me the way?",
        "Turn left at the church " + "and walk on " * 6 + ".",
        "Thanks.",
        "Bye.",
    )
    settings = {"backchannel": {"share": 1, "turn_share": 1, "texts": ["mm-hm"]}}
    turns = speak(*lines, **settings).turns
    assert [(t.speaker, t.event) for t in turns[1:3]] == [("agent", None), ("user", "backchannel")]
    assert (turns[2].text, turns[2].spoken) == ("", "mm-hm")
    assert len(turns) == 5
    assert len(speak(*lines).turns) == 4
