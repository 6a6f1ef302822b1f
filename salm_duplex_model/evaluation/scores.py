"""Scoring: `score` one dialogue from the agent's audio and text, and `summarize` many into figures.

No model is involved: any agent's audio and text channel can be scored, including the reference's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from lhotse import MonoCut

from manifests.frames import FRAME_SECONDS, TARGET_FRAME
from manifests.records import ASIDES
from manifests.text_channel import text_channel
from salm_duplex_model.batch import frames_of
from salm_duplex_model.evaluation import full_duplex_bench
from salm_duplex_model.evaluation.activity import speech, text_turns
from salm_duplex_model.evaluation.bootstrap import Figure, figure, mean
from salm_duplex_model.evaluation.metrics import BEHAVIOR, barge_in_yield_rate, matched_starts
from salm_duplex_model.evaluation.text_metrics import bleu
from salm_duplex_model.evaluation.timeline import Interval, Scene, Spoken, scene_of
from salm_duplex_model.tokenizer import TextTokenizer

BY_TEXT = "text_"
"""Prefix of behavior metrics that are computed on the text channel by BOS and EOS instead of on audio."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One dialogue: when the agent spoke, what it said, and each metric's samples, without its backchannels."""

    scene: Scene
    speech: tuple[Interval, ...]
    turns: tuple[Spoken, ...]
    """The agent's turns on its text channel."""
    samples: dict[str, list[float]]
    starts: tuple[int, int, int]
    """BOS frames: pairs with the reference's, the agent's, the reference's."""
    reference_text: str
    """The content of the reference agent's text channel."""

    @property
    def text(self) -> str:
        return " ".join(turn.text for turn in self.turns)

    @property
    def words(self) -> list[Spoken]:
        """The agent's words, with estimated times."""
        return full_duplex_bench.timed_words(self.turns, self.speech)


def score(cut: MonoCut, audio: np.ndarray, tokens: np.ndarray, tokenizer: TextTokenizer) -> Scores:
    """Score an agent on a test cut: its `audio` float (samples,) at 22 050 Hz and its text channel `tokens` int
    (frames,), both from the cut's start. They may be longer than the cut."""
    scene = scene_of(cut)
    heard, written = speech(audio), text_turns(tokens, tokenizer.special, tokenizer.decode)
    spoken, turns = scene.turns_of(heard), scene.turns_of(written)
    samples = {name: metric(scene, spoken) for name, metric in BEHAVIOR.items()}
    samples |= {BY_TEXT + name: metric(scene, turns) for name, metric in BEHAVIOR.items()}
    samples["barge_in_yield_rate"] = barge_in_yield_rate(scene, spoken, turns)
    backchannels = len(heard) - len(spoken)
    samples["agent_backchannels_per_min"] = [60 * backchannels / scene.duration] if scene.backchannels else []
    words = full_duplex_bench.timed_words(written, heard)
    samples |= full_duplex_bench.measure(scene, heard, words, len(tokens) * FRAME_SECONDS)
    labels = [s for s in cut.supervisions if (s.custom or {}).get("event") not in ASIDES]
    reference = text_channel(labels, frames_of(cut), "agent", tokenizer.encode, tokenizer.special).tokens
    own = [round(turn.start / FRAME_SECONDS) for turn in turns]
    other = np.flatnonzero(reference == tokenizer.special.bos).tolist()
    starts = (matched_starts(own, other), len(own), len(other))
    laid_out = text_turns(reference, tokenizer.special, tokenizer.decode)
    return Scores(scene, tuple(spoken), tuple(turns), samples, starts, " ".join(turn.text for turn in laid_out))


def score_reference(cut: MonoCut, tokenizer: TextTokenizer) -> Scores:
    """The reference agent, scored like any other: the scores of a perfect agent under these definitions."""
    channel = text_channel(cut.supervisions, frames_of(cut), "agent", tokenizer.encode, tokenizer.special)
    audio = cut.load_custom("target_audio")[0]
    return score(cut, audio[: frames_of(cut) * TARGET_FRAME], channel.tokens, tokenizer)


def summarize(scores: Sequence[Scores]) -> dict[str, Figure]:
    """The figures of a test set, without those that need a model or a recognizer; the order of dialogues does not
    matter."""
    scores = sorted(scores, key=lambda one: one.scene.id)
    names = scores[0].samples if scores else ()
    figures = {name: mean([one.samples[name] for one in scores]) for name in names}
    starts = np.array([one.starts for one in scores], dtype=np.float64).reshape(-1, 3)
    figures["turn_taking_precision"] = figure(starts[:, [0, 1]])
    figures["turn_taking_recall"] = figure(starts[:, [0, 2]])
    figures["agent_bleu"] = bleu([one.text for one in scores], [one.reference_text for one in scores])
    return figures
