"""The agent's words: BLEU, perplexity, word errors, recognition and an LLM's scores."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import sacrebleu
import torch
import urllib3
from torch.nn import functional as F

from manifests.errors import WorkError
from salm_duplex_model.batch import collate
from salm_duplex_model.config import LlamaConfig, ModelConfig
from salm_duplex_model.evaluation.judge import Judge, parse_mark, transcript
from salm_duplex_model.evaluation.recognition import transcribe
from salm_duplex_model.evaluation.text_metrics import bleu, perplexity, word_error_rate, word_errors
from salm_duplex_model.evaluation.timeline import Interval, Scene, Spoken, UserTurn
from salm_duplex_model.model import build_model

REFERENCES = ["Of course, leave the square on the north side.", "The stone one, right after the market hall."]


def test_bleu_is_sacrebleu_s():
    hypotheses = [" ".join(reference.split()[:-2]) for reference in REFERENCES]
    expected = sacrebleu.corpus_bleu(hypotheses, [REFERENCES], lowercase=True).score
    assert 0 < expected < 100 and bleu(hypotheses, REFERENCES).value == pytest.approx(expected)


def test_bleu():
    assert bleu(REFERENCES, REFERENCES).value == pytest.approx(100)
    assert bleu([r.upper() for r in REFERENCES], REFERENCES).value == pytest.approx(100)
    assert bleu(["", ""], REFERENCES).value == 0
    half = bleu([REFERENCES[0], ""], REFERENCES)
    assert 10 < half.value < 60
    assert half.n == 2
    assert half.ci95[0] == 0 and half.ci95[1] == pytest.approx(100)
    assert bleu(["a"], [""]).n == 0


def test_word_errors():
    assert word_errors("leave the square", "Leave the square!") == (0, 3)
    assert word_errors("leave a big square", "Leave the square.") == (2, 3)
    assert word_errors("", "Leave the square.") == (3, 3)
    assert word_errors("who is there", "") == (3, 0)
    found = word_error_rate(["leave the square", "x y"], ["Leave the square!", "no"])
    assert found.value == pytest.approx(2 / 4) and found.n == 4
    assert word_error_rate(["a"], [""]).n == 0


def test_perplexity_is_of_the_references_text_without_padding(talk):
    config = ModelConfig(llm=LlamaConfig(hidden_size=64, layers=2, heads=2, intermediate_size=128))
    model, tokenizer = build_model(config, seed=1)
    cuts = list(talk.cuts("train"))
    found = perplexity(model.eval(), tokenizer, cuts, batch=3)
    losses = []
    for cut in cuts:
        with torch.inference_mode():
            one = collate([cut], tokenizer)
            logits, labels = model.logits(one)[0][0], one.text[0, 1:]
        counted = labels != tokenizer.special.pad
        losses += F.cross_entropy(logits[counted], labels[counted], reduction="none").tolist()
    assert found.n == len(losses)
    assert found.value == pytest.approx(float(np.exp(np.mean(losses))), rel=1e-4)
    assert 300 < found.value < 3_000  # a random model over 1 024 tokens


def test_a_recognizer_hears_each_turn_with_a_margin():
    heard = []

    def recognizer(speech):
        heard.extend(len(samples) / 16_000 for samples in speech)
        return ["one", "two"]

    audio = np.zeros(5 * 22_050, np.float32)
    assert transcribe(recognizer, audio, [Interval(0, 1), Interval(2, 3)]) == "one two"
    assert np.allclose(heard, [1.1, 1.2], atol=0.01)
    assert transcribe(recognizer, audio, []) == ""


@pytest.mark.parametrize(
    ("answer", "mark"),
    [
        ("7", 7),
        (" 10\n", 10),
        ("6.5", 6.5),
        ("8/10", 8),
        ("0.", 0),
        ("11", None),
        ("-1", None),
        ("7 or 8", None),
        ("", None),
        ("The mark is 7", None),
    ],
)
def test_only_a_number_is_a_score(answer, mark):
    assert parse_mark(answer) == mark


SCENE = Scene("s", 5, (UserTurn(0, 1, "Where is it?"),), (Spoken(1.6, 3, "There."),))


def test_the_judge_reads_both_sides_in_order():
    assert (
        transcript(SCENE, [Spoken(1.5, 2, "Here.")]) == "[0.0–1.0 s] user: Where is it?\n[1.5–2.0 s] assistant: Here."
    )


class Endpoint(BaseHTTPRequestHandler):
    answers: list[tuple[int, str]]
    asked: list[tuple[dict, str | None]]

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        type(self).asked.append((json.loads(self.rfile.read(length)), self.headers["Authorization"]))
        status, content = type(self).answers.pop(0)
        body = json.dumps({"choices": [{"message": {"content": content}}]} if content != "odd" else {}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    """A real HTTP server on this machine with scripted answers."""
    Endpoint.answers, Endpoint.asked = [], []
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/"
    server.shutdown()
    server.server_close()
    thread.join()


def quick(url: str) -> Judge:
    return Judge(
        url, "a-judge", urllib3.Retry(total=2, backoff_factor=0, status_forcelist=(429, 503), allowed_methods=None)
    )


def test_the_judge_is_asked_with_the_key_and_retried(endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    Endpoint.answers += [(429, ""), (503, ""), (200, "7")]
    assert quick(endpoint).mark(SCENE, list(SCENE.reference)) == 7
    assert len(Endpoint.asked) == 3
    request, key = Endpoint.asked[-1]
    assert key == "Bearer sk-secret"
    assert request["model"] == "a-judge" and "Where is it?" in request["messages"][1]["content"]


def test_an_answer_that_is_not_a_number_is_requested_once_more_and_then_dropped(endpoint, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    Endpoint.answers += [(200, "Seven, I think"), (200, "7"), (200, "hm"), (200, "hm")]
    judge = quick(endpoint)
    assert judge.mark(SCENE, []) == 7
    assert judge.mark(SCENE, []) is None
    assert Endpoint.asked[0][1] is None


@pytest.mark.parametrize(("status", "content"), [(401, ""), (200, "odd")])
def test_a_judge_that_fails_is_reported_without_the_key(endpoint, monkeypatch, status, content):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    Endpoint.answers += [(status, content)]
    with pytest.raises(WorkError, match="The judge at") as failure:
        quick(endpoint).mark(SCENE, [])
    assert "sk-secret" not in str(failure.value)


def test_retries_are_bounded(endpoint):
    Endpoint.answers += [(429, "")] * 3
    with pytest.raises(WorkError, match="does not answer"):
        quick(endpoint).mark(SCENE, [])
    assert len(Endpoint.asked) == 3
