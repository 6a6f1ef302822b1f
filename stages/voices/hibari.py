"""Hibari: a small neural voice (7.9 MB, distilled from Kokoro-82M) in the package `hibari-tts`, Apache-2.0, on
`onnxruntime`.

Its network predicts phoneme durations, but does not return them: the graph is loaded with that tensor as an additional
output, which gives exact word times.
"""

import importlib.util
import tempfile
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from manifests.errors import RequestError
from manifests.files import sha256_of
from manifests.pcm import to_int16
from stages.text.languages import ENGLISH
from stages.voices.engine import EngineSettings, EngineSynthesizer, check_known
from stages.voices.word_times import onset_near

MEND = "pip install '.[hibari]'"
PACKAGE = "the package hibari-tts"
LOUDEST = 0.99
"""Full scale is reserved for clipping, which `verify` detects."""


class HibariSettings(EngineSettings):
    license: str = "Apache-2.0"
    speed: float = Field(default=1, ge=0.5, le=2, description="above 1 is faster")


class HibariSynthesizer(EngineSynthesizer[HibariSettings]):
    """Speaks English with Hibari. Its only bundled voice, `heart`, is for the agent; users need another synthesizer,
    see `mixed.py`."""

    languages = (ENGLISH,)

    @classmethod
    def voices(cls, settings: HibariSettings) -> list[str]:
        return list(_models())

    @classmethod
    def check(cls, settings: HibariSettings) -> None:
        if importlib.util.find_spec("hibari") is None:
            raise RequestError(f"The synthesizer Hibari is not installed: {MEND}.")
        super().check(settings)

    @classmethod
    def check_voices(cls, settings: HibariSettings, voices: Collection[str]) -> None:
        check_known(PACKAGE, cls.voices(settings), voices)

    @classmethod
    def about(cls, settings: HibariSettings, voice: str) -> dict[str, str]:
        source = f"hibari-tts {version('hibari-tts')}, voice {voice}"
        return {
            "engine": "Hibari",
            "source": source,
            "license": settings.license,
            "sha256": sha256_of(_models()[voice]),
        }

    def setup(self) -> None:
        super().setup()
        self._loaded: dict[str, Any] = {}

    def made_by(self) -> dict[str, str]:
        packages = {name: version(name) for name in ("hibari-tts", "onnxruntime")}
        return super().made_by() | packages

    def utter(self, text: str, voice: str) -> tuple[np.ndarray, int, Mapping[int, int] | None]:
        if voice not in _models():
            raise ValueError(f"{PACKAGE} has no voice '{voice}'")
        if voice not in self._loaded:
            self._loaded[voice] = _Engine(voice)
        return self._loaded[voice].utter(text, self.settings.speed)  # type: ignore[no-any-return]


class _Engine:
    """One voice, on one thread: more threads would make the samples depend on the machine."""

    def __init__(self, voice: str) -> None:
        import onnx
        from hibari import Hibari
        from hibari.dsp import SR, synth

        graph = onnx.load(_models()[voice])
        # Phonemes become frames by the cumulative sum of their durations: the only CumSum in the graph.
        (ends,) = (node.output[0] for node in graph.graph.node if node.op_type == "CumSum")
        graph.graph.output.append(onnx.helper.make_tensor_value_info(ends, onnx.TensorProto.INT64, None))
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(graph, f"{folder}/model.onnx")
            self._hibari = Hibari(voice=voice, model=f"{folder}/model.onnx", threads=1)
        self._synth, self._rate = synth, SR

    def utter(self, text: str, speed: float) -> tuple[np.ndarray, int, dict[int, int]]:
        """int16 samples, their rate, and the start of each separable word; see `EngineSynthesizer.utter`."""
        noise = np.random.default_rng(0)  # new for each text: speech must not depend on earlier texts
        parts: list[np.ndarray] = []
        starts: dict[int, int] = {}
        tokens = at = 0
        for sentence in self._hibari.split_sentences(text):
            words, heard = len(sentence.split()), at
            begins: list[int] = []
            for phonemes in self._hibari.phonemize(sentence):
                samples, ends = self._spoken(phonemes, speed, noise)
                begins += [heard + start for start in _word_starts(phonemes, ends, self._hibari.vocab)]
                parts.append(samples)
                heard += len(samples)
            # A word with several phoneme words, or none, is separated from its neighbors by its letters only.
            known = begins if len(begins) == words else begins[:1]
            starts |= {tokens + number: start for number, start in enumerate(known)}
            tokens, at = tokens + words, heard
        if not parts:
            raise ValueError("it has no phonemes for the text")
        whole = np.concatenate(parts)
        loudest = float(np.abs(whole).max(initial=0))
        sound = to_int16(whole * min(1, LOUDEST / loudest) if loudest else whole)
        return sound, self._rate, {word: onset_near(sound, self._rate, start) for word, start in starts.items()}

    def _spoken(self, phonemes: str, speed: float, noise: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """float32 samples, and the sample at which each phoneme ends, including the silence around them."""
        inputs = {
            "ids": np.asarray([self._hibari.ids(phonemes)], np.int64),
            "speed": np.asarray([speed], np.float32),
        }
        *spectrum, ends = self._hibari.sess.run(None, inputs)
        samples = self._synth(*(one[0] for one in spectrum), noise)
        ends = ends.reshape(-1)
        return samples, ends * (len(samples) // int(ends[-1]))  # a duration's unit is several spectral frames


def _word_starts(phonemes: str, ends: np.ndarray, vocabulary: Mapping[str, int]) -> list[int]:
    """The sample at which each word of a string of phonemes starts; words are separated by spaces and preceded by
    silence."""
    starts, place, begins = [], 0, True
    for phoneme in phonemes:
        if phoneme not in vocabulary:
            continue
        if phoneme == " ":
            begins = True
        elif begins and (phoneme.isalnum() or phoneme in "ˈˌ"):
            starts.append(int(ends[place]))
            begins = False
        place += 1
    return starts


@cache
def _models() -> dict[str, Path]:
    """The available voices: bundled, or downloaded by `hibari` before."""
    if importlib.util.find_spec("hibari") is None:
        return {}
    from hibari.voices import VOICES, voice_path

    found = {}
    for name in VOICES:
        try:
            found[name] = Path(voice_path(name, download_missing=False))
        except FileNotFoundError:
            continue
    return found
