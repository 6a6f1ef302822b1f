"""Training batches straight from a corpus's shards: audio of the user, text and codes of the agent, no codec in between.

The batch of a step belongs to the whole job. Every process draws the same one and works off its own share of the cuts, so
the losses do not depend on how many processes there are, nor does where a run goes on after a stop.
"""

import queue
import random
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lhotse import CutSet, MonoCut
from lhotse.dataset import DynamicBucketingSampler
from torch import Tensor

from manifests.corpus import Corpus, open_corpus
from manifests.errors import RequestError, WorkError
from manifests.frames import CODEBOOKS, SOURCE_FRAME, SOURCE_RATE
from manifests.identity import digest
from manifests.shards import damaged_file
from manifests.text_channel import text_channel
from salm_duplex_model.config import DataConfig
from salm_duplex_model.tokenizer import TextTokenizer

PREFETCH = 2
# A dialogue longer than a batch is one by itself, as it should be.
warnings.filterwarnings("ignore", message="We have exceeded the max_duration constraint")


@dataclass(frozen=True, slots=True)
class Batch:
    """Cuts side by side, padded to the longest: T frames.

    `audio` float32 (B, T · 1 280) in [-1, 1], `text` int64 (B, T), `codes` int64 (B, T, 4), `frames` int64 (B,) without the
    padding; `cut_tokens` counts text tokens that found no room in their turn. In training, `unheard` bool (B, T) may mark
    frames whose own codes the model is not to be told.
    """

    ids: tuple[str, ...]
    audio: Tensor
    text: Tensor
    codes: Tensor
    frames: Tensor
    cut_tokens: int = 0
    unheard: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        moved: dict[str, Any] = {
            part.name: value.to(device, non_blocking=True)
            for part in fields(self)
            if isinstance(value := getattr(self, part.name), Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True, slots=True)
class Step:
    """One process's work of one step: its parts of the batch, None where it has none, and the whole batch's measure."""

    parts: tuple[Batch | None, ...]
    frames: int
    """Positions that count in the whole batch, over all processes: what sums of losses are divided by."""
    position: list[list[int]]
    """Where the stream stands after this step: (epoch, batches drawn in it) for each corpus."""


def collate(cuts: Sequence[MonoCut], tokenizer: TextTokenizer, audio: bool = True) -> Batch:
    """Load and pad cuts; without `audio`, which takes the most time, the user is silent."""
    loaded = [_load(cut, tokenizer, audio) for cut in cuts]
    longest = max(len(text) for _, text, _, _ in loaded)
    users = torch.zeros(len(cuts), longest * SOURCE_FRAME)
    text = torch.full((len(cuts), longest), tokenizer.special.pad, dtype=torch.int64)
    codes = torch.zeros(len(cuts), longest, CODEBOOKS, dtype=torch.int64)
    for row, (samples, tokens, own, _) in enumerate(loaded):
        users[row, : len(samples)] = torch.from_numpy(samples)
        text[row, : len(tokens)] = torch.from_numpy(tokens)
        codes[row, : len(own)] = torch.from_numpy(own.astype(np.int64))
    frames = torch.tensor([len(tokens) for _, tokens, _, _ in loaded])
    return Batch(tuple(cut.id for cut in cuts), users, text, codes, frames, sum(cut for *_, cut in loaded))


def _load(cut: MonoCut, tokenizer: TextTokenizer, audio: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    codes = cut.load_custom("target_codes")
    frames = len(codes)
    samples = np.zeros(frames * SOURCE_FRAME, dtype=np.float32)
    if audio:
        heard = cut.load_audio()[0]
        samples[: len(heard)] = heard[: len(samples)]
    channel = text_channel(cut.supervisions, frames, "agent", tokenizer.encode, tokenizer.special)
    return samples, channel.tokens, codes, channel.cut_tokens


def frames_of(cut: MonoCut) -> int:
    return int(cut.recording.num_samples) // SOURCE_FRAME


def open_for_training(path: Path) -> Corpus:
    """A corpus with something to train on; raises `RequestError` where there is none."""
    corpus = open_corpus(path)
    if "train" not in corpus.splits:
        raise RequestError(f"The corpus {path} has no dialogue in its training split; build it from more dialogues.")
    try:
        first = next(iter(corpus.cuts("train")))
    except Exception as error:
        raise explained(corpus, "train", error) from error
    if first.recording.sampling_rate != SOURCE_RATE:
        raise RequestError(
            f"The corpus {path} has user audio of {first.recording.sampling_rate} Hz, not {SOURCE_RATE}."
        )
    return corpus


def codec_of(corpora: Sequence[Corpus]) -> str:
    """The codec that all corpora's codes were made with; raises `RequestError` where they differ.

    One that was personalised has the same codes, and another name and checksum: so these corpora can't be mixed either.
    """
    made = [(one, facts) for one in corpora for facts in one.info.get("made_by", {}).get("tokenize", [])]
    if not made:
        return "bundled"
    first, facts = made[0]
    for other, others in made[1:]:
        if others.get("codec_sha256") != facts.get("codec_sha256"):
            raise RequestError(
                f"The codes of {other.path} are of the codec {others.get('codec')}, those of {first.path} of "
                f"{facts.get('codec')}: a model learns one codec's; build them with the same."
            )
    return str(facts.get("codec", "bundled"))


def explained(corpus: Corpus, split: str, error: Exception) -> WorkError:
    """What stopped the reading of a split, by the name of the file that is damaged."""
    damaged = damaged_file(corpus.path / split)
    if damaged is None:
        return WorkError(f"The corpus {corpus.path} can't be read: {type(error).__name__}: {error}.")
    return WorkError(
        f"The shard file {damaged[0]} is damaged ({damaged[1]}); copy it again, or delete the corpus and build it anew."
    )


@dataclass
class CorpusStream:
    """The batches of one corpus's split, epoch after epoch, in an order that the seed decides."""

    corpus: Corpus
    config: DataConfig
    seed: int
    split: str = "train"
    epoch: int = 0
    drawn: int = 0
    _batches: Iterator[CutSet] | None = field(default=None, repr=False)

    def next(self) -> list[MonoCut]:
        """The next batch's cuts; begins the next epoch where one has ended."""
        try:
            if self._batches is None:
                self._batches = self._begin()
            batch = next(self._batches, None)
            if batch is None:
                self.epoch, self.drawn, self._batches = self.epoch + 1, 0, None
                self._batches = self._begin()
                batch = next(self._batches)
        except (RequestError, WorkError):
            raise
        except Exception as error:  # a broken archive raises whatever its reader raises
            raise explained(self.corpus, self.split, error) from error
        self.drawn += 1
        return list(batch)

    def seek(self, epoch: int, drawn: int) -> None:
        """Go to a position: the batches before it in its epoch are passed over."""
        self.epoch, self.drawn, self._batches = epoch, 0, None
        for _ in range(drawn):
            self.next()

    def _begin(self) -> Iterator[CutSet]:
        cuts = CutSet.from_shar(
            in_dir=self.corpus.path / self.split,
            shuffle_shards=True,
            stateful_shuffle=False,
            seed=_mixed(self.seed, self.epoch),
        )
        sampler = DynamicBucketingSampler(
            self._counted(cuts),
            max_duration=self.config.batch_seconds,
            num_buckets=None,
            duration_bins=self._bins(),
            shuffle=True,
            seed=_mixed(self.seed, self.epoch),
            buffer_size=self.config.shuffle_buffer,
            shuffle_buffer_size=self.config.shuffle_buffer,
            # The batch is of the whole job: every process draws all of it.
            world_size=1,
            rank=0,
        )
        return iter(sampler)

    def _counted(self, cuts: CutSet) -> CutSet:
        """The cuts, with an error in place of a silent end where a shard holds fewer than it should."""
        expected = self.corpus.info["statistics"]["dialogues"][self.split]

        def count() -> Iterator[MonoCut]:
            number = 0
            for cut in cuts:
                number += 1
                yield cut
            if number != expected:
                raise ValueError(f"{number} dialogues instead of {expected}")

        return CutSet(_Again(count))

    def _bins(self) -> list[float]:
        durations = sorted(row["duration_s"] for row in self.corpus.dialogues if row["split"] == self.split)
        shares = np.linspace(0, 1, self.config.buckets + 1)[1:-1]
        return sorted({round(float(edge), 3) for edge in np.quantile(durations, shares)}) or [float(durations[-1])]


class _Again:
    """An iterable from a generator function."""

    def __init__(self, make: Callable[[], Iterator[MonoCut]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[MonoCut]:
        return self._make()


def _mixed(seed: int, number: int | str) -> int:
    return random.Random(f"{seed}-{number}").randrange(2**31)


class Steps:
    """The endless sequence of a process's `Step`s, loaded ahead by a thread.

    `corpora` are mixed by `config.weights`, each step's batch from one of them. `rank` of `world` processes works off its
    share, in `config.accumulate` parts.
    """

    def __init__(
        self, corpora: Sequence[Corpus], config: DataConfig, tokenizer: TextTokenizer, seed: int, rank: int, world: int
    ) -> None:
        if config.weights is not None and len(config.weights) != len(corpora):
            raise RequestError(f"data.weights has {len(config.weights)} numbers for {len(corpora)} corpora.")
        self.streams = [CorpusStream(corpus, config, seed) for corpus in corpora]
        self.weights = config.weights or [corpus.info["statistics"]["hours"] for corpus in corpora]
        self.config, self.tokenizer, self.seed, self.rank, self.world = config, tokenizer, seed, rank, world

    def state_after(self, step: Step) -> dict[str, Any]:
        """What `seek` needs to go on after a step."""
        return {
            "corpora": [digest(stream.corpus.info["identity"]) for stream in self.streams],
            "position": step.position,
        }

    def seek(self, state: dict[str, Any]) -> None:
        """Go on where `state_after` stood; raises `RequestError` where the corpora are not the same, in the same order."""
        if state["corpora"] != [digest(stream.corpus.info["identity"]) for stream in self.streams]:
            raise RequestError(
                "The run to go on with was trained on other corpora; name the same ones, in the same order."
            )
        for stream, (epoch, drawn) in zip(self.streams, state["position"], strict=True):
            stream.seek(epoch, drawn)

    def iterate(self, first: int, last: int) -> Iterator[Step]:
        """The steps from `first` up to, not including, `last`; `first` must be where `seek` went."""
        ahead: queue.Queue[Step | BaseException | None] = queue.Queue(PREFETCH)
        stop = threading.Event()

        def put(item: Step | BaseException | None) -> None:
            while not stop.is_set():
                try:
                    return ahead.put(item, timeout=0.2)
                except queue.Full:
                    continue

        def load() -> None:
            try:
                with ThreadPoolExecutor(self.config.loaders) as pool:
                    for number in range(first, last):
                        if stop.is_set():
                            return
                        put(self._step(number, pool))
                put(None)
            except BaseException as error:
                put(error)

        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        try:
            while (item := ahead.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            thread.join()

    def _step(self, number: int, pool: ThreadPoolExecutor) -> Step:
        choose = random.Random(f"{self.seed}-{number}-corpus")
        stream = choose.choices(self.streams, self.weights)[0]
        # Sorted, so that the shares of the processes are alike in length.
        cuts = sorted(stream.next(), key=lambda cut: (frames_of(cut), cut.id))
        shares = self.world * self.config.accumulate
        own = [cuts[self.rank + self.world * part :: shares] for part in range(self.config.accumulate)]
        try:
            parts = tuple(pool.map(lambda share: self._part(number, share) if share else None, own))
        except Exception as error:
            raise explained(stream.corpus, stream.split, error) from error
        position = [[stream.epoch, stream.drawn] for stream in self.streams]
        return Step(parts, sum(frames_of(cut) - 1 for cut in cuts), position)

    def _part(self, number: int, cuts: Sequence[MonoCut]) -> Batch:
        batch = collate(cuts, self.tokenizer)
        if self.config.code_dropout == 0:
            return batch
        # Drawn for each cut by itself, so that it does not matter which process has it.
        draws = [np.random.default_rng(_mixed(self.seed, f"{number}-{id}-unheard")) for id in batch.ids]
        frames = batch.text.shape[1]
        unheard = np.stack([draw.random() * self.config.code_dropout > draw.random(frames) for draw in draws])
        return replace(batch, unheard=torch.from_numpy(unheard))


def first_batches(
    corpora: Sequence[Corpus],
    split: str,
    config: DataConfig,
    tokenizer: TextTokenizer,
    seconds: float,
    audio: bool = True,
) -> list[Batch]:
    """Batches of the first `seconds` of a split, shared between the corpora; of the training split where a corpus is too
    small to hold the other back. `audio` as of `collate`."""
    batches: list[Batch] = []
    for corpus in corpora:
        left = seconds / len(corpora)
        stream = CorpusStream(corpus, config, 0, split if split in corpus.splits else "train")
        chosen: list[MonoCut] = []
        try:
            for cut in corpus.cuts(stream.split):
                if chosen and cut.duration > left:
                    break
                chosen.append(cut)
                left -= cut.duration
            chosen.sort(key=frames_of)
            batch: list[MonoCut] = []
            for cut in chosen:
                if batch and cut.duration * (len(batch) + 1) > config.batch_seconds / config.accumulate:
                    batches.append(collate(batch, tokenizer, audio))
                    batch = []
                batch.append(cut)
            batches.append(collate(batch, tokenizer, audio))
        except Exception as error:
            raise explained(stream.corpus, stream.split, error) from error
    return batches
