"""A run's steps: each batch is for the whole job, and each process loads its own share of it ahead of time.

Every process draws the same batches and processes its own share of the cuts, so neither the losses nor the resume
position depend on the number of processes."""

import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from lhotse import MonoCut
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from manifests.corpus import Corpus
from manifests.errors import RequestError, WorkError
from manifests.frames import SOURCE_FRAME
from manifests.identity import digest
from salm_duplex_model.augment import augment
from salm_duplex_model.batch import Batch, collate, frames_of
from salm_duplex_model.config import AugmentConfig, DataConfig
from salm_duplex_model.stream import CorpusStream, explained, seed_of
from salm_duplex_model.tokenizer import TextTokenizer

PREFETCH = 2
"""Number of steps that each loader may be ahead."""


@dataclass(frozen=True, slots=True)
class Step:
    """One process's work for one step: its parts of the batch, None if there is none, and the whole batch's size."""

    parts: tuple[Batch | None, ...]
    frames: int
    """Positions that count in the whole batch, over all processes: the divisor of summed losses."""
    position: list[list[int]]
    """The stream's position after this step: (epoch, batches drawn in it) for each corpus."""

    def to(self, device: torch.device) -> "Step":
        return replace(self, parts=tuple(part and part.to(device) for part in self.parts))

    def pin_memory(self) -> "Step":
        """Pin the memory, so that a GPU can read it asynchronously; called by the `DataLoader`."""
        return replace(self, parts=tuple(part and part.pin_memory() for part in self.parts))


class Steps:
    """The endless sequence of a process's `Step`s, loaded ahead in separate processes.

    `corpora` are mixed by `config.weights`, each step's batch from one of them. `rank` of `world` processes handles its
    share, in `config.accumulate` parts. `user_delay` and `auxiliary` as in `collate`.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        config: DataConfig,
        tokenizer: TextTokenizer,
        seed: int,
        rank: int,
        world: int,
        user_delay: int | None = None,
        auxiliary: bool = False,
    ) -> None:
        if config.weights is not None and len(config.weights) != len(corpora):
            raise RequestError(
                f"data.weights has {len(config.weights)} numbers for {len(corpora)} corpora; give one number for each."
            )
        self.streams = [CorpusStream(corpus, config, seed) for corpus in corpora]
        self.weights = config.weights or [corpus.info["statistics"]["hours"] for corpus in corpora]
        self.config, self.tokenizer, self.seed, self.rank, self.world = config, tokenizer, seed, rank, world
        self.user_delay, self.auxiliary = user_delay, auxiliary

    def state_after(self, step: Step) -> dict[str, Any]:
        """The state that `seek` needs to continue after a step."""
        return {
            "corpora": [digest(stream.corpus.info["identity"]) for stream in self.streams],
            "position": step.position,
        }

    def seek(self, state: dict[str, Any]) -> None:
        """Continue from `state_after`; raises `RequestError` if the corpora are not the same, in the same order."""
        if state["corpora"] != [digest(stream.corpus.info["identity"]) for stream in self.streams]:
            raise RequestError("The run to resume was trained on other corpora; name the same ones, in the same order.")
        for stream, (epoch, drawn) in zip(self.streams, state["position"], strict=True):
            stream.seek(epoch, drawn)

    def iterate(self, first: int, last: int) -> Iterator[Step]:
        """The steps from `first` to `last` (exclusive); `first` must be the position of `seek`."""
        loader = DataLoader(
            _Share(self, first, last),
            batch_size=None,
            num_workers=min(self.config.loaders, os.cpu_count() or 1),
            prefetch_factor=PREFETCH,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else it would use the generator that training resumes with
        )
        for step in loader:
            if isinstance(step, Exception):
                raise step
            yield step

    def draw(self, number: int) -> Callable[[], Step]:
        """Draw the cuts of the next step, which is this one; returns a function that loads this process's part of
        them."""
        choose = random.Random(f"{self.seed}-{number}-corpus")
        stream = choose.choices(self.streams, self.weights)[0]
        # Sorted, so that the processes' shares have similar lengths.
        cuts = sorted(stream.next(), key=lambda cut: (frames_of(cut), cut.id))
        shares = self.world * self.config.accumulate
        own = [cuts[self.rank + self.world * part :: shares] for part in range(self.config.accumulate)]
        frames = sum(frames_of(cut) - 1 for cut in cuts)
        position = [[stream.epoch, stream.drawn] for stream in self.streams]

        def load() -> Step:
            try:
                parts = tuple(self._part(number, share) if share else None for share in own)
            except Exception as error:
                raise explained(stream.corpus, stream.split, error) from error
            return Step(parts, frames, position)

        return load

    def _part(self, number: int, cuts: Sequence[MonoCut]) -> Batch:
        batch = collate(
            cuts,
            self.tokenizer,
            alignment=self.config.text,
            user_delay=self.user_delay,
            auxiliary=self.auxiliary,
        )
        if self.config.augment != AugmentConfig():
            for row, draw in enumerate(self._draws(number, batch, "augment")):
                augment(batch.audio[row, : int(batch.frames[row]) * SOURCE_FRAME].numpy(), self.config.augment, draw)
        if self.config.code_dropout == 0:
            return batch
        draws = self._draws(number, batch, "unheard")
        frames = batch.text.shape[1]
        unheard = np.stack([draw.random() * self.config.code_dropout > draw.random(frames) for draw in draws])
        return replace(batch, unheard=torch.from_numpy(unheard))

    def _draws(self, number: int, batch: Batch, purpose: str) -> list[np.random.Generator]:
        """One generator per cut, so that the draws do not depend on which process loads it."""
        return [np.random.default_rng(seed_of(self.seed, f"{number}-{id}-{purpose}")) for id in batch.ids]


class _Share(IterableDataset):  # type: ignore[type-arg]
    """The steps of one loader process: all loaders draw every step's cuts, and each one loads every n-th step, for n
    loaders."""

    def __init__(self, steps: Steps, first: int, last: int) -> None:
        self._steps, self._numbers = steps, range(first, last)

    def __iter__(self) -> Iterator[Step | Exception]:
        worker = get_worker_info()
        mine, all_of_them = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in self._numbers:
            try:
                load = self._steps.draw(number)
                if (number - self._numbers.start) % all_of_them == mine:
                    yield load()
            except (RequestError, WorkError) as error:
                yield error  # re-raised by the consumer of the step
                return


def on_device(steps: Iterable[Step], device: torch.device) -> Iterator[Step]:
    """The steps on the device, each copied to a GPU while the previous one is processed."""
    if device.type != "cuda":
        yield from steps
        return
    copying, before = torch.cuda.Stream(device), None  # type: ignore[no-untyped-call]
    for step in steps:
        with torch.cuda.stream(copying):
            moved = step.to(device)
        for part in moved.parts:
            if part is not None:  # else its memory could be reused while it is still being read
                part.used_by(torch.cuda.current_stream(device))
        if before is not None:
            yield before
        torch.cuda.current_stream(device).wait_stream(copying)
        before = moved
    if before is not None:
        yield before
