"""Training by rewards: what is rewarded, what is learned from it, and nothing else."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from lhotse import MonoCut, Recording, SupervisionSegment
from material import SMALL_RUN
from typer.testing import CliRunner

from manifests.errors import RequestError
from pipeline.cli import app
from pipeline.reward import Request, load_settings, reward
from salm_duplex_model.checkpoint import load_run, read_turn_taking, save, write_config
from salm_duplex_model.codec import Codec
from salm_duplex_model.config import LlamaConfig, ModelConfig, RunConfig
from salm_duplex_model.evaluation.metrics import TAIL_S
from salm_duplex_model.evaluation.timeline import Interval, ReferenceTurn, Scene, UserTurn
from salm_duplex_model.model import DuplexModel, build_model
from salm_duplex_model.reward.policy import decisions, grpo_loss, log_chances
from salm_duplex_model.reward.rewards import REWARDS, SPREAD, Credit, advantages, credits_of
from salm_duplex_model.reward.rollout import chances_of, roll_out
from salm_duplex_model.reward.settings import RewardSettings
from salm_duplex_model.reward.trainer import draw_cuts, train
from salm_duplex_model.tokenizer import TextTokenizer


def spans(*pairs: tuple[float, float]) -> list[Interval]:
    return [Interval(a, b) for a, b in pairs]


def user(start: float, end: float, event: str = "turn", pauses: tuple = (), answered: bool = True, act="") -> UserTurn:
    return UserTurn(start, end, "", event, tuple(spans(*pauses)), answered, act)  # type: ignore[arg-type]


def scene(*turns: UserTurn, reference: tuple = (), backchannels: tuple = ()) -> Scene:
    said = tuple(ReferenceTurn(a, b, planned_end=b) for a, b in reference)
    return Scene("s", 60.0, turns, said, backchannels=tuple(spans(*backchannels)))


PAUSED = scene(user(0, 5, pauses=((1, 2), (3, 4))))
INTERRUPTED = scene(user(0, 2), user(5, 7, "barge_in"), reference=((2.64, 5.64), (7.64, 9)))
ENCOURAGED = scene(user(0, 2), user(4, 4.4, "backchannel"), reference=((2.64, 9),))
TOLD = scene(user(0, 10), reference=((10.64, 12),), backchannels=((3, 3.4), (6, 6.4)))
WAITING = scene(user(0, 2, answered=False, act="wait"))


@pytest.mark.parametrize(
    ("kind", "one", "agent", "rewards"),
    [
        ("pause", PAUSED, [], [0, 0]),
        ("pause", PAUSED, [(1.5, 1.9), (5.2, 6)], [-1, 0]),
        ("pause", PAUSED, [(2.5, 4.5)], [0, 0]),  # begun before the pause, and counted as unprompted
        ("turn", PAUSED, [], [-1]),
        ("turn", PAUSED, [(5.5, 8)], [-0.25]),
        ("turn", PAUSED, [(4.95, 8)], [0]),
        ("turn", PAUSED, [(3.5, 8)], [-1]),  # speaks already: no answer
        ("turn", PAUSED, [(8, 9)], [-1]),
        ("interruption", INTERRUPTED, [], [None, -1]),
        ("interruption", INTERRUPTED, [(2.6, 5.75), (7.5, 9)], [-0.5, -0.25]),
        ("interruption", INTERRUPTED, [(2.6, 30)], [-1, -1]),
        ("backchannel", ENCOURAGED, [], [None]),
        ("backchannel", ENCOURAGED, [(2.6, 4.5)], [-1]),
        ("backchannel", ENCOURAGED, [(2.6, 9)], [0]),
        ("backchannel", TOLD, [(3.2, 3.6), (6.9, 7.2), (11, 12)], [0]),
        ("backchannel", TOLD, [(3.2, 3.6), (8, 8.3)], [-0.5]),
        ("backchannel", TOLD, [], [-1]),
        ("unprompted", PAUSED, [(1.5, 1.9), (5.2, 6)], [0, 0, 0]),
        ("unprompted", PAUSED, [(2.5, 2.8), (5.2, 6)], [-1, 0, 0]),
        ("unprompted", PAUSED, [(5.2, 6), (9, 10)], [0, 0, -1]),
        ("unprompted", TOLD, [(3.2, 3.6), (6.9, 7.2)], [0, 0, 0]),
        ("unprompted", WAITING, [(2.5, 3)], [0, -1, 0, 0]),
    ],
)
def test_rewards(kind, one, agent, rewards):
    assert [credit.reward for credit in REWARDS[kind](one, spans(*agent))] == pytest.approx(rewards)


@pytest.mark.parametrize("one", [PAUSED, INTERRUPTED, ENCOURAGED, TOLD, WAITING])
def test_every_agent_has_the_same_events(one):
    agents = ([], spans((0.5, 20)), spans((1.2, 1.5), (2.7, 4.2), (4.2, 5.1), (7.3, 7.9), (11, 50)))
    events = [
        {kind: [credit.window for credit in own] for kind, own in credits_of(one, agent).items()} for agent in agents
    ]
    assert events[0] == events[1] == events[2]


def test_advantages_compare_a_group_within_the_windows():
    def own(*rewards: float | None) -> dict[str, list[Credit]]:
        return {"pause": [Credit(Interval(i, i + 1.0), reward) for i, reward in enumerate(rewards)]}

    found = advantages([own(0, None, -1), own(-1, -1, -1), own(0, 0, -1)], {"pause": 2.0}, 50)
    spread = np.sqrt(2) / 3 + SPREAD
    np.testing.assert_allclose(found[:, :13], np.outer([2 / 3, -4 / 3, 2 / 3], np.ones(13)) / spread, rtol=1e-6)
    np.testing.assert_allclose(found[:, 13:25], np.outer([0, -1, 1], np.ones(12)) / (0.5 + SPREAD), rtol=1e-6)
    assert not found[:, 25:].any()  # all the same: nothing to learn


def test_only_the_probability_of_the_mark_gets_a_gradient():
    logits = torch.randn(6, 11, dtype=torch.float64, requires_grad=True)
    marks, given = torch.tensor([3, 3, 3, 7, 7, 7]), torch.tensor([True, False] * 3)
    chances = log_chances(logits, marks)
    torch.testing.assert_close(chances.exp().sum(-1), torch.ones(6))
    torch.testing.assert_close(chances[:, 1].exp(), logits.detach().softmax(-1).gather(1, marks[:, None])[:, 0].float())
    advantages = torch.tensor([1.0, 1, -1, -1, 0, 0])
    before = torch.where(given, *chances.detach().unbind(-1)[::-1])
    loss, divergence = grpo_loss(chances, given, before, chances.detach(), advantages, 0.2, 0.0)
    loss.backward()
    assert divergence == 0
    assert not logits.grad[4:].any()
    # Given the mark's absence, the chances of all other tokens remain: their gradient is in proportion to them.
    rest = logits.detach().softmax(-1).scatter(1, marks[:, None], 0)
    share = logits.grad.scatter(1, marks[:, None], 0) / rest.clamp(min=1e-9)
    for row in range(4):
        others = share[row][rest[row] > 0]
        torch.testing.assert_close(others, others[:1].expand(10), rtol=1e-4, atol=1e-6)
        raised = given[row] == (advantages[row] > 0)
        assert (logits.grad[row, marks[row]] < 0) == raised


def test_a_decision_that_moved_far_is_left_alone():
    chances = torch.tensor([[-2.0, -0.1]], requires_grad=True)
    loss, _ = grpo_loss(
        chances, torch.tensor([True]), torch.tensor([-0.5]), chances.detach(), torch.tensor([1.0]), 0.2, 0.0
    )
    loss.backward()
    assert not chances.grad.any()


def eager(start: float = 0.01, user_text: bool = False) -> tuple[DuplexModel, TextTokenizer]:
    """A random model that says only PAD, starts in about 1 % of frames and stops in about 10 %, whatever it hears."""
    encoder = SMALL_RUN["model"]["encoder"]
    llm = LlamaConfig(hidden_size=32, layers=1, heads=2, intermediate_size=64)
    net, tokenizer = build_model(ModelConfig(encoder=encoder, llm=llm, user_text=user_text), seed=3)
    generator = torch.Generator().manual_seed(4)
    constant = torch.randn(32, generator=generator).sign()
    with torch.no_grad():
        special = net.special
        marks = [special.pad, special.bos, special.eos]
        net.llm.get_input_embeddings().weight[marks] = 2 * constant
        for token, chance in zip(marks, (0.3, start, 0.1), strict=True):
            # The last norm makes the constant direction's length the square root of 32.
            logit = np.log(chance * tokenizer.size / (0.6 - start))
            net.llm.get_output_embeddings().weight[token] = constant * logit / 32
    return net.eval(), tokenizer


def talker(seconds: float = 4.0) -> MonoCut:
    """A user who pauses twice and wants no answer."""
    file = io.BytesIO()
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, round(seconds * 16_000))
    soundfile.write(file, samples, 16_000, format="WAV", subtype="PCM_16")
    recording = Recording.from_bytes(file.getvalue(), "talker")
    custom = {"event": "turn", "pauses": [[0.8, 0.8], [2.4, 0.8]]}
    turn = SupervisionSegment("t", "talker", 0.0, seconds - 0.4, text="so", speaker="user", custom=custom)
    return MonoCut("talker", 0.0, seconds, 0, [turn], recording=recording)


@pytest.mark.parametrize("user_text", [False, True])
def test_the_offline_pass_has_the_log_probabilities_of_the_session(user_text):
    net, _ = eager(0.05, user_text)
    cuts = [talker(), talker(3.2)]
    first, second = roll_out(net, Codec.bundled(), cuts, [1, 2, 3, 1, 2, 3], code_temperature=0.8, code_seed=5)
    for group, cut in ((first, cuts[0]), (second, cuts[1])):
        marks, given = decisions(group.text, net.special)
        assert group.text.shape == (3, round((cut.duration + TAIL_S) / 0.08))
        chances = chances_of(net, group)
        offline = torch.where(given, chances[..., 1], chances[..., 0])
        torch.testing.assert_close(group.log_probabilities, offline, atol=1e-5, rtol=1e-4)
        speaking = marks == net.special.eos
        assert (group.text[:, 1:][~speaking & ~given] == net.special.pad).all()
        assert given[speaking].any() and given[~speaking].any()
    assert not torch.equal(first.text[0], first.text[1])  # other seeds, other decisions
    (alone,) = roll_out(net, Codec.bundled(), [cuts[1]], [2], code_temperature=0.8, code_seed=5)
    assert torch.equal(alone.text[0], second.text[1]) and torch.equal(alone.codes[0], second.codes[1])


@pytest.fixture(scope="module")
def eager_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("eager")
    net, tokenizer = eager()
    llm = {"hidden_size": 32, "layers": 1, "heads": 2, "intermediate_size": 64}
    write_config(folder, RunConfig.model_validate({"model": {"encoder": SMALL_RUN["model"]["encoder"], "llm": llm}}))
    tokenizer.save(folder / "llm")
    save(folder, 7, net.state_dict(), {}, {}, keep=1)
    return folder


def mean_start(run: Path) -> float:
    """The agent's mean chance to start, over the user's turn and the time after it."""
    net, _ = load_run(run)
    group = roll_out(net, Codec.bundled(), [talker()], [0])[0]
    group.text.fill_(net.special.pad)
    with torch.no_grad():
        return float(chances_of(net, group)[..., 1].exp().mean())


def test_where_waiting_is_right_the_agent_learns_to_wait(eager_run, tmp_path):
    settings = RewardSettings(steps=6, group=8, dialogues=1, learning_rate=0.006, seed=1)
    rows = train(eager_run, [("talker", [talker()])], tmp_path / "run", settings)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    early, late = ([row["reward"] for row in part] for part in (rows[:2], rows[-2:]))
    assert sum(late) > sum(early)
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-5) and rows[-1]["kl"] > 0
    assert "reward_interruption" not in rows[0]
    assert mean_start(tmp_path / "run") < 0.5 * mean_start(eager_run)
    before, after = load_run(eager_run)[0].state_dict(), load_run(tmp_path / "run")[0].state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {"code_head.weight", "code_head.bias"} <= same and "encoder.project.weight" not in same
    assert read_turn_taking(tmp_path / "run") is None


def test_a_resumed_run_has_the_bytes_of_one_that_was_not_stopped(eager_run, tmp_path):
    def trained(out: str, *steps: int) -> dict[str, bytes]:
        for number in steps:
            settings = RewardSettings(steps=number, group=4, dialogues=1, updates=2, learning_rate=0.003)
            train(eager_run, [("talker", [talker()])], tmp_path / out, settings)
        names = ("log.jsonl", "checkpoints/00000002/model.safetensors", "reward.yaml", "config.yaml")
        return {name: (tmp_path / out / name).read_bytes() for name in names}

    assert trained("resumed", 1, 2) == trained("whole", 2)
    with pytest.raises(RequestError, match=r"is a run with another settings\.group; name another --out"):
        train(
            eager_run,
            [("talker", [talker()])],
            tmp_path / "whole",
            RewardSettings(dialogues=1, updates=2, learning_rate=0.003),
        )
    with pytest.raises(RequestError, match="contains files that are not a run trained by rewards"):
        train(eager_run, [("talker", [talker()])], eager_run, RewardSettings())


def test_corpora_take_turns_and_every_dialogue_is_drawn_once_an_epoch():
    corpora = [[f"{name}{i}" for i in range(4)] for name in "ab"]
    settings = RewardSettings(dialogues=2)
    steps = [draw_cuts(corpora, settings, step) for step in range(8)]  # type: ignore[arg-type]
    assert all((a[0], b[0]) == ("a", "b") for a, b in steps)
    for epoch in (steps[:4], steps[4:]):
        assert sorted(itertools.chain(*epoch)) == sorted(itertools.chain(*corpora))
    assert steps[:4] != steps[4:]


def test_the_command(eager_run, short_corpus, tmp_path):
    arguments = ["reward", eager_run, "--corpus", short_corpus.url, "--out", tmp_path / "run", "--split", "train"]
    more = ["--steps", 1, "--group", 2, "--limit", 1, "--set", "dialogues=1"]
    result = CliRunner().invoke(app, [str(part) for part in arguments + more])
    assert result.exit_code == 0, result.output
    assert "1 steps" in result.stdout and "unprompted" in result.stdout and "salm-duplex tune" in result.stdout
    assert load_run(tmp_path / "run")[0].special == load_run(eager_run)[0].special


def test_wrong_requests_are_rejected(eager_run, short_corpus, tmp_path, monkeypatch):
    with pytest.raises(
        RequestError, match=r"The reward configuration has no key 'weights\.pauses'; the keys are: pause, turn"
    ):
        load_settings(["weights.pauses=2"])
    with pytest.raises(RequestError, match=r"not a training run"):
        reward(Request(tmp_path, [short_corpus.url], tmp_path / "run", RewardSettings(), "train"), print)
    monkeypatch.setattr("pipeline.reward.CONTEXT_FRAMES", 50)
    with pytest.raises(RequestError, match=r"takes \d+ s with its tail, more than the 4 s that a session remembers"):
        reward(Request(eager_run, [short_corpus.url], tmp_path / "run", RewardSettings(), "train"), print)
