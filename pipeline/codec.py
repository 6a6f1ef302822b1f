"""`salm-duplex codec`: train, personalize and score codecs from the command line."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch

from manifests.corpus import open_corpus
from manifests.errors import RequestError, WorkError
from manifests.frames import TARGET_RATE
from manifests.pcm import to_float, to_int16
from manifests.progress import Progress
from manifests.records import Dialogue
from manifests.store import Store
from pipeline.overrides import overridden
from pipeline.recipe import validated
from salm_duplex_model.codec import Codec
from salm_duplex_model.codec.nemo import AnyCodec, load_codec
from salm_duplex_model.codec.personalize import PersonalizeSettings
from salm_duplex_model.codec.personalize import personalize as train_decoder
from salm_duplex_model.codec.score import heldout_sentences, score_speech, score_voice
from salm_duplex_model.codec.train import GIVEN, CodecTrainSettings, train_codec
from stages.ingest import IngestSettings, ingest
from stages.text.normalize import Normalizer, Unspeakable
from stages.voices.espeak_engine import DEFAULT_AGENT_VOICE, Espeak, EspeakVoice, check_voice, voices

BUNDLED_DIALOGUES = Path(__file__).parent / "data" / "dialogues.jsonl"
USER_VOICES_SCORED = 10
HELD_OUT = 50
"""At most this many sentences are used to score a personalized codec."""


def speak(text: str, voice: str) -> np.ndarray:
    """Int16 samples at 22 050 Hz in eSpeak NG's voice; raises ValueError if it can't speak."""
    return Espeak().speak(text, EspeakVoice.parse(voice))[0]


def train(
    inputs: Sequence[str], out: Path, overrides: Sequence[str], progress: Progress, speech: str | None = None
) -> None:
    """Train a codec on the agent's speech in `speech`, a corpus or a folder of recordings, or on eSpeak NG's voice
    speaking the sentences of dialogue files (default: the bundled ones) and random ones."""
    settings = validated("", CodecTrainSettings, overridden({}, overrides), "request")
    if speech and settings.agent_voice != CodecTrainSettings().agent_voice:
        raise RequestError("agent_voice is for speech by eSpeak NG, and --corpus gives other speech: omit one of them.")
    own = _hold_out(read_voice(speech), settings.seed)[0] if speech else None
    results = list(ingest(inputs or [str(BUNDLED_DIALOGUES)], IngestSettings(), seed=0))
    normalizer, texts = Normalizer(), []
    for turn in (turn for result in results if isinstance(result, Dialogue) for turn in result.turns):
        try:
            texts.append(normalizer(turn.text))
        except Unspeakable:
            continue  # one training sentence less
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        check_voice(settings.agent_voice)
        train_codec(texts, out, settings, speak, voices(), progress, own)
    except ModuleNotFoundError as error:
        raise RequestError(f"Training needs {error.name}: pip install '.[codec]'.") from None
    except ValueError as error:
        raise RequestError(f"{error}.") from None
    except OSError as error:
        raise WorkError(f"The codec could not be written to {out}: {error.strerror or error}.") from error


def score(checkpoint: str, speech: str | None = None) -> dict[str, Any]:
    """Score a codec on unseen sentences: of the agent in `speech`, a corpus or a folder of recordings, or in the voice
    of eSpeak NG that it was trained for (a NeMo codec: in the default agent voice); and across user voices."""
    codec = load_codec(checkpoint)
    own = str(codec.training["agent_voice"]) if isinstance(codec, Codec) else str(DEFAULT_AGENT_VOICE)
    if own.startswith(GIVEN) and not speech:
        raise RequestError(f"The codec {checkpoint} was trained on other speech than eSpeak NG's: name it by --corpus.")
    every = voices()
    users = every[:: len(every) // USER_VOICES_SCORED][:USER_VOICES_SCORED]
    sentences = heldout_sentences()
    try:
        if speech:
            agent = score_speech(codec, _hold_out(read_voice(speech), _seed(codec))[1])
        else:
            agent = score_voice(codec, own, sentences, speak)
        rows = [score_voice(codec, voice, sentences[:5], speak) for voice in users]
    except ModuleNotFoundError as error:
        raise RequestError(f"Scoring needs {error.name}: pip install '.[codec]'.") from None
    user = {key: sum(row[key] for row in rows) / len(rows) for key in ("stoi", "pesq", "mel_distance")}
    user["n"] = sum(row["n"] for row in rows)
    named = {"agent": agent, f"{len(users)} user voices": user}
    return {"voices": named, "bits_per_second": codec.bits_per_second}


def _seed(codec: AnyCodec) -> int:
    """The seed by which sentences were held out in training."""
    facts = codec.training if isinstance(codec, Codec) else {}
    return int(facts.get("personalized", facts).get("seed", 0))


def personalize(
    checkpoint: str, speech: str | Path, out: Path, overrides: Sequence[str], progress: Progress
) -> dict[str, Any]:
    """Train a codec's decoder on the voice in `speech`, and write it to `out` in the codec's own format.

    Some sentences are held out; returns their scores before and after, {"before": …, "after": …}.
    """
    settings = validated("", PersonalizeSettings, overridden({}, overrides), "request")
    utterances = read_voice(speech)
    codec = load_codec(checkpoint)
    suffix = ".safetensors" if isinstance(codec, Codec) else ".nemo"
    if out.suffix != suffix:
        raise RequestError(f"--out {out} must end in {suffix}, the codec's format.")
    training, heldout = _hold_out(utterances, settings.seed)
    if not heldout:
        raise RequestError(
            f"{speech} has {len(utterances)} utterances of one second or more, and at least two are needed; name more speech."
        )
    seconds = sum(len(samples) for samples in training) / TARGET_RATE
    progress(
        0,
        settings.steps,
        f"{len(training)} training utterances, {seconds / 60:.1f} minutes; {len(heldout)} held out",
    )
    try:
        before = score_speech(codec, heldout)
        codes = _codes(codec, heldout)
        train_decoder(codec, training, settings, progress)
        if isinstance(codec, Codec):
            codec.training["personalized"] = asdict(settings) | {"seconds": round(seconds)}
        out.parent.mkdir(parents=True, exist_ok=True)
        codec.save(out)
        written = load_codec(str(out))
        after = score_speech(written, heldout)
    except ModuleNotFoundError as error:
        raise RequestError(f"Scoring needs {error.name}: pip install '.[codec]'.") from None
    except ValueError as error:
        raise RequestError(f"{error}.") from None
    except OSError as error:
        raise WorkError(f"The codec could not be written to {out}: {error.strerror or error}.") from error
    if not torch.equal(codes, _codes(written, heldout)):
        raise WorkError(f"The codes of {out} differ from those of {checkpoint}; do not use it, and report this.")
    return {"before": before, "after": after, "sha256": written.sha256}


def read_voice(place: str | Path) -> dict[str, np.ndarray]:
    """The agent's speech in a corpus, or the recordings in a folder: int16 at 22 050 Hz, each a second or longer.

    The key identifies a sentence: its text if there is one, else its audio.
    """
    store = Store(place)
    found = _recordings(Path(place)) if store.is_local and not store.exists("corpus.json") else _corpus_turns(place)
    utterances = {key: samples for key, samples in found if len(samples) >= TARGET_RATE}
    if not utterances:
        raise RequestError(
            f"{place} has no speech of one second or more; name a corpus, or a folder of WAV or FLAC files."
        )
    return utterances


def _corpus_turns(place: str | Path) -> Iterator[tuple[str, np.ndarray]]:
    corpus = open_corpus(place)
    for split in corpus.splits:
        for cut in corpus.cuts(split):
            channel = to_int16(cut.load_target_audio()[0])
            for turn in cut.supervisions:
                if turn.speaker == "agent" and not turn.cut_off:
                    first, last = (round(seconds * TARGET_RATE) for seconds in (turn.start, turn.end))
                    yield turn.text, channel[first:last]


def _recordings(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    if not path.is_dir():
        raise RequestError(f"{path} is neither a corpus nor a folder of recordings; name one of these.")
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in (".wav", ".flac"):
            try:
                audio, rate = soundfile.read(file, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise RequestError(
                    f"The recording {file} can't be read: {str(error).rstrip('.')}; repair or remove it."
                ) from None
            mono = soxr.resample(audio.mean(axis=1), rate, TARGET_RATE)
            samples = to_int16(mono)
            yield hashlib.sha256(samples.tobytes()).hexdigest(), samples


def _hold_out(utterances: Mapping[str, np.ndarray], seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Holds out a tenth (at least one, at most fifty), by sentence, so that no sentence is on both sides."""
    order = sorted(utterances, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).digest())
    number = min(len(order) - 1, max(1, len(order) // 10), HELD_OUT)
    return [utterances[key] for key in order[number:]], [utterances[key] for key in order[:number]]


def _codes(codec: AnyCodec, utterances: Sequence[np.ndarray]) -> torch.Tensor:
    """The codes of all utterances, concatenated (frames, 4)."""
    frame = codec.frame_samples
    padded = [to_float(np.pad(samples, (0, -len(samples) % frame))) for samples in utterances]
    return torch.cat([codec.encode(torch.from_numpy(samples)[None])[0] for samples in padded])
