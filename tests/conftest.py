"""Shared fixtures: small dialogues, spoken by the real engine."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from corpus_material import make_corpus
from material import SMALL_RUN, make_dialogue
from nemo_material import make_trained_codec
from s3_material import FaultyProxy, moto_server, use_s3

from manifests.corpus import Corpus
from manifests.records import DuplexDialogue, Timeline
from salm_duplex_model.checkpoint import save, write_config
from salm_duplex_model.config import RunConfig
from salm_duplex_model.model import build_model
from stages.cast import Cast, CastSettings
from stages.render import Render, RenderSettings
from stages.schedule import Schedule, ScheduleSettings
from stages.speak import Speak, SpeakSettings
from stages.synthesize import SynthesizerSettings
from stages.voices.espeak import EspeakSynthesizer

# A busy machine is not a failure, and a commit is judged by the same examples each time; `--hypothesis-profile default` searches anew.
hypothesis.settings.register_profile("unhurried", deadline=None, derandomize=True)
hypothesis.settings.load_profile("unhurried")
os.environ["HF_HUB_OFFLINE"] = "1"  # a missing model is reported immediately
# Two modules run at a time: with two threads each, threads would mostly wait for one another, and take three times as long.
os.environ["OMP_NUM_THREADS"] = "1"  # for child processes
torch.set_num_threads(1)
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - by default, workers give way to the other module's tests

STARTS_RAY = (
    "test_build.py",
    "test_cli.py",
    "test_phone.py",
    "test_ray_job.py",
    "test_s3.py",
    "test_signals.py",
    "test_trainer_workers.py",
)


SCHEDULED = (
    (Speak, SpeakSettings()),
    (Cast, CastSettings()),
    (EspeakSynthesizer, SynthesizerSettings()),
    (Schedule, ScheduleSettings()),
)
RENDERED = (Render, RenderSettings())


def performed(records: list, *stages: tuple) -> list:
    """The output of the stages for the records."""
    for stage_class, settings in stages:
        stage = stage_class(settings, 0)
        stage.setup()
        records = stage.process(records)
    return records


@pytest.fixture(scope="session")
def timelines() -> list[Timeline]:
    """Ten real dialogues, spoken and scheduled; half of them, by the default recipe, with a barge-in."""
    return performed([make_dialogue(f"d{i}") for i in range(10)], *SCHEDULED)


@pytest.fixture(scope="session")
def rendered(timelines: list[Timeline]) -> list[DuplexDialogue]:
    return performed(timelines, RENDERED)


@pytest.fixture(scope="session")
def nemo_codec(tmp_path_factory, rendered: list[DuplexDialogue]) -> Path:
    """A small codec as a `.nemo` file, trained a little on what the agent says in `rendered`."""
    speech = np.concatenate([record.agent for record in rendered])
    return make_trained_codec(tmp_path_factory.mktemp("codec") / "codec.nemo", speech)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """A run with random weights."""
    folder = tmp_path_factory.mktemp("run")
    config = RunConfig.model_validate(SMALL_RUN)
    write_config(folder, config)
    model, _ = build_model(config.model)
    weights = {name: tensor for name, tensor in model.state_dict().items() if name not in model.tied}
    save(folder, 7, weights, {}, {}, keep=1)
    return folder


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., Path]:
    def write(*objects: object, name: str = "dialogues.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects), "utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory, rendered) -> Corpus:
    return make_corpus(tmp_path_factory.mktemp("corpus"), rendered)


@pytest.fixture(scope="session")
def short_corpus(tmp_path_factory) -> Corpus:
    """Two short dialogues, for tests that play them many times."""
    lines = ("What time is it?", "It is ten past four.", "Thank you.", "You're welcome.")
    records = performed([make_dialogue(f"s{i}", lines) for i in range(2)], *SCHEDULED, RENDERED)
    return make_corpus(tmp_path_factory.mktemp("short"), records)


@pytest.fixture(scope="session")
def empty_corpus(tmp_path_factory) -> Corpus:
    return make_corpus(tmp_path_factory.mktemp("empty"), [])


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of a real S3-speaking server on loopback."""
    with moto_server() as endpoint:
        yield endpoint


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new bucket on the S3 server, which this process and its children reach by their environment."""
    return use_s3(moto, moto, monkeypatch)


@pytest.fixture
def faulty(moto: str) -> Iterator[FaultyProxy]:
    """A proxy before the S3 server, faultless until a test says otherwise."""
    proxy = FaultyProxy(moto)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def faulty_s3(moto: str, faulty: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new bucket, reached through the proxy `faulty`."""
    return use_s3(moto, faulty.url, monkeypatch)


SLOW = {
    "test_asr_qa.py",
    "test_audit.py",
    "test_browse.py",
    "test_build.py",
    "test_bundled_agent.py",
    "test_cli.py",
    "test_closed_loop.py",
    "test_codec_command.py",
    "test_corpus_at_url.py",
    "test_corpus_on_s3.py",
    "test_estimate.py",
    "test_evaluate.py",
    "test_foreign.py",
    "test_gpu_benchmark.py",
    "test_kokoro.py",
    "test_lease.py",
    "test_magpie.py",
    "test_model.py",
    "test_nemo.py",
    "test_nemo_codec.py",
    "test_nemo_encoder.py",
    "test_nemo_model.py",
    "test_nemo_tts.py",
    "test_own_modules.py",
    "test_page.py",
    "test_phone.py",
    "test_ray_job.py",
    "test_report_browser.py",
    "test_reward.py",
    "test_s3.py",
    "test_scenes.py",
    "test_serve.py",
    "test_session.py",
    "test_signals.py",
    "test_sources.py",
    "test_store.py",
    "test_trainer.py",
    "test_trainer_workers.py",
    "test_tune.py",
    "test_vad.py",
}
"""Modules that start Ray or a browser, train, compile, wait for servers or import NeMo: `make quick` leaves them out."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules run two at a time, long ones first. Those that start Ray run one after the other in one process: on two
    cores, one cluster would wait for the other until it gives up."""
    for item in items:
        if item.path.name in SLOW:
            item.add_marker(pytest.mark.slow)
        item.add_marker(pytest.mark.xdist_group("ray" if item.path.name in STARTS_RAY else item.path.stem))
    items.sort(key=lambda item: (item.path.name not in STARTS_RAY, item.path.name not in SLOW))


@pytest.fixture
def impatient_user(monkeypatch):
    """An agent with random weights may never fall silent."""
    monkeypatch.setattr("salm_duplex_model.evaluation.live_user.HANGS_UP_S", 2.0)
