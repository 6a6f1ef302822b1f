"""GRPO on when the agent speaks: read `train` from top to bottom.

Each step draws some dialogues and plays each to a group of copies of the agent, frame by frame as in a live session, in
an open loop. Their turns are rewarded by the dialogue's labels (`rewards.py`), each compared with the rest of its group,
and the probabilities of their decisions (`policy.py`) are raised or lowered by one offline pass.

A step's draws depend on the seed and its number alone, so a resumed run continues exactly.
"""

import copy
import math
import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lhotse import MonoCut
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from manifests.errors import RequestError, WorkError
from manifests.files import sha256_of, write_whole
from manifests.identity import differences
from manifests.progress import Progress, silent
from salm_duplex_model import checkpoint
from salm_duplex_model.codec.nemo import load_codec
from salm_duplex_model.evaluation.activity import text_turns
from salm_duplex_model.evaluation.timeline import scene_of
from salm_duplex_model.memory import limited_memory
from salm_duplex_model.model import DuplexModel
from salm_duplex_model.reward.policy import decisions, grpo_loss
from salm_duplex_model.reward.rewards import Credit, advantages, credits_of
from salm_duplex_model.reward.rollout import Group, chances_of, roll_out, text_of
from salm_duplex_model.reward.settings import RewardSettings
from salm_duplex_model.run_log import RunLog
from salm_duplex_model.stream import seed_of
from salm_duplex_model.tokenizer import TextTokenizer

SETTINGS = "reward.yaml"
FREE = {"settings.steps", "settings.checkpoint_every", "settings.keep_checkpoints"}
"""What may change when a run is resumed."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A group with the advantage (G, T − 1) of each decision, and the supervised agent's chances (G, T − 1, 2)."""

    group: Group
    advantages: Tensor
    supervised: Tensor


def train(
    run: Path,
    corpora: Sequence[tuple[str, Sequence[MonoCut]]],
    out: Path,
    settings: RewardSettings,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Train the agent of `run` to `settings.steps` into the run `out`, which resumes; returns the rows of its log.

    `corpora` are (identity, cuts). Raises `RequestError` before any work and `WorkError` after.
    """
    source = checkpoint.newest(run)
    supervised, tokenizer = checkpoint.load_run(run)
    codec = load_codec(checkpoint.read_config(run).codec)
    supervised.to("cuda" if torch.cuda.is_available() else "cpu")
    model = copy.deepcopy(supervised)
    supervised.requires_grad_(False)
    resumed = _prepare(run, source, out, [identity for identity, _ in corpora], settings)
    if resumed is not None:
        checkpoint.load_weights(model, resumed)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0)
    first = _resume(resumed, optimizer)
    log = RunLog(out, 0, first)

    for step in range(first, settings.steps):
        cuts = draw_cuts([cuts for _, cuts in corpora], settings, step)
        seeds = [seed_of(settings.seed, f"{step}-{number}-marks") for number in range(len(cuts) * settings.group)]
        codes = (settings.code_temperature, seed_of(settings.seed, f"{step}-codes"))
        with limited_memory(f"playing and training in step {step + 1}", "lower group or dialogues"):
            groups = roll_out(model, codec, cuts, seeds, *codes)
            judged, rewards = judge(supervised, tokenizer, groups, settings)
            for _ in range(settings.updates):
                row = update(model, optimizer, judged, settings)
        if not math.isfinite(row["gradient_norm"]):
            raise WorkError(
                f"The gradient is not finite at step {step + 1}; lower learning_rate; the last checkpoint is kept."
            )
        done = step + 1
        row = {"step": done, **rewards, **row}
        log.write(row)
        progress(done, settings.steps, ", ".join(f"{name} {row[name]:.3f}" for name in ("reward", "kl")))
        if done % settings.checkpoint_every == 0 or done == settings.steps:
            _save(out, done, model, optimizer, settings.keep_checkpoints)
    log.close()
    return checkpoint.read_log(out)


def draw_cuts(corpora: Sequence[Sequence[MonoCut]], settings: RewardSettings, step: int) -> list[MonoCut]:
    """A step's cuts: the corpora take turns, and each is shuffled anew whenever it is used up."""
    cuts = []
    for number in range(step * settings.dialogues, (step + 1) * settings.dialogues):
        corpus = number % len(corpora)
        epoch, position = divmod(number // len(corpora), len(corpora[corpus]))
        order = list(range(len(corpora[corpus])))
        random.Random(f"{settings.seed}-{corpus}-{epoch}-reward").shuffle(order)
        cuts.append(corpora[corpus][order[position]])
    return cuts


def judge(
    supervised: DuplexModel, tokenizer: TextTokenizer, groups: Iterable[Group], settings: RewardSettings
) -> tuple[list[Judged], dict[str, float]]:
    """Reward the groups' conversations; returns also the mean reward of each kind's events, for the log, and `reward`,
    the mean of the kinds by their weights."""
    weights = settings.weights.model_dump()
    judged, seen = [], []
    for group in groups:
        scene = scene_of(group.cut)
        credits = [credits_of(scene, text_turns(text, tokenizer.special, tokenizer.decode)) for text in text_of(group)]
        seen += credits
        better = torch.from_numpy(advantages(credits, weights, group.text.shape[1])[:, 1:]).to(group.text.device)
        with torch.no_grad():
            judged.append(Judged(group, better, chances_of(supervised, group)))
    return judged, _means(seen, weights)


def update(
    model: DuplexModel, optimizer: torch.optim.Optimizer, judged: Sequence[Judged], settings: RewardSettings
) -> dict[str, float]:
    """One optimizer step, a backward pass for each group; returns the loss, the divergence from the supervised agent in
    nats, both per conversation, and the gradient's norm."""
    conversations = sum(len(one.group.text) for one in judged)
    losses, divergences = [], []
    for one in judged:
        _, given = decisions(one.group.text, model.special)
        chances = chances_of(model, one.group)
        before = one.group.log_probabilities
        loss, divergence = grpo_loss(
            chances, given, before, one.supervised, one.advantages, settings.ratio_clip, settings.kl
        )
        (loss / conversations).backward()  # type: ignore[no-untyped-call]
        losses.append(float(loss.detach()))
        divergences.append(float(divergence))
    norm = clip_grad_norm_([own for group in optimizer.param_groups for own in group["params"]], settings.clip)
    if torch.isfinite(norm):
        optimizer.step()
    optimizer.zero_grad()
    means = {"loss": sum(losses) / conversations, "kl": sum(divergences) / conversations}
    return {**means, "gradient_norm": float(norm)}


def _means(conversations: Sequence[dict[str, list[Credit]]], weights: dict[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for kind in weights:
        rewards = [one.reward for own in conversations for one in own[kind] if one.reward is not None]
        if rewards:
            found[kind] = float(np.mean(rewards))
    total = sum(weights[kind] for kind in found)
    whole = sum(weights[kind] * value for kind, value in found.items()) / total if total else 0.0
    return {"reward": whole, **{f"reward_{kind}": value for kind, value in found.items()}}


def _prepare(run: Path, source: Path, out: Path, corpora: Sequence[str], settings: RewardSettings) -> Path | None:
    """Create the folder of the run `out`, or find the checkpoint to resume from; raises `RequestError`."""
    mine = {
        "agent": {"step": int(source.name), "sha256": sha256_of(source / "model.safetensors")},
        "corpora": list(corpora),
        "settings": settings.model_dump(mode="json"),
    }
    if (out / SETTINGS).is_file():
        try:
            theirs = yaml.safe_load((out / SETTINGS).read_text("utf-8"))
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise RequestError(f"{out / SETTINGS} can't be read: {' '.join(str(error).split())[:200]}.") from None
        if differs := [key for key in differences(mine, theirs) if key not in FREE]:
            raise RequestError(
                f"{out} is a run with another {', '.join(differs[:4])}; name another --out, or use the same settings."
            )
    elif out.is_dir() and any(path for path in out.iterdir() if not path.name.startswith(".")):
        raise RequestError(f"{out} contains files that are not a run trained by rewards; name a new or empty folder.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        shutil.copytree(run / checkpoint.LLM, out / checkpoint.LLM, dirs_exist_ok=True)
        checkpoint.write_config(out, checkpoint.read_config(run))
        write_whole(out / SETTINGS, yaml.safe_dump(mine, sort_keys=False).encode())
    except OSError as error:
        raise RequestError(f"The run {out} can't be written: {error.strerror or error}; name another --out.") from None
    return checkpoint.latest(out)


def _resume(folder: Path | None, optimizer: torch.optim.Optimizer) -> int:
    if folder is None:
        return 0
    state = checkpoint.load_trainer(folder)
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _save(out: Path, step: int, model: DuplexModel, optimizer: torch.optim.Optimizer, keep: int) -> None:
    weights = {name: tensor for name, tensor in model.state_dict().items() if name not in model.tied}
    # Its state is not sharded as in `trainer.py`: parameters without a gradient, such as the codes' head, have none.
    trainer = {"step": step, "optimizer": optimizer.state_dict()}
    try:
        checkpoint.save(out, step, weights, {}, trainer, keep)
    except OSError as error:
        raise WorkError(f"The checkpoint of step {step} could not be written to {out}: {error}.") from error
