"""Batches of cuts from corpora, in duration buckets and in an order determined by the seed."""

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

# A dialogue longer than a batch is its own batch, as intended.
warnings.filterwarnings("ignore", message="We have exceeded the max_duration constraint")


def open_for_training(place: str | Path) -> Corpus:
    """Open a corpus for training; raises `RequestError` if it has nothing to train on."""
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
    """The codec of all corpora; raises `RequestError` if they differ.

    A personalized codec has the same codes, but another name and checksum, so such corpora can't be mixed either.
    """
    made = [(one, facts) for one in corpora for facts in one.info.get("made_by", {}).get("tokenize", [])]
    if not made:
        return "bundled"
    first, facts = made[0]
    for other, others in made[1:]:
        if others.get("codec_sha256") != facts.get("codec_sha256"):
            raise RequestError(
                f"The codes of {other.url} are from the codec {others.get('codec')}, those of {first.url} from "
                f"{facts.get('codec')}: a model learns the codes of one codec; build both corpora with the same one."
            )
    return str(facts.get("codec", "bundled"))


def explained(corpus: Corpus, split: str, error: Exception) -> WorkError:
    """The error that stopped the reading of a split, naming the damaged file."""
    if isinstance(error, WorkError):  # it already has a message
        return error
    damaged = damaged_file(corpus.store.folder(split))
    if damaged is None:
        return WorkError(f"The corpus {corpus.url} can't be read: {type(error).__name__}: {error}.")
    return WorkError(
        f"The shard file {damaged[0]} is damaged ({damaged[1]}); copy it again, or delete the corpus and rebuild it."
    )


@dataclass
class CorpusStream:
    """The batches of one corpus's split, epoch after epoch, in an order determined by the seed."""

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
        """The next batch's cuts; starts the next epoch after the end of one."""
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
        except Exception as error:  # the readers of a damaged archive raise many types
            raise explained(self.corpus, self.split, error) from error
        self.drawn += 1
        return list(batch)

    def seek(self, epoch: int, drawn: int) -> None:
        """Go to a position; earlier batches of its epoch are skipped at the next request."""
        self.epoch, self.drawn, self._batches = epoch, drawn, None

    def _begin(self) -> Iterator[CutSet]:
        cuts = read_cuts(
            self.corpus.store.folder(self.split),
            # Only the codes of the agent's audio are learned.
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
            # The batch is for the whole job: every process loads all of it.
            world_size=1,
            rank=0,
        )
        return iter(sampler)

    def _counted(self, cuts: CutSet) -> CutSet:
        """The cuts, with an error instead of a silent end if a shard has fewer than expected."""
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
    """A separate seed for each purpose."""
    return random.Random(f"{seed}-{purpose}").randrange(2**31)


def first_batches(
    corpora: Sequence[Corpus],
    split: str,
    config: DataConfig,
    tokenizer: TextTokenizer,
    seconds: float,
    audio: bool = True,
    user_delay: int | None = None,
    auxiliary: bool = False,
) -> list[Batch]:
    """Batches of the first `seconds` of a split, divided between the corpora; from the training split if a corpus is
    too small to have `split`. `audio`, `user_delay` and `auxiliary` are as in `collate`."""
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
                    batches.append(collate(batch, tokenizer, audio, config.text, user_delay, auxiliary))
                    batch = []
                batch.append(cut)
            batches.append(collate(batch, tokenizer, audio, config.text, user_delay, auxiliary))
        except Exception as error:
            raise explained(corpus, used, error) from error
    return batches
