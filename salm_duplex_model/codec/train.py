"""Train the codec mostly on the agent's voice, like the paper fine-tunes its codec on the agent.

No recordings are needed: sentences are from the dialogues or random words of `wordfreq`, and a synthesizer speaks them.
The agent's speech can also be given, from a corpus or recordings."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from pydantic import ConfigDict
from torch import Tensor

from manifests.files import unfinished
from manifests.pcm import to_float
from manifests.progress import Progress, silent
from salm_duplex_model.codec.codec import Codec
from salm_duplex_model.codec.losses import SpectralLoss
from salm_duplex_model.codec.network import CodecConfig, CodecNetwork

GIVEN = "given: "
"""An agent voice that starts with this was given as speech, whose digest follows."""
Speak = Callable[[str, str], np.ndarray]
"""A synthesizer: text and voice → int16 samples at 22 050 Hz; raises ValueError if the text has no sound."""


@dataclass(frozen=True, slots=True)
class CodecTrainSettings:
    """Training settings. The defaults are those of the bundled checkpoint."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    agent_voice: str = "en-us?pitch=45&range=45&rate=160"
    agent_hours: float = 3.0
    """Hours of speech in the agent's voice; of given speech, the maximum."""
    user_hours: float = 0.5
    """Hours of speech in user voices, so that the codec does not fail on other voices."""
    user_share: float = 0.12
    """Share of training crops in a user's voice."""
    steps: int = 8_000
    batch: int = 16
    crop_frames: int = 24
    learning_rate: float = 2.5e-3
    warmup_steps: int = 200
    seed: int = 0
    checkpoint_every: int = 300

    def __post_init__(self) -> None:
        """Raises ValueError for invalid settings."""
        positive = ("steps", "batch", "crop_frames", "learning_rate", "warmup_steps", "checkpoint_every")
        for name in positive:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.user_share <= 1:
            raise ValueError(f"user_share must be between 0 and 1, not {self.user_share}")
        if 3600 * min(self.agent_hours, self.user_hours) < 0.08 * self.crop_frames + 1:
            raise ValueError("agent_hours and user_hours must each be longer than a crop of crop_frames × 80 ms")


def train_codec(
    texts: Sequence[str],
    out: Path,
    settings: CodecTrainSettings,
    speak: Speak,
    user_voices: Sequence[str],
    progress: Progress = silent,
    speech: Sequence[np.ndarray] | None = None,
) -> Codec:
    """Train the codec and write it to `out`; the same call resumes from the state next to it (`.state`).

    `speech` is the agent's, utterances of int16 samples at 22 050 Hz, instead of sentences in `settings.agent_voice`.
    Deterministic by `settings.seed` for a given machine and thread count. Intermediate checkpoints are usable.
    """
    progress(0, settings.steps, "preparing the speech")
    random = np.random.default_rng([settings.seed, 2])
    if speech is None:
        own = _spoken(speak, _sentences(texts, settings.seed), [settings.agent_voice], random)
    else:
        seconds = sum(map(len, speech)) / 22_050
        if seconds < 0.08 * settings.crop_frames + 1:
            raise ValueError(f"{seconds:.1f} s of speech is too little to train on; use an hour or more")
        own = (speech[i] for i in random.permutation(len(speech)))
    agent = _track(own, settings.agent_hours, random)
    random = np.random.default_rng([settings.seed + 1, 2])
    users = _track(
        _spoken(speak, _sentences(texts, settings.seed + 1), user_voices, random), settings.user_hours, random
    )
    facts = asdict(settings)
    if speech is not None:
        facts["agent_voice"] = GIVEN + hashlib.sha256(agent.tobytes()).hexdigest()[:12]

    torch.manual_seed(settings.seed)
    network = CodecNetwork(CodecConfig())
    criterion = SpectralLoss(network.config.sample_rate)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    state_path = out.with_suffix(".state")
    first = _resume(state_path, facts, network, optimizer)
    if first:
        progress(first, settings.steps, "resumed")

    begin, running = time.monotonic(), 0.0
    network.train()
    for step in range(first, settings.steps):
        crops = _crops(agent, users, step, settings, network.config.frame_samples)
        with torch.autocast("cpu", torch.bfloat16):
            decoded = network(crops)
        loss = criterion(decoded, crops)
        if not loss.isfinite():
            raise ValueError(f"the loss is {loss.item()} at step {step + 1}; lower learning_rate")
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _rate(step, settings)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        running += loss.item()
        done = step + 1
        if done % settings.checkpoint_every == 0 or done == settings.steps:
            mean = running / ((done - 1) % settings.checkpoint_every + 1)
            pace = (time.monotonic() - begin) / (done - first)
            progress(done, settings.steps, f"loss {mean:.4f}, {pace:.2f} s per step")
            running = 0.0
            _save_state(state_path, done, facts, network, optimizer)
            Codec(network, _training(facts, done)).save(out)
            network.train()
    return Codec.load(out)


def _training(facts: Mapping[str, Any], steps: int) -> dict[str, Any]:
    return {"agent_voice": facts["agent_voice"], "steps": steps, "of_steps": facts["steps"], "seed": facts["seed"]}


def _rate(step: int, settings: CodecTrainSettings) -> float:
    """Linear warm-up, a plateau, then linear decay to zero over the last 40 % of the steps.

    On the plateau, the rate does not depend on `steps`, which may be changed when resuming.
    """
    decay = (settings.steps - step) / (0.4 * settings.steps)
    return min((step + 1) / settings.warmup_steps, 1.0, decay)


def _sentences(texts: Sequence[str], seed: int) -> Iterator[str]:
    """The given texts in random order, then an infinite stream of random words."""
    from wordfreq import top_n_list  # of the extra [codec]

    random = np.random.default_rng([seed, 1])
    for i in random.permutation(len(texts)):
        yield texts[i]
    words = top_n_list("en", 20_000)
    while True:
        # The cube makes common words common, but every word possible.
        ranks = (random.random(random.integers(1, 15)) ** 3 * len(words)).astype(int)
        commas = random.choice(["", ","], size=len(ranks), p=[0.9, 0.1])
        sentence = " ".join(words[rank] + comma for rank, comma in zip(ranks, commas, strict=True))
        yield sentence.rstrip(",") + random.choice([".", "?", "!"], p=[0.7, 0.25, 0.05])


def _spoken(
    speak: Speak, sentences: Iterator[str], speakers: Sequence[str], random: np.random.Generator
) -> Iterator[np.ndarray]:
    """Each sentence in the voice of a random speaker."""
    for sentence in sentences:
        try:
            yield speak(sentence, speakers[int(random.integers(len(speakers)))])
        except ValueError:  # a "word" that has no sound
            continue


def _track(utterances: Iterator[np.ndarray], hours: float, random: np.random.Generator) -> np.ndarray:
    """Int16 samples of utterances separated by silence; some are cut off, like an agent that is interrupted."""
    pieces: list[np.ndarray] = []
    wanted = int(hours * 3600 * 22_050)
    while wanted > 0 and (samples := next(utterances, None)) is not None:
        if random.random() < 0.15:
            samples = samples[: int(len(samples) * random.uniform(0.2, 0.9))]
        pause = np.zeros(int(22_050 * random.exponential(0.5)), np.int16)
        pieces += [samples, pause]
        wanted -= len(samples) + len(pause)
    return np.concatenate(pieces)


def _crops(agent: np.ndarray, users: np.ndarray, step: int, settings: CodecTrainSettings, frame_samples: int) -> Tensor:
    """The batch of one step (B, samples), drawn from (seed, step) only, so that a resumed run sees the same batches."""
    random = np.random.default_rng([settings.seed, 3, step])
    length = settings.crop_frames * frame_samples
    crops = np.empty((settings.batch, length), np.float32)
    for crop in crops:
        source = users if random.random() < settings.user_share else agent
        start = random.integers(len(source) - length)
        crop[:] = to_float(source[start : start + length]) * 10 ** (random.uniform(-8, 2) / 20)
    return torch.from_numpy(crops.clip(-1, 1))


def _save_state(
    path: Path,
    step: int,
    facts: Mapping[str, Any],
    network: CodecNetwork,
    optimizer: torch.optim.Optimizer,
) -> None:
    parts = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
    with unfinished(path) as part:
        torch.save({"step": step, "settings": dict(facts), **parts}, part)


def _resume(
    path: Path,
    facts: Mapping[str, Any],
    network: CodecNetwork,
    optimizer: torch.optim.Optimizer,
) -> int:
    """Steps already done, 0 without a state. Raises ValueError if the state has other settings."""
    if not path.exists():
        return 0
    try:
        state = torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError):
        raise ValueError(f"'{path}' is damaged; remove it to start over") from None
    if state["settings"] | {"steps": facts["steps"]} != facts:
        raise ValueError(f"'{path}' is from a run with other settings or other speech; remove it to start over")
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
