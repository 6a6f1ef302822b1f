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


LONG = "Turn left at the church " + "and walk on " * 6 + "."


def test_a_false_start_begins_the_next_turn_in_a_long_agent_turn():
    settings = {"false_start": {"share": 1, "turn_share": 1}}
    turns = speak("Which way is it?", LONG, "Thanks, that helps.", LONG, **settings).turns
    assert [(t.spoken, t.event) for t in turns if t.event] == [("Thanks, that", "false_start")]
    assert turns[2].event == "false_start" and turns[2].text == ""
    both = {"backchannel": {"share": 1, "turn_share": 1}, **settings}
    events = [t.event for t in speak("Which way is it?", LONG, "Thanks.", LONG, **both).turns]
    assert "false_start" not in events, "the turn has a backchannel already"


def test_side_talk_stands_before_a_turn_of_the_user_that_follows_the_agents():
    settings = {"side_talk": {"share": 1, "turn_share": 1, "texts": ["No, not you."]}}
    turns = speak("Hello.", "Hi, how can I help?", "I'd like a taxi.", "Sure.", **settings).turns
    assert [(t.speaker, t.event) for t in turns] == [
        ("user", None), ("agent", None), ("user", "side_talk"), ("user", None), ("agent", None),
    ]  # fmt: skip
    assert turns[2].spoken == "No, not you."


def test_backchannels_by_the_minute():
    lines = ("Go on.", "and walk on " * 30 + "then.") * 3
    settings = {"backchannel": {"per_minute": 6, "share": 0}}
    stage = Speak(SpeakSettings(**settings), 0)
    stage.setup()
    made = stage.process([make_dialogue(f"d{i}", lines) for i in range(60)])
    counts = [sum(turn.event == "backchannel" for turn in dialogue.turns) for dialogue in made]
    minutes = sum(len(line.split()) for line in lines) * 0.37 / 60
    assert 0.8 < sum(counts) / (60 * minutes * 6) < 1.2 and len(set(counts)) > 4
    assert any([t.event for t in d.turns].count("backchannel") > 3 for d in made), "several in a turn"
