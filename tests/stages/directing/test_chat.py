"""A director behind a chat server in a separate process, which misbehaves as servers and models do."""

from dataclasses import replace
from pathlib import Path

import pytest
import urllib3
from chat_material import chat_server, log
from material import make_dialogue

from manifests.errors import RequestError, WorkError
from manifests.record_files import RecordWriter, read_record_files
from manifests.records import Dialogue
from pipeline.recipe import load_recipe
from stages.directing.chat import ChatDirector, ChatSettings
from stages.directing.prompt import system_prompt
from stages.directing.script import KINDS
from stages.speak import Speak, SpeakSettings

KEY = "sk-s3cret"
AGENT = "Well, there is bread and cheese and a bowl of soup, and after that some cake with cream."


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with chat_server(tmp_path_factory.mktemp("chat")) as url:
        yield url


def settings(url: str, cache: Path | str, **more) -> ChatSettings:
    quick = {"timeout_s": 1, "back_off_s": 0.01, "retries": 3, "model": "small", "cache": str(cache)}
    return ChatSettings(url=url, **(quick | more))


def directs(url: str, cache: Path | str, **more) -> ChatDirector:
    stage = ChatDirector(settings(url, cache, **more), 0)
    stage.setup()
    return stage


@pytest.fixture(scope="module")
def asking():
    """Dialogues in which the user says a word."""
    stage = Speak(SpeakSettings(), 0)
    stage.setup()

    def make(*words: str) -> list[Dialogue]:
        lines = ((f"What is for lunch, {word} one?", AGENT, "Sounds good to me.", "It is.") for word in words)
        return stage.process([make_dialogue(f"d-{word}", own) for word, own in zip(words, lines, strict=True)])

    return make


def test_the_models_script_becomes_turns_and_words(url, asking, tmp_path):
    (made,) = directs(url, tmp_path).process(asking("dear"))
    assert [(t.speaker, t.spoken, t.event, t.after_words) for t in made.turns] == [
        ("user", "What, um, is for lunch, dear one?", "turn", None),
        ("agent", AGENT, None, None),
        ("user", "Wait, is that all?", "barge_in", 6),
        ("agent", "No, there is more.", None, None),
        ("user", "Sounds good to me.", "turn", None),
        ("agent", "It is.", None, None),
    ]
    assert (made.direction.by, made.direction.events, made.direction.failed) == ("small", 2, "")
    (asked,) = log(url, "dear")
    assert asked["text"].splitlines()[:2] == [
        "Turn 1, user: What[1] is[2] for[3] lunch,[4] dear[5] one?[6]",
        "Turn 2, agent: " + " ".join(f"{word}[{n}]" for n, word in enumerate(AGENT.split(), 1)),
    ]
    assert asked["schema"]


USELESS = {
    "nonsense": "not_json",
    "halfway": "not_json",
    "silent": "empty_answer",
    "shapeless": "not_as_asked",
    "boundless": "no_such_turn",
    "symbols": "unspeakable",
    "forbidden": "refused",
}


def test_an_unusable_script_leaves_the_dialogue_unchanged_and_is_counted(url, asking, tmp_path):
    before = asking(*USELESS, "fine")
    made = directs(url, tmp_path).process(before)
    assert [d.direction.failed for d in made] == [*USELESS.values(), ""]
    assert all(d.turns == b.turns for d, b in zip(made[:-1], before[:-1], strict=True))
    assert made[-1].turns != before[-1].turns
    assert [len(log(url, word)) for word in USELESS if word != "forbidden"] == [2] * 6, "each is asked once more"


def test_a_model_may_correct_its_answer_after_an_error(url, asking, tmp_path):
    (made,) = directs(url, tmp_path).process(asking("careless"))
    assert (made.direction.events, made.direction.failed, len(log(url, "careless"))) == (2, "", 2)


def test_a_cached_run_makes_no_requests_and_the_same_dialogues(url, asking, tmp_path):
    dialogues = asking("cached", "idle", *USELESS)
    asked = settings(url, tmp_path)
    ChatDirector.check(asked)
    first = directs(url, tmp_path).process(dialogues)
    before = len(log(url))
    assert directs(url, tmp_path, at_once=1).process(dialogues) == first
    ChatDirector.check(asked)
    assert len(log(url)) == before
    assert all(b'"answer"' in entry.read_bytes() for entry in tmp_path.rglob("*") if entry.is_file())
    for change in (
        {"model": "other"},
        {"temperature": 0.5},
        {"max_events": 5},
        {"wishes": "Be rude."},
        {"kinds": ["hesitation"]},
    ):
        directs(url, tmp_path, **change).process(asking("cached"))
    assert len(log(url)) >= before + 5
    with pytest.raises(WorkError, match=r"cache of answers .* can't be written .* director.cache"):
        directs(url, Path(__file__)).process(asking("unwritten"))
    for entry in tmp_path.rglob("*.json"):
        entry.write_bytes(entry.read_bytes()[:9])
    assert directs(url, tmp_path).process(asking("idle")) == first[1:2]
    assert len(log(url, "idle")) == 2, "a damaged entry is as good as none"


def test_the_cache_may_be_at_a_url(url, asking):
    where = "memory://answers"
    first = directs(url, where).process(asking("remote"))
    assert directs(url, where).process(asking("remote")) == first and len(log(url, "remote")) == 1


def test_takes_of_a_dialogue_need_one_request(url, asking, tmp_path):
    (one,) = asking("twofold")
    made = directs(url, tmp_path).process([one, replace(one, id="d-take2")])
    assert made[0].turns == made[1].turns and len(log(url, "twofold")) == 1


def test_a_busy_server_is_waited_for(url, asking, tmp_path):
    words = ("crowded", "stumbling", "hanging", "torn")
    made = directs(url, tmp_path).process(asking(*words))
    assert [d.direction.events for d in made] == [2] * 4
    assert [len(log(url, word)) for word in words] == [2, 3, 2, 2]
    first, second = log(url, "crowded")
    assert second["at"] - first["at"] >= 1  # the server's Retry-After, far over the back-off


def test_one_dialogue_without_an_answer_is_unchanged_and_requested_again(url, asking, tmp_path):
    dialogues = asking("broken", "well")
    made = directs(url, tmp_path, retries=1).process(dialogues)
    assert [d.direction.failed for d in made] == ["no_answer", ""]
    assert made[0].turns == dialogues[0].turns
    directs(url, tmp_path, retries=1).process(dialogues)
    assert (len(log(url, "broken")), len(log(url, "well"))) == (4, 1)


def test_an_endpoint_that_is_down_stops_the_build_with_one_sentence(url, asking, tmp_path):
    down = asking(*(f"dead{n}" for n in range(9)))
    with pytest.raises(
        WorkError,
        match=r"^The director at .* does not answer: it failed 1 times, at last by ReadTimeoutError\. This happened 5 ",
    ):
        directs(url, tmp_path, retries=0, timeout_s=0.2).process(down)
    with chat_server(tmp_path) as gone:
        pass
    with pytest.raises(
        RequestError, match=r"can't be reached \(NewConnectionError\); start it, or check director\.url"
    ):
        ChatDirector.check(settings(gone, tmp_path))
    with pytest.raises(WorkError, match="can't be reached"):
        directs(gone, tmp_path).process(asking("one", "two"))


def test_concurrent_requests_are_limited(asking, tmp_path):
    with chat_server(tmp_path) as url:
        directs(url, tmp_path / "cache", at_once=3).process(asking(*(f"slow{n}" for n in range(9))))
        count = urllib3.request("GET", url).json()
    assert count["requests"] == 9 and count["most_at_once"] <= 3


def test_a_server_without_schemas_gets_requests_without_one(asking, tmp_path):
    with chat_server(tmp_path, "--no-schema") as url:
        made = directs(url, tmp_path / "cache", at_once=1).process(asking("old", "older"))
        assert [d.direction.events for d in made] == [2, 2]
        assert [entry["schema"] for entry in log(url)] == [True, False, False]


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(asking, tmp_path, monkeypatch):
    with chat_server(tmp_path, "--locked", KEY) as url:
        asked = settings(url, tmp_path / "cache", key_env="MY_CHAT_KEY")
        monkeypatch.setenv("MY_CHAT_KEY", "wrong-one")
        with pytest.raises(RequestError, match=r"status 401; check .* the key in MY_CHAT_KEY") as caught:
            ChatDirector.check(asked)
        assert "wrong-one" not in str(caught.value)
        monkeypatch.setenv("MY_CHAT_KEY", KEY)
        (made,) = directs(url, tmp_path / "cache", key_env="MY_CHAT_KEY").process(asking("safe"))
    (tmp_path / "records").mkdir()
    with RecordWriter(tmp_path / "records") as writer:
        writer.write(made)
    assert list(read_record_files(tmp_path / "records")) == [made]
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert kept and KEY.encode() not in kept + asked.model_dump_json().encode()


def test_a_recipe_names_the_endpoint_and_request_settings_do_not_change_the_corpus():
    def recipe(*more: str):
        order = "stages=[speak, director, cast, synthesize, schedule, render, verify, tokenize]"
        use = "director.use=stages.directing.chat:ChatDirector"
        return load_recipe(overrides=[order, use, "director.model=small", *(f"director.{one}" for one in more)])

    assert recipe("at_once=9", "cache=s3://bucket/answers", "retries=1").id == recipe().id != recipe("model=large").id
    with pytest.raises(RequestError, match="'url' must not contain a key") as caught:
        recipe(f"url=https://host/v1?key={KEY}")
    assert KEY not in str(caught.value)


def test_the_prompt_names_the_language() -> None:
    prompt = system_prompt(KINDS, 6, "German", "The user is in a hurry.")
    assert "All that you add is spoken German" in prompt and "The user is in a hurry." in prompt
    for kind in KINDS:
        assert f"- {kind}, in a turn of the" in prompt
