"""Word times of speech with known words: CTC forced alignment, by torchaudio and a recognizer of the user's choice."""

import hashlib
import importlib.util
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from manifests.errors import RequestError
from manifests.files import sha256_of
from manifests.pcm import to_float
from salm_duplex_model.nemo_files import is_file_name, load_nemo
from stages.voices.word_times import onset_near

RATE = 16_000


def check_aligner(checkpoint: str) -> None:
    """Raise `RequestError` if `checkpoint` can't be an aligner or a package is missing; loads nothing."""
    path = Path(checkpoint)
    needs = {"torchaudio": "nemo"}
    if is_file_name(checkpoint):
        if not path.is_file():
            raise RequestError(f"The aligner {checkpoint} does not exist; check the path.")
        needs["nemo"] = "nemo"
    elif not (path / "config.json").is_file():
        raise RequestError(
            f"The aligner {checkpoint} is neither a NeMo CTC model (a .nemo file) nor a folder with a Hugging Face "
            "Wav2Vec2ForCTC model; name one of these."
        )
    for module, extra in needs.items():
        if importlib.util.find_spec(module) is None:
            raise RequestError(f"The aligner {checkpoint} needs {module}: pip install '.[{extra}]'.")


class CtcAligner:
    """Aligns with a NeMo CTC model (`.nemo`) or a Hugging Face CTC model and its processor (a folder)."""

    def __init__(self, checkpoint: str) -> None:
        check_aligner(checkpoint)
        self._recognizer = (_Nemo if is_file_name(checkpoint) else _HuggingFace)(checkpoint)
        self.sha256 = _digest(Path(checkpoint))

    def starts(self, samples: np.ndarray, rate: int, tokens: Sequence[str]) -> dict[int, int]:
        """The start of each token, in samples of int16 speech at `rate`: {token index: sample}.

        Tokens that the recognizer can't spell are missing; all are if the speech is too short for its words.
        """
        import torch
        from torchaudio.functional import forced_align, merge_tokens

        audio = soxr.resample(to_float(samples), rate, RATE, quality="HQ")
        spelled = [self._recognizer.spell(_plain(token)) for token in tokens]
        targets = [label for labels in spelled for label in labels]
        if not targets:
            return {}
        with torch.inference_mode():
            scores = self._recognizer.scores(torch.from_numpy(audio)[None])
        repeats = sum(a == b for a, b in pairwise(targets))
        if scores.shape[1] < len(targets) + repeats:
            return {}
        blank = self._recognizer.blank
        path, path_scores = forced_align(scores, torch.tensor([targets], dtype=torch.int32), blank=blank)
        spans = merge_tokens(path[0], path_scores[0], blank=blank)
        frame = len(samples) / scores.shape[1]
        starts, at = {}, 0
        for index, labels in enumerate(spelled):
            if labels:
                starts[index] = onset_near(samples, rate, round(spans[at].start * frame))
            at += len(labels)
        return starts


class _HuggingFace:
    """Wav2Vec2ForCTC and similar models, whose tokenizer spells by characters."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoModelForCTC, AutoProcessor

        self._model = AutoModelForCTC.from_pretrained(folder, use_safetensors=True).eval()
        self._processor = AutoProcessor.from_pretrained(folder)
        self._vocabulary: dict[str, int] = self._processor.tokenizer.get_vocab()
        self.blank = int(self._model.config.pad_token_id)

    def spell(self, word: str) -> list[int]:
        return [label for label in spelled(word, self._vocabulary) if label != self.blank]

    def scores(self, audio: Any) -> Any:
        import torch

        inputs = self._processor(audio[0].numpy(), sampling_rate=RATE, return_tensors="pt")
        return torch.log_softmax(self._model(inputs.input_values).logits, dim=-1)


class _Nemo:
    """EncDecCTCModel, which spells by characters, or EncDecCTCModelBPE, which spells by word pieces."""

    def __init__(self, path: str) -> None:
        self._model = load_nemo("ASRModel", path)
        if not hasattr(getattr(self._model, "decoder", None), "vocabulary"):
            raise RequestError(
                f"The aligner {path} is a {type(self._model).__name__}, not a CTC model; name a CTC model."
            )
        self._model.preprocessor.featurizer.dither = 0.0  # else the times would vary from run to run
        self._tokenizer = getattr(self._model, "tokenizer", None)
        self._vocabulary = {label: number for number, label in enumerate(self._model.decoder.vocabulary)}
        self.blank = len(self._vocabulary)

    def spell(self, word: str) -> list[int]:
        if self._tokenizer is None:
            return spelled(word, self._vocabulary)
        unknown = getattr(self._tokenizer, "unk_id", None)
        labels = self._tokenizer.text_to_ids(word) if word else []
        if unknown in labels:
            labels = self._tokenizer.text_to_ids(_unaccented(word))
        return [int(label) for label in labels if label != unknown]

    def scores(self, audio: Any) -> Any:
        import torch

        length = torch.tensor([audio.shape[1]])
        scores, lengths, _ = self._model(input_signal=audio, input_signal_length=length)
        return scores[:, : int(lengths[0])]


def spelled(word: str, vocabulary: Mapping[str, int]) -> list[int]:
    """A word's labels, in the vocabulary's case; a letter that it lacks is spelled without its accent, or left out."""
    labels: list[int] = []
    for letter in word:
        given = [letter, letter.upper()]
        plain = next((name for name in given if name in vocabulary), None)
        if plain is not None:
            labels.append(vocabulary[plain])
        elif (bare := _unaccented(letter)) != letter:
            labels += spelled(bare, vocabulary)
    return labels


def _plain(token: str) -> str:
    """Lower-case letters, digits and apostrophes of a token."""
    text = unicodedata.normalize("NFC", token.replace("’", "'")).lower()
    return "".join(c for c in text if c == "'" or unicodedata.category(c)[0] in "LMN")


def _unaccented(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(c))


def _digest(path: Path) -> str:
    """SHA-256 of a checkpoint: of the file, or of the weights in the folder."""
    files = [path] if path.is_file() else sorted([*path.glob("*.safetensors"), path / "config.json"])
    return hashlib.sha256(b"".join(bytes.fromhex(sha256_of(file)) for file in files)).hexdigest()
