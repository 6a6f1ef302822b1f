"""`salm-duplex codec`: train and score the bundled codec from the command line."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from manifests.errors import RequestError, WorkError
from manifests.sources import UnreadableInput
from salm_duplex_model.codec import Codec
from salm_duplex_model.codec.score import heldout_sentences, score_codec
from salm_duplex_model.codec.train import CodecTrainSettings, train_codec
from stages.espeak import Espeak, EspeakVoice, check_voice, voices
from stages.ingest import IngestSettings, ingest
from stages.normalise import Normaliser, Unspeakable

BUNDLED_DIALOGUES = Path(__file__).parent / "data" / "dialogues.jsonl"
USER_VOICES_SCORED = 10


def speak(text: str, voice: str) -> np.ndarray:
    """Int16 samples at 22 050 Hz of eSpeak NG's voice; raises ValueError where it can't speak."""
    return Espeak().speak(text, EspeakVoice.parse(voice))[0]


def train(inputs: Sequence[str], out: Path, overrides: Sequence[str], tell: Callable[[str], None]) -> None:
    """Train a codec on the sentences of dialogue files (the bundled ones where none are named) and random ones."""
    settings = _settings(overrides)
    try:
        read = ingest(inputs or [str(BUNDLED_DIALOGUES)], IngestSettings(), seed=0)
    except UnreadableInput as error:
        raise RequestError(str(error)) from None
    normaliser, texts = Normaliser(), []
    for dialogue in read.dialogues:
        for turn in dialogue.turns:
            try:
                texts.append(normaliser(turn.text))
            except Unspeakable:
                continue  # a sentence less to train on
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        check_voice(settings.agent_voice)
        train_codec(texts, out, settings, speak, voices(), tell)
    except ModuleNotFoundError as error:
        raise RequestError(f"Training needs {error.name}: pip install '.[codec]'.") from None
    except ValueError as error:
        raise RequestError(f"{error}.") from None
    except OSError as error:
        raise WorkError(f"The codec could not be written to {out}: {error.strerror or error}.") from error


def score(checkpoint: str) -> dict[str, Any]:
    """Score a codec on the held-out sentences: in the voice it was made for, and spread over users' voices."""
    try:
        codec = Codec.bundled() if checkpoint == "bundled" else Codec.load(checkpoint)
    except FileNotFoundError:
        raise RequestError(f"The codec {checkpoint} does not exist; `salm-duplex codec train` makes one.") from None
    except ValueError as error:
        raise RequestError(f"{error}.") from None
    every = voices()
    users = every[:: len(every) // USER_VOICES_SCORED][:USER_VOICES_SCORED]
    sentences = heldout_sentences()
    try:
        agent = score_codec(codec, [str(codec.training["agent_voice"])], sentences, speak)
        user = score_codec(codec, users, sentences[:5], speak)
    except ModuleNotFoundError as error:
        raise RequestError(f"Scoring needs {error.name}: pip install '.[codec]'.") from None
    rows = list(user["voices"].values())
    mean = {key: sum(row[key] for row in rows) / len(rows) for key in ("stoi", "pesq", "mel_distance")}
    agent_row = agent["voices"][str(codec.training["agent_voice"])]
    named = {"agent": agent_row, f"{len(users)} user voices": mean | {"n": sum(row["n"] for row in rows)}}
    return {"voices": named, "bits_per_second": codec.bits_per_second}


def _settings(overrides: Sequence[str]) -> CodecTrainSettings:
    known = {field.name: field for field in fields(CodecTrainSettings)}
    settings = CodecTrainSettings()
    for override in overrides:
        key, _, value = override.partition("=")
        if key not in known:
            raise RequestError(f"codec train has no setting '{key}'; it has {', '.join(known)}.")
        wanted = type(getattr(settings, key))
        parsed = yaml.safe_load(value)
        if not isinstance(parsed, wanted) and not (wanted is float and isinstance(parsed, int)):
            raise RequestError(f"codec train's {key} must be a {wanted.__name__}, not {value!r}.")
        settings = replace(settings, **{key: wanted(parsed)})
    return settings
