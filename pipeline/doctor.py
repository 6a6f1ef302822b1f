"""Which components are usable here: tried, not assumed."""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One component: whether it works here, and what was found or how to get it."""

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
        _try("bundled codec", "tokenize", _codec),
        _try("text normaliser", "speak", _normaliser),
        _try("Ray Data", "build", _ray),
        _try("Lhotse", "pack", lambda: f"lhotse {version('lhotse')}"),
        _try("model and trainer", "train", _model),
        _try("pyannote.audio", "verify.vad (some 150 MB beside torch)", _pyannote, extra="pyannote"),
        _try(
            "pocketsphinx",
            "verify.recognizer, evaluate --asr; it understands flite's and natural voices, eSpeak NG hardly",
            _pocketsphinx,
            extra="asr",
        ),
        _try("LoRA", "train with model.lora", lambda: f"peft {version('peft')}", extra="lora"),
        _try("codec training texts", "codec train", lambda: f"wordfreq {version('wordfreq')}", extra="codec"),
        _try(
            "STOI and PESQ", "codec score", lambda: f"pystoi {version('pystoi')}, pesq {version('pesq')}", extra="codec"
        ),
        _try(
            "NeMo",
            "NeMo encoders in train, NeMo ASR in verify.recognizer and evaluate --asr, and NeMo's own trainer",
            lambda: _package("nemo_toolkit", "nemo"),
            extra="nemo",
        ),
        _try("GPU", "larger models; nothing here needs one", _gpu, extra=""),
    ]


def _try(component: str, purpose: str, check: Callable[[], str], extra: str | None = None) -> Finding:
    """`extra` None: an embedded default. A name: `pip install '.[NAME]'` brings it. Empty: nothing to install."""
    try:
        return Finding(component, True, extra is None, purpose, check())
    except PackageNotFoundError as error:
        mend = f"pip install '.[{extra}]'" if extra else "pip install ."
        return Finding(component, False, extra is None, purpose, f"{error.name} is not installed: {mend}")
    except Exception as error:  # whatever a component raises is what there is to report
        return Finding(component, False, extra is None, purpose, " ".join(str(error).split()) or type(error).__name__)


def _espeak() -> str:
    from stages.espeak import DEFAULT_AGENT_VOICE, Espeak, voices

    samples, words = Espeak().speak("Can you hear me?", DEFAULT_AGENT_VOICE)
    return f"spoke {len(words)} words in {len(samples) / 22_050:.2f} s; {len(voices())} user voices"


def _codec() -> str:
    import torch

    from salm_duplex_model.codec import Codec

    codec = Codec.bundled()
    codes = codec.encode(torch.zeros(1, 1_764 * 5))
    return f"coded 5 frames as {tuple(codes.shape[1:])} codes; sha256 {codec.sha256[:12]}"


def _normaliser() -> str:
    from stages.normalise import Normaliser

    return f"reads '$5' as '{Normaliser()('$5')}'"


def _model() -> str:
    from salm_duplex_model.config import ModelConfig, preset_names
    from salm_duplex_model.model import build_model, parameters_by_part

    model, tokenizer = build_model(ModelConfig())
    size = sum(every for every, _ in parameters_by_part(model).values()) / 1e6
    return f"made a model of {size:.1f} M parameters, {tokenizer.size} tokens; presets {', '.join(preset_names())}"


def _pyannote() -> str:
    found = f"pyannote.audio {version('pyannote.audio')}"
    from stages.espeak import DEFAULT_AGENT_VOICE, RATE, Espeak
    from stages.vad import VoiceActivity

    samples, _ = Espeak().speak("Can you hear me?", DEFAULT_AGENT_VOICE)
    heard = sum(end - start for start, end in VoiceActivity().speech(samples, RATE))
    return (
        f"{found}; the bundled model heard {heard:.2f} of {len(samples) / RATE:.2f} s of speech. pyannote/segmentation-3.0 "
        "(6 MB) wants its terms accepted on huggingface.co and HF_TOKEN set, or its downloaded file's path"
    )


def _pocketsphinx() -> str:
    return f"pocketsphinx {version('pocketsphinx')}"


def _ray() -> str:
    importlib.import_module("ray.data")
    return f"ray {version('ray')}"


def _package(distribution: str, module: str) -> str:
    found = f"{distribution} {version(distribution)}"
    if importlib.util.find_spec(module) is None:
        raise RuntimeError(f"{distribution} is installed, but its module {module} is not there; install it again")
    return found


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError("torch sees no CUDA device")
    return torch.cuda.get_device_name()
