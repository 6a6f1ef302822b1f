"""Speech over HTTP, from a server process that answers late, wrongly, or not at all."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import urllib3
from material import make_dialogue

from manifests.errors import RequestError, WorkError
from manifests.records import Dialogue, SpokenDialogue, Turn
from pipeline.recipe import load_recipe
from stages.voices.espeak_engine import RATE, Espeak, EspeakVoice
from stages.voices.speech_server import SpeechServerSettings, SpeechServerSynthesizer

VOICES = ["ann", "bob", "cy", "di"]
KEY = "s3cret-key"


class Server:
    def __init__(self, *arguments: str) -> None:
        script = Path(__file__).parents[2] / "speech_server.py"
        path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True, env=path
        )
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}/v1"

    def log(self, text: str | None = None) -> list[dict]:
        entries = json.loads(urllib3.request("GET", f"{self.url}/log").data)
        return [entry for entry in entries if text in (None, entry["input"])]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.stop()


def settings(url: str, cache: Path | str = "", **more) -> SpeechServerSettings:
    quick = {"timeout_s": 2, "back_off_s": 0.01, "retries": 3, "model": "espeak", "voices": VOICES}
    return SpeechServerSettings(url=url, cache=str(cache), **(quick | more))


def stage(url: str, cache: Path | str = "", **more) -> SpeechServerSynthesizer:
    made = SpeechServerSynthesizer(settings(url, cache, **more), 0)
    made.setup()
    return made


def dialogue(id: str, *lines: str) -> Dialogue:
    return Dialogue(id, tuple(Turn("user", line, spoken=line, voice="bob") for line in lines), source=f"{id}:1")


@pytest.mark.parametrize("form", ["wav", "pcm"])
def test_the_speech_is_the_servers_and_its_word_times_are_called_estimated(server, form):
    speech = stage(server.url, response_format=form, pcm_rate=RATE).speak("Good morning to you.", "ann")
    theirs, words = Espeak().speak("Good morning to you.", EspeakVoice("en-us", "f1"))
    assert np.array_equal(speech.samples, theirs) and speech.rate == RATE
    assert [word.text for word in speech.words] == [word.text for word in words]
    assert speech.word_times == "estimated"
    assert (speech.words[0].start, speech.words[-1].end) == (0, len(theirs))


def test_temporary_failures_are_retried(server):
    lines = ("You are busy.", "It is broken twice.", "You are hanging around.", "It is cut off.")
    (spoken,) = stage(server.url).process([dialogue("d", *lines)])
    assert isinstance(spoken, SpokenDialogue)
    for line, speech in zip(lines, spoken.speech, strict=True):
        assert np.array_equal(speech.samples, Espeak().speak(line, EspeakVoice("en-us", "m2"))[0])
    assert [len(server.log(line)) for line in lines] == [2, 3, 2, 2]
    first, second = server.log(lines[0])
    assert second["at"] - first["at"] >= 1  # the server's Retry-After, far over the back-off


def test_a_permanent_failure_rejects_only_its_dialogue(server):
    good, bad = dialogue("good", "All is well."), dialogue("bad", "This is fine.", "It is always broken.")
    odd = dialogue("odd", "It is nonsense.")
    kept, refused, garbled = stage(server.url).process([good, bad, odd])
    assert isinstance(kept, SpokenDialogue)
    assert (refused.id, refused.stage, refused.reason) == ("bad", "synthesize", "synthesis_failed")
    assert refused.message == "Turn 2 (user) could not be spoken: the speech server answers with status 500 (oops)."
    assert len(server.log("It is always broken.")) == 4
    assert garbled.message == "Turn 1 (user) could not be spoken: the speech server's answer is not a WAV file."


def test_a_server_that_fails_for_all_texts_rejects_no_dialogue(server):
    with pytest.raises(WorkError, match="returns no speech: the speech server answers with status 500"):
        stage(server.url).process([dialogue("d", "One is always broken.", "Two is always broken.")])


def test_finished_speech_is_not_requested_again(server, tmp_path):
    said = dialogue("d", "Keep this sentence.", "And that one.", "Keep this sentence.")
    (first,) = stage(server.url, tmp_path).process([said])
    assert len(server.log("Keep this sentence.")) == 1
    (again,) = stage(server.url, tmp_path, at_once=1, retries=0).process([said])
    assert len(server.log("Keep this sentence.")) == 1
    for mine, theirs in zip(first.speech, again.speech, strict=True):
        assert np.array_equal(mine.samples, theirs.samples) and mine.words == theirs.words
    stage(server.url, tmp_path, speed=1.5).process([said])  # other speech
    assert len(server.log("Keep this sentence.")) == 2
    for entry in tmp_path.rglob("*.npz"):
        entry.write_bytes(entry.read_bytes()[:100])
    stage(server.url, tmp_path).process([said])
    assert len(server.log("Keep this sentence.")) == 3


def test_requests_keep_to_the_rate(server):
    lines = [f"Line number {n}." for n in range(4)]
    stage(server.url, per_minute=600).process([dialogue("d", *lines)])
    times = sorted(server.log(line)[0]["at"] for line in lines)
    assert times[-1] - times[0] >= 0.25  # three steps of 0.1 s, minus a thread's possible delay


def test_a_server_that_does_not_exist_is_one_sentence(tmp_path):
    gone = Server()
    gone.stop()
    with pytest.raises(RequestError, match=r"can't be reached \(NewConnectionError\); start it"):
        SpeechServerSynthesizer.check_voices(settings(gone.url, tmp_path), VOICES)
    with pytest.raises(WorkError, match="can't be reached"):
        stage(gone.url).process([make_dialogue(f"d{n}") for n in range(50)])


def test_wrong_voice_and_model_are_reported_before_any_work(server, tmp_path):
    with pytest.raises(RequestError, match=r"The voice 'eve' can't be used: .*status 400 \(no voice eve"):
        SpeechServerSynthesizer.check_voices(settings(server.url, tmp_path), ["ann", "eve"])
    with pytest.raises(RequestError, match=r"status 404; check synthesize\.url, synthesize\.model and the key in"):
        SpeechServerSynthesizer.check_voices(settings(server.url, tmp_path, model="parrot"), VOICES)


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(tmp_path, monkeypatch):
    locked = Server("locked")
    try:
        asked = settings(locked.url, tmp_path, key_env="MY_TTS_KEY")
        monkeypatch.setenv("MY_TTS_KEY", "wrong-one")
        with pytest.raises(RequestError) as caught:
            SpeechServerSynthesizer.check_voices(asked, VOICES)
        assert "the key in MY_TTS_KEY" in str(caught.value) and "wrong-one" not in str(caught.value)
        monkeypatch.setenv("MY_TTS_KEY", KEY)
        SpeechServerSynthesizer.check_voices(asked, VOICES)
        with pytest.raises(RequestError) as caught:  # this server returns the key in its error for a wrong voice
            SpeechServerSynthesizer.check_voices(asked, ["ann", "eve"])
        assert "you are Bearer ***" in str(caught.value)
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert kept and KEY.encode() not in kept + json.dumps(asked.model_dump()).encode()
        assert Counter(entry["authorization"] for entry in locked.log())[f"Bearer {KEY}"] >= 4
    finally:
        locked.stop()


@pytest.mark.parametrize("url", ["https://me:s3cret-key@host/v1", "https://host/v1?key=s3cret-key"])
def test_a_key_in_the_address_is_rejected_and_not_repeated(url):
    with pytest.raises(RequestError, match="'url' must not contain a key") as caught:
        load_recipe(
            overrides=["synthesize.use=stages.voices.speech_server:SpeechServerSynthesizer", f"synthesize.url={url}"]
        )
    assert KEY not in str(caught.value)


def test_request_settings_do_not_change_the_corpus():
    def recipe(*more):
        use = "synthesize.use=stages.voices.speech_server:SpeechServerSynthesizer"
        return load_recipe(overrides=[use, *(f"synthesize.{m}" for m in more)])

    assert recipe().stage("cast").settings.agent_voice == "alloy"
    assert recipe("at_once=9", "cache=elsewhere", "per_minute=3").id == recipe().id != recipe("model=tts-1").id
    with pytest.raises(RequestError, match=r"needs at least three different speakers .* but has 1 \(b\)"):
        recipe("voices=[a, b]")
