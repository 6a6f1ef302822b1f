from dataclasses import replace

from material import make_dialogue

from manifests.records import Dialogue, Recording, Rejected
from manifests.words import words_of
from stages.cast import Cast, CastSettings
from stages.ingest import IngestSettings
from stages.speak import Speak, SpeakSettings
from stages.talk.phrases import phrases


def speak(*lines, **settings):
    stage = Speak(SpeakSettings(**settings), 0)
    stage.setup()
    return stage.process([make_dialogue(lines=lines)])[0]


def test_the_written_text_is_kept_with_the_spoken():
    made = speak("It costs **$5**.", "Fine.")
    assert isinstance(made, Dialogue)
    assert made.turns[0].text == "It costs **$5**."
    assert made.turns[0].spoken == "It costs five dollars."


def test_unspeakable_text_rejects_the_dialogue_and_names_the_turn():
    made = speak("Hello.", "Привет, как дела?")
    assert isinstance(made, Rejected)
    assert (made.stage, made.reason) == ("speak", "unsupported_script")
    assert made.message.startswith("Turn 2 (agent)")


def test_a_turn_is_measured_as_spoken():
    made = speak("Call 555 0142 now.", "Yes.", max_turn_words=5)
    assert isinstance(made, Rejected)
    assert made.reason == "turn_too_long"
    assert "a user turn is not cut" in made.message


ANSWER = "First you dig a hole. Then you put the tree in, roots down, and fill it. Water it well. Then wait for a year."


def test_a_long_answer_is_split_and_the_user_says_go_on():
    made = speak("How do I plant a tree?", ANSWER, "Thanks.", "Sure.", max_turn_words=12, go_on=["Mm-hm."])
    assert [(t.speaker, t.spoken, t.event, t.edit) for t in made.turns[1:-2]] == [
        ("agent", "First you dig a hole.", None, "part"),
        ("user", "Mm-hm.", "turn", "added"),
        ("agent", "Then you put the tree in, roots down, and fill it.", None, "part"),
        ("user", "Mm-hm.", "turn", "added"),
        ("agent", "Water it well. Then wait for a year.", None, "part"),
    ]
    assert [t.text for t in made.turns] == ["How do I plant a tree?", ANSWER, "", "", "", "", "Thanks.", "Sure."]
    assert {t.edit for t in (made.turns[0], *made.turns[-2:])} == {None}


def test_the_users_lines_between_parts_depend_on_the_seed():
    lines = ("How?", ANSWER) * 6
    said = [[t.spoken for t in speak(*lines, max_turn_words=12).turns if t.edit == "added"] for _ in range(2)]
    assert said[0] == said[1] and len(said[0]) == 12 and len(set(said[0])) > 3
    assert set(said[0]) <= set(phrases("en").go_on)


def test_a_long_answer_is_shortened_or_rejected_if_the_recipe_says_so():
    (_, answer) = speak("How?", ANSWER, max_turn_words=20, long="shorten").turns
    assert answer.spoken == "First you dig a hole. Then you put the tree in, roots down, and fill it. Water it well."
    assert (answer.text, answer.edit) == (ANSWER, "shortened")
    rejected = speak("How?", ANSWER, max_turn_words=20, long="reject")
    assert rejected.reason == "turn_too_long"
    assert rejected.message == "Turn 2 (agent): It takes 24 spoken words, over the 20 of speak.max_turn_words."


def test_text_that_cannot_be_cut_is_rejected_with_its_reason():
    assert "a user turn is not cut" in speak(ANSWER, "Yes.", max_turn_words=12).message
    message = speak("How?", "Yes. " + "and so on " * 5, max_turn_words=12).message
    assert message.endswith(
        "it can't be cut: the 15 words from 'and so on and so' on have no end of a sentence or clause."
    )
    stage = Speak(SpeakSettings(max_turn_words=12), 0)
    stage.setup()
    written = make_dialogue(lines=("How?", ANSWER))
    for index, reason in ((0, "a recorded user can't tell"), (1, "a recording is not cut")):
        turns = [replace(t, recording=Recording("a.wav")) if n == index else t for n, t in enumerate(written.turns)]
        assert reason in stage.process([replace(written, turns=tuple(turns))])[0].message


def test_added_turns_have_the_voice_set_in_the_input():
    made = speak("How?", ANSWER, max_turn_words=12)
    turns = (replace(made.turns[0], voice="mine"), *made.turns[1:])
    cast = Cast(CastSettings(), 0)
    cast.setup()
    assert {t.voice for t in cast.process([replace(made, turns=turns)])[0].turns if t.speaker == "user"} == {"mine"}


QUANTILES = (1, 8, 19, 81, 199, 279, 308, 385)
"""Words of Alpaca's answers as GPT-4 wrote them, at 0, 10, 25, 50, 75, 90, 95 and 99 %."""


def test_by_default_answers_as_long_as_alpacas_are_kept():
    sentence = "so it goes on and on, as it always has, until it ends. "
    for words in QUANTILES:
        answer = (sentence * 40).split()[:words]
        assert len(" ".join(answer)) <= IngestSettings().max_turn_characters
        assert isinstance(speak("How?", " ".join(answer)), Dialogue), words


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


def test_side_talk_comes_before_a_user_turn_that_follows_an_agent_turn():
    settings = {"side_talk": {"share": 1, "turn_share": 1, "texts": ["No, not you."]}}
    turns = speak("Hello.", "Hi, how can I help?", "I'd like a taxi.", "Sure.", **settings).turns
    assert [(t.speaker, t.event) for t in turns] == [
        ("user", None), ("agent", None), ("user", "side_talk"), ("user", None), ("agent", None),
    ]  # fmt: skip
    assert turns[2].spoken == "No, not you."


def test_backchannels_per_minute():
    lines = ("Go on.", "and walk on " * 30 + "then.") * 3
    settings = {"backchannel": {"per_minute": 6, "share": 0}}
    stage = Speak(SpeakSettings(**settings), 0)
    stage.setup()
    made = stage.process([make_dialogue(f"d{i}", lines) for i in range(60)])
    counts = [sum(turn.event == "backchannel" for turn in dialogue.turns) for dialogue in made]
    minutes = sum(len(line.split()) for line in lines) * 0.37 / 60
    assert 0.8 < sum(counts) / (60 * minutes * 6) < 1.2 and len(set(counts)) > 4
    assert any([t.event for t in d.turns].count("backchannel") > 3 for d in made), "several in a turn"


def test_text_that_is_not_read_aloud_is_counted_on_the_turn():
    (_, answer) = speak("How?", "*smiles* So:\n\n```py\nx = 1\n```\n\na | b\n--|--\n1 | 2").turns
    assert answer.spoken == "So. Here is the code. Here is the table."
    assert answer.left_out == ("code", "table", "stage direction")
    (_, answer) = speak("How?", "~~~\nx\n~~~", code={"texts": ["Look."]}).turns
    assert answer.spoken == "Look."


def test_code_or_tables_reject_the_dialogue_if_the_recipe_says_so():
    for settings, reason in (({"code": {"reject": True}}, "has_code"), ({"table": {"reject": True}}, "has_table")):
        rejected = speak("How?", "```\nx\n```\n\n|a|b|\n|-|-|\n|1|2|", **settings)
        assert (rejected.reason, rejected.message[:16]) == (reason, "Turn 2 (agent): ")


def test_a_list_is_read_item_after_item():
    assert (
        speak("How?", "Three ways:\n\n1. Walk;\n2. run, or\n3. *fly*").turns[1].spoken
        == "Three ways. one, Walk. two, run, or. three, fly"
    )
    assert speak("How?", "You can 1) walk 2) run").turns[1].spoken == "You can. one, walk. two, run"


def test_a_turn_without_words_is_dropped_and_its_neighbors_are_merged():
    made = speak("Thanks,", "👍", "Bye!", "*waves happily at you* 👋", "Wait.", "Yes?")
    assert [(t.speaker, t.text, t.spoken) for t in made.turns] == [
        ("user", "Thanks,\nBye!\nWait.", "Thanks. Bye! Wait."),
        ("agent", "Yes?", "Yes?"),
    ]
    assert made.wordless_turns == 2
    made = speak("🎉", "Hello!", "Hi.", "*nods*")
    assert [t.text for t in made.turns] == ["Hello!", "Hi."]


def test_a_dialogue_that_is_incomplete_without_its_wordless_turn_is_rejected():
    assert (speak("Hi.", "👍").reason, speak("Hi.", "*nods*", "Bye.").reason) == ("emoji_only", "directions_only")
    assert speak("Hi.", "*nods*").message == "Turn 2 (agent): It has stage directions and nothing to say."


def test_recordings_next_to_a_wordless_turn_stay_separate():
    written = make_dialogue(lines=("Thanks.", "👍", "Bye.", "Bye."))
    turns = [replace(t, recording=Recording(f"{n}.wav")) if n != 1 else t for n, t in enumerate(written.turns)]
    stage = Speak(SpeakSettings(), 0)
    stage.setup()
    (made,) = stage.process([replace(written, turns=tuple(turns))])
    assert [t.text for t in made.turns] == ["Thanks.", "Bye.", "Bye."]


def test_the_agent_says_a_word_during_a_long_turn_of_the_users():
    settings = {"agent_backchannel": {"share": 1, "turn_share": 1, "texts": ["mm-hm"]}}
    turns = speak(LONG, "Fine.", "Thanks.", LONG, **settings).turns
    assert [(t.speaker, t.event) for t in turns] == [
        ("user", None), ("agent", "backchannel"), ("agent", None), ("user", None), ("agent", None),
    ]  # fmt: skip
    assert (turns[1].text, turns[1].spoken) == ("", "mm-hm")


def test_fillers_come_between_words_of_the_user_and_are_labeled():
    lines = ("I'd like to go home. Now, please. " + "and walk on " * 20, "Turn left. " * 20) * 2
    stage = Speak(SpeakSettings(filler={"per_minute": 10, "texts": ["um"]}), 0)
    stage.setup()
    made = stage.process([make_dialogue(f"d{i}", lines) for i in range(60)])
    plain = speak(*lines).turns
    number = 0
    for dialogue in made:
        for turn, without in zip(dialogue.turns, plain, strict=True):
            words, at = turn.spoken.split(), [one.first for one in turn.disfluencies]
            assert [(words[one.first].lower(), one.kind, one.number) for one in turn.disfluencies] == [
                ("um,", "hesitation", 1)
            ] * len(at)
            assert words_of(" ".join(word for n, word in enumerate(words) if n not in at)) == words_of(without.spoken)
            assert turn.speaker == "user" or not at
            assert all((words[n] == "Um,") == (n == 0 or words[n - 1][-1] == ".") for n in at)
            number += len(at)
    expected = 60 * sum(len(turn.spoken.split()) for turn in plain if turn.speaker == "user") * 0.37 / 60 * 10
    assert 0.85 < number / expected < 1.15


def test_the_agent_asks_again_before_the_user_answers():
    settings = {"reprompt": {"share": 1, "turn_share": 1, "texts": ["Still there?"]}}
    turns = speak("Hello.", "Hi, how can I help?", "I'd like a taxi.", "Sure.", **settings).turns
    assert [(t.speaker, t.event, t.act) for t in turns[1:4]] == [
        ("agent", None, ""), ("agent", "turn", "reprompt"), ("user", None, ""),
    ]  # fmt: skip
    assert (len(turns), turns[2].spoken, turns[2].text) == (5, "Still there?", "")
    talked = {"side_talk": {"share": 1, "turn_share": 1}, **settings}
    acts = [t.act for t in speak("Hello.", "Hi, how can I help?", "A taxi.", "Sure.", **talked).turns]
    assert "reprompt" not in acts, "the user talks to somebody else there"


def test_the_user_makes_the_agent_wait_or_stop():
    answer = "Turn left at the church. Then walk on along the river for a while. There it is, behind the mill."
    stage = Speak(SpeakSettings(hold={"share": 1, "turn_share": 1}), 0)
    stage.setup()
    made = stage.process([make_dialogue(f"d{i}", ("Which way?", answer, "Thanks.", "Bye.")) for i in range(40)])
    acts = [[turn.act for turn in dialogue.turns] for dialogue in made]
    assert {tuple(own) for own in acts} == {("", "", "stop", "", ""), ("", "", "wait", "go_on", "resume", "", "")}
    assert 4 < sum("stop" in own for own in acts) < 22
    resumed = {d.turns[4].spoken for d in made if d.turns[2].act == "wait"}
    sentences = [f"{one}." for one in answer.removesuffix(".").split(". ")]
    assert resumed == {" ".join(sentences[n:]) for n in range(3)}
    assert all(d.turns[2].event == "barge_in" and not d.turns[2].text for d in made)
    assert not any(t.act for t in speak("Which way?", answer, "Thanks.", "Bye.").turns)
