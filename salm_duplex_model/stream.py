"""The cuts of corpora, batch after batch: opened, drawn in an order that the seed decides, by classes of length."""

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from lhotse import CutSet, MonoCut
from lhotse.dataset import DynamicBucketingSampler

from manifests.corpus import Corpus, open_corpus
from manifests.errors import RequestError, WorkError
from manifests.frames import SOURCE_RATE
from manifests.shard_reader import damaged_file, read_cuts
from salm_duplex_model.batch import Batch, collate, frames_of
from salm_duplex_model.config import DataConfig
from salm_duplex_model.tokenizer import TextTokenizer

# A dialogue longer than a batch is one by itself, as it should be.
warnings.filterwarnings("ignore", message="We have exceeded the max_duration constraint")


def open_for_training(place: str | Path) -> Corpus:
    """A corpus with something to train on; raises `RequestError` where there is none."""
    corpus = open_corpus(place)
    if "train" not in corpus.splits:
        raise RequestError(f"The corpus {place} has no dialogue in its training split; build it from more dialogues.")
    try:
        first = next(iter(corpus.cuts("train")))
    except Exception as error:
        raise explained(corpus, "train", error) from error
    if first.recording.sampling_rate != SOURCE_RATE:
        raise RequestError(
            f"The corpus {place} has user audio of {first.recording.sampling_rate} Hz, not {SOURCE_RATE}."
        )
    return corpus


def codec_of(corpora: Sequence[Corpus]) -> str:
    """The codec that all corpora's codes were made with; raises `RequestError` where they differ.

    One that was personalized has the same codes, and another name and checksum: so these corpora can't be mixed either.
    """
    made = [(one, facts) for one in corpora for facts in one.info.get("made_by", {}).get("tokenize", [])]
    if not made:
        return "bundled"
    first, facts = made[0]
    for other, others in made[1:]:
        if others.get("codec_sha256") != facts.get("codec_sha256"):
            raise RequestError(
                f"The codes of {other.url} are of the codec {others.get('codec')}, those of {first.url} of "
                f"{facts.get('codec')}: a model learns one codec's; build them with the same."
            )
    return str(facts.get("codec", "bundled"))


def explained(corpus: Corpus, split: str, error: Exception) -> WorkError:
    """What stopped the reading of a split, by the name of the file that is damaged."""
    if isinstance(error, WorkError):  # it says already what is wrong
        return error
    damaged = damaged_file(corpus.store.folder(split))
    if damaged is None:
        return WorkError(f"The corpus {corpus.url} can't be read: {type(error).__name__}: {error}.")
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
    _batches: Iterator[CutSet] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._edges = self._bins()

    def next(self) -> list[MonoCut]:
        """The next batch's cuts; begins the next epoch where one has ended."""
        try:
            if self._batches is None:
                self._batches = self._begin()
                for _ in range(self.drawn):
                    next(self._batches)
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
        """Go to a position: the batches before it in its epoch are passed over once the next one is asked for."""
        self.epoch, self.drawn, self._batches = epoch, drawn, None

    def _begin(self) -> Iterator[CutSet]:
        cuts = read_cuts(
            self.corpus.store.folder(self.split),
            # Its codes are what is learned of the agent.
            without=("target_audio", "context_audio"),
            shuffle_shards=True,
            stateful_shuffle=False,
            seed=seed_of(self.seed, self.epoch),
        )
        sampler = DynamicBucketingSampler(
            self._counted(cuts),
            max_duration=self.config.batch_seconds,
            num_buckets=None,
            duration_bins=self._edges,
            shuffle=True,
            seed=seed_of(self.seed, self.epoch),
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
        rows = self.corpus.dialogues.read("split", "duration_s")
        durations = rows["duration_s"][rows["split"] == self.split].to_numpy()
        shares = np.linspace(0, 1, self.config.buckets + 1)[1:-1]
        return sorted({round(float(edge), 3) for edge in np.quantile(durations, shares)}) or [float(durations.max())]


class _Again:
    """An iterable from a generator function."""

    def __init__(self, make: Callable[[], Iterator[MonoCut]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[MonoCut]:
        return self._make()


def seed_of(seed: int, purpose: int | str) -> int:
    """A seed of its own for each purpose."""
    return random.Random(f"{seed}-{purpose}").randrange(2**31)


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
        used = split if split in corpus.splits else "train"
        chosen: list[MonoCut] = []
        try:
            for cut in corpus.cuts(used):
                if chosen and cut.duration > left:
                    break
                chosen.append(cut)
                left -= cut.duration
            chosen.sort(key=frames_of)
            batch: list[MonoCut] = []
            for cut in chosen:
                if batch and cut.duration * (len(batch) + 1) > config.batch_seconds / config.accumulate:
                    batches.append(collate(batch, tokenizer, audio, config.text))
                    batch = []
                batch.append(cut)
            batches.append(collate(batch, tokenizer, audio, config.text))
        except Exception as error:
            raise explained(corpus, used, error) from error
    return batches
