"""`salm-duplex evaluate`: score the agent of a run on test sets against their labels.

Every dialogue is played through the streaming session and scored (`salm_duplex_model/evaluation`). Only the scores are
kept in memory, so a test set may have any size.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from lhotse import MonoCut

from manifests.corpus import Corpus, open_corpus
from manifests.errors import RequestError, WorkError
from manifests.frames import FRAME_SECONDS, TARGET_RATE
from manifests.progress import Progress
from manifests.text_channel import text_heard
from pipeline.report.inspection import side_by_side
from salm_duplex_model.checkpoint import latest, load_run, read_config
from salm_duplex_model.codec.nemo import AnyCodec, load_codec
from salm_duplex_model.evaluation import activity, bootstrap, full_duplex_bench
from salm_duplex_model.evaluation.activity import user_turns
from salm_duplex_model.evaluation.bootstrap import NOTHING, Figure
from salm_duplex_model.evaluation.judge import Judge
from salm_duplex_model.evaluation.live_user import HANGS_UP_S, PATIENCE_S
from salm_duplex_model.evaluation.metrics import TAIL_S, TOLERANCE_FRAMES
from salm_duplex_model.evaluation.play import Played, batches, converse, play
from salm_duplex_model.evaluation.plot import write_plot
from salm_duplex_model.evaluation.recognition import transcribe
from salm_duplex_model.evaluation.scores import Scores, score, score_reference, summarize
from salm_duplex_model.evaluation.text_metrics import bleu, perplexity, word_error_rate
from salm_duplex_model.evaluation.timeline import Interval, Spoken, scene_of
from salm_duplex_model.evaluation.utmos import Utmos
from salm_duplex_model.memory import limited_memory
from salm_duplex_model.session import GREEDY, Decoding
from salm_duplex_model.stream import explained
from stages.ears.recognize import Recognizer, load_recognizer

OPEN = "open: the user speaks as recorded"
CLOSED = (
    "closed: the user reacts to BOS and EOS of the agent's text channel, waits "
    f"{PATIENCE_S:g} s for an answer and {HANGS_UP_S:g} s more than the labels for room to speak"
)
WHOLE_DIALOGUES = 16
"""Dialogues read at once for the perplexity, which takes far more memory than a step of the same number."""
WORD_FIGURES = ("agent_wer", "reference_wer", "asr_bleu", "reference_asr_bleu")


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate, and how."""

    run: Path
    corpora: Sequence[str]
    out: Path
    split: str = "test"
    limit: int | None = None
    batch: int = 16
    decoding: Decoding = GREEDY
    asr: str | None = None
    utmos: Path | None = None
    judge: str | None = None
    judge_model: str | None = None
    fdb: Path | None = None
    codec: str | None = None
    closed_loop: bool = False
    """The user reacts to the agent instead of speaking as recorded."""


@dataclass(frozen=True, slots=True)
class TestSet:
    """A split of a corpus; `name` is the name of the corpus's folder."""

    name: str
    corpus: Corpus
    split: str
    cuts: list[MonoCut]


def evaluate(request: Request, progress: Progress) -> dict[str, Any]:
    """Evaluate a run and write FILE.json, FILE.png and, with one conversation, FILE.wav; returns the content of the
    JSON.

    Raises `RequestError` before any work if an argument can't be used, and `WorkError` if the judge fails; everything
    else is then still written.
    """
    _check_places(request)
    if (request.judge is None) != (request.judge_model is None):
        raise RequestError("--judge and --judge-model belong together; name both.")
    sets = open_sets(request.corpora, request.split, request.limit)
    model, tokenizer = load_run(request.run)
    recognizer = load_recognizer(request.asr) if request.asr else None
    utmos = Utmos(request.utmos) if request.utmos else None
    judge = Judge(request.judge, request.judge_model) if request.judge and request.judge_model else None
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    config = read_config(request.run)
    codec = load_codec(request.codec or config.codec)

    scores: dict[str, list[Scores]] = {}
    figures: dict[str, dict[str, Figure]] = {}
    reference: dict[str, dict[str, Figure]] = {}
    total, done = sum(len(one.cuts) for one in sets), 0
    sample: tuple[Played, Scores] | None = None
    for one in sets:
        quality = SpeechQuality(recognizer, utmos, codec)
        transcripts: list[tuple[str, str]] = []
        examples = Examples(request.fdb / one.name if request.fdb else None)
        scores[one.name] = []
        progress(done, total, one.name)
        for cuts in batches(one.cuts, request.batch):
            with playing(one):
                for played in (converse if request.closed_loop else play)(model, codec, cuts, request.decoding):
                    scored = score(played.cut, played.audio, played.tokens, tokenizer)
                    scored.samples.update(played.kept)
                    scores[one.name].append(scored)
                    quality.add(played, scored)
                    if played.user_tokens is not None:
                        written = user_turns(played.user_tokens, tokenizer.special, tokenizer.decode)
                        transcripts.append((" ".join(turn.text for turn in written), _said_by_user(played.cut)))
                    if sample is None or _is_better_sample(scored, sample[1]):
                        sample = played, scored
                    examples.write(played, scored)
            done += len(cuts)
            progress(done, total, one.name)
        examples.close()
        figures[one.name] = {
            **summarize(scores[one.name]),
            "text_perplexity": perplexity(
                model,
                tokenizer,
                one.cuts,
                min(request.batch, WHOLE_DIALOGUES),
                config.data.text,
                config.user_text_delay,
            ),
            **({"user_wer": word_error_rate(*zip(*transcripts, strict=True))} if transcripts else {}),
            **quality.figures(),
            "judge_score": NOTHING,
        }
        reference[one.name] = summarize([score_reference(cut, tokenizer) for cut in one.cuts])

    # The judge is a remote service and comes last: if it fails, everything else is kept.
    failure = _judge(judge, scores, figures) if judge else None
    result = {"about": _about(request, sets), "sets": _as_dicts(figures), "reference": _as_dicts(reference)}
    with _writing(request.out):
        request.out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
        write_plot(scores, figures, request.out.with_suffix(".png"))
        if sample is not None:
            _write_sample(sample[0], request.out.with_suffix(".wav"))
    if failure is not None:
        raise WorkError(f"{failure} All other figures are in {request.out}.")
    return result


def _said_by_user(cut: MonoCut) -> str:
    return " ".join(text_heard(supervision) for supervision in cut.supervisions if supervision.speaker == "user")


def _judge(judge: Judge, scores: dict[str, list[Scores]], figures: dict[str, dict[str, Figure]]) -> WorkError | None:
    """Add the judge's scores to the figures; returns the error if the judge failed."""
    try:
        for name, own in scores.items():
            marks = [judge.mark(one.scene, list(one.turns)) for one in own]
            figures[name]["judge_score"] = _mean_mark(marks)
    except WorkError as error:
        return error
    return None


def _mean_mark(marks: Sequence[float | None]) -> Figure:
    return bootstrap.mean([[mark] if mark is not None else [] for mark in marks])


def _is_better_sample(one: Scores, other: Scores) -> bool:
    """Whether `one` is a better example to listen to: less than a minute long, with more user events."""
    return one.scene.duration < 60 and _events(one) > _events(other)


def _events(one: Scores) -> int:
    return sum(turn.event != "turn" or bool(turn.pauses) for turn in one.scene.user)


def _write_sample(played: Played, path: Path) -> None:
    sound = side_by_side(played.cut.load_audio()[0], played.audio)
    soundfile.write(path, sound, TARGET_RATE, subtype="PCM_16", format="WAV")


class SpeechQuality:
    """WER, ASR-BLEU and UTMOS of the agent's audio and, for comparison, of the reference's audio through the codec."""

    def __init__(self, recognizer: Recognizer | None, utmos: Utmos | None, codec: AnyCodec) -> None:
        self._recognizer, self._utmos, self._codec = recognizer, utmos, codec
        self._own: list[tuple[str, str]] = []
        self._reference: list[tuple[str, str]] = []
        self._own_marks: list[float | None] = []
        self._reference_marks: list[float | None] = []

    def add(self, played: Played, scored: Scores) -> None:
        if self._recognizer is None and self._utmos is None:
            return
        recorded = played.recorded or played.cut
        codes = torch.from_numpy(recorded.load_custom("target_codes").astype(np.int64))
        reference = self._codec.decode(codes[None])[0].numpy()
        turns = activity.speech(reference)
        if self._recognizer is not None:
            scene = scored.scene
            self._own.append(self._words_of(played.audio, scored.speech, scene.uninterrupted(scored.turns)))
            labels = scene_of(recorded)
            self._reference.append(self._words_of(reference, turns, labels.uninterrupted(labels.reference)))
        if self._utmos is not None:
            self._own_marks.append(self._utmos(played.audio, scored.speech))
            self._reference_marks.append(self._utmos(reference, turns))

    def _words_of(self, audio: np.ndarray, sounds: Sequence[Interval], turns: Sequence[Spoken]) -> tuple[str, str]:
        """The recognized words of an agent's turns, and their text.

        `turns` must not include interrupted ones, whose text runs ahead of the audio.
        """
        assert self._recognizer is not None
        heard = [sound for sound in sounds if any(turn.holds((sound.start + sound.end) / 2) for turn in turns)]
        return transcribe(self._recognizer, audio, heard), " ".join(turn.text for turn in turns)

    def figures(self) -> dict[str, Figure]:
        marks = {"agent_utmos": self._own_marks, "reference_utmos": self._reference_marks}
        return self._words() | {name: _mean_mark(own) for name, own in marks.items()}

    def _words(self) -> dict[str, Figure]:
        if self._recognizer is None:
            return dict.fromkeys(WORD_FIGURES, NOTHING)
        (heard, said), (reference_heard, reference_said) = (
            ([a for a, _ in pairs], [b for _, b in pairs]) for pairs in (self._own, self._reference)
        )
        return {
            "agent_wer": word_error_rate(heard, said),
            "reference_wer": word_error_rate(reference_heard, reference_said),
            "asr_bleu": bleu(heard, said),
            "reference_asr_bleu": bleu(reference_heard, reference_said),
        }


class Examples:
    """A test set's examples in Full-Duplex-Bench's layout; writes nothing if `folder` is None."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._numbers: dict[str, int] = {}
        self._index: list[dict[str, object]] = []

    def write(self, played: Played, scored: Scores) -> None:
        if self._folder is not None:
            user = played.cut.load_audio()[0]
            with _writing(self._folder):
                self._index += full_duplex_bench.write_examples(
                    self._folder, scored.scene, user, played.audio, scored.speech, scored.words, self._numbers
                )

    def close(self) -> None:
        """Write which dialogue each example is from.

        The file is outside the task folders, in which the benchmark's scripts expect only examples.
        """
        if self._folder is not None:
            with _writing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                (self._folder / "index.json").write_text(json.dumps(self._index, indent=1) + "\n", "utf-8")


def _check_places(request: Request) -> None:
    if request.out.suffix != ".json":
        raise RequestError(f"--out {request.out} must end in .json; a plot is written next to it as .png.")
    try:
        request.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=request.out.parent):
            pass
        if request.out.is_dir() or (request.out.exists() and not os.access(request.out, os.W_OK)):
            raise PermissionError("it exists and can't be replaced")
    except OSError as error:
        raise RequestError(f"{request.out} can't be written: {error.strerror or error}.") from None
    if request.fdb is not None and request.fdb.exists() and (not request.fdb.is_dir() or any(request.fdb.iterdir())):
        raise RequestError(f"--fdb {request.fdb} already exists; name a new folder.")


def open_sets(places: Sequence[str], split: str, limit: int | None) -> list[TestSet]:
    """A split of each corpus, with at most `limit` dialogues; raises `RequestError` if a corpus can't be used."""
    sets = [_open(place, split, limit) for place in places]
    if len({one.name for one in sets}) < len(sets):
        raise RequestError("Two of the corpora have the same folder name, but figures are listed by it; rename one.")
    return sets


def _open(place: str, split: str, limit: int | None) -> TestSet:
    corpus = open_corpus(place)
    if split not in corpus.splits:
        has = ", ".join(corpus.splits) or "none"
        raise RequestError(f"The corpus {place} has no dialogue in a split '{split}'; it has: {has}.")
    one = TestSet(corpus.name, corpus, split, [])
    with reading(one):
        one.cuts.extend(islice(corpus.cuts(split), limit))
    return one


@contextmanager
def reading(one: TestSet) -> Iterator[None]:
    """Turn errors of reading a damaged shard into a message that names it."""
    try:
        yield
    except (RequestError, WorkError):
        raise
    except Exception as error:  # the readers of a broken archive raise many types
        raise explained(one.corpus, one.split, error) from error


@contextmanager
def playing(one: TestSet) -> Iterator[None]:
    """Like `reading`, and report a lack of memory with its remedy."""
    with reading(one), limited_memory("playing dialogues", "lower --batch"):
        yield


@contextmanager
def _writing(where: Path) -> Iterator[None]:
    """Turn an error of the file system into a `WorkError`."""
    try:
        yield
    except OSError as error:
        raise WorkError(f"{where} can't be written: {error.strerror or error}.") from error


def _as_dicts(figures: dict[str, dict[str, Figure]]) -> dict[str, Any]:
    return {name: {key: found.as_dict() for key, found in own.items()} for name, own in figures.items()}


def _about(request: Request, sets: list[TestSet]) -> dict[str, Any]:
    checkpoint = latest(request.run)
    return {
        "run": str(request.run),
        "step": int(checkpoint.name) if checkpoint else None,
        "split": request.split,
        "corpora": {one.name: one.corpus.url for one in sets},
        "dialogues": {one.name: len(one.cuts) for one in sets},
        "limit": request.limit,
        "decoding": asdict(request.decoding) | {"batch": request.batch},
        "closed_loop": request.closed_loop,
        "loop": f"{CLOSED if request.closed_loop else OPEN}, then {TAIL_S:g} s of silence; agent frame t beside user frame t",
        "voice_activity": activity.DESCRIPTION,
        "hold_s": activity.HOLD_S,
        "blip_s": activity.BLIP_S,
        "turn_taking_tolerance_frames": TOLERANCE_FRAMES,
        "frame_s": FRAME_SECONDS,
        "interval": f"95 % of {bootstrap.DRAWS} bootstrap draws of dialogues, seed {bootstrap.SEED}",
        "asr": request.asr,
        "utmos": str(request.utmos) if request.utmos else None,
        "judge": request.judge_model,
    }
