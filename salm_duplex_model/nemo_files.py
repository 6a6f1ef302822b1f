"""NeMo checkpoints: finding the file for a name, reading its configuration, and loading the model.

A name is the path of a `.nemo` file, or a model name on the hub (`owner/model`) or on NGC.
"""

import importlib
import importlib.util
import tarfile
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from manifests.errors import RequestError

_ASR, _TTS = "nemo.collections.asr.models", "nemo.collections.tts.models"


def check_name(name: str, check: Callable[[Path], object], what: str) -> None:
    """Check a setting as far as possible before any work: raises ValueError if NeMo is missing or a file fails `check`.

    Nothing is loaded or downloaded.
    """
    if importlib.util.find_spec("nemo") is None:
        raise ValueError(f"{what} needs nemo_toolkit: pip install '.[nemo]'")
    if is_file_name(name):
        try:
            check(Path(name))
        except RequestError as error:
            raise ValueError(str(error).rstrip(".")) from None


def is_file_name(name: str) -> bool:
    return name.endswith(".nemo")


def is_hub_name(name: str) -> bool:
    return name.count("/") == 1 and not is_file_name(name)


def load_nemo(class_name: str, name: str, **options: Any) -> Any:
    """A NeMo model on the CPU, ready to use; raises `RequestError` if NeMo or the model is not available.

    `options` are those of NeMo's `restore_from` and `from_pretrained`.
    """
    if is_file_name(name) and not Path(name).is_file():
        raise RequestError(f"The NeMo checkpoint {name} does not exist; check the path.")
    kind = _class(class_name, name)
    try:
        load = kind.restore_from if is_file_name(name) else kind.from_pretrained
        return load(name, map_location="cpu", **options).eval()
    except Exception as error:  # NeMo passes on whatever its parts raise
        raise _not_had(name, "loaded", error) from None


@cache
def nemo_file(name: str, class_name: str) -> Path:
    """The `.nemo` file for a name, downloaded if necessary; raises `RequestError` if it is not available."""
    if is_file_name(name):
        return Path(name)
    try:
        if cached := in_hub_cache(name):
            return cached
        return Path(_class(class_name, name).from_pretrained(name, return_model_file=True))
    except RequestError:
        raise
    except Exception as error:  # NeMo passes on whatever its parts raise
        raise _not_had(name, "downloaded", error) from None


def in_hub_cache(name: str) -> Path | None:
    """The `.nemo` file of a hub model, if it was downloaded before."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(name, f"{name.rpartition('/')[2]}.nemo") if is_hub_name(name) else None
    return Path(cached) if isinstance(cached, str) else None


def nemo_config(path: Path) -> dict[str, Any]:
    """The configuration in a `.nemo` file; raises `RequestError` if the file is missing or invalid."""
    try:
        status = path.stat()
    except OSError:
        raise RequestError(f"The NeMo checkpoint {path} does not exist; check the path.") from None
    return _config(path, status.st_size, status.st_mtime_ns)


def check_class(path: Path, class_name: str) -> dict[str, Any]:
    """The configuration of a `.nemo` file; raises `RequestError` if it is a model of another class."""
    config = nemo_config(path)
    if (found := str(config.get("target")).rpartition(".")[2]) != class_name:
        raise RequestError(f"{path} contains {found}, not {class_name}; name another model.")
    return config


@lru_cache(maxsize=64)
def _config(path: Path, size: int, changed: int) -> dict[str, Any]:
    try:
        with tarfile.open(path) as archive:
            member = next((m for m in archive if m.name.removeprefix("./") == "model_config.yaml"), None)
            content = archive.extractfile(member) if member else None
            config = yaml.safe_load(content) if content else None
    except (OSError, tarfile.TarError, yaml.YAMLError):
        config = None
    if not isinstance(config, dict):
        raise RequestError(f"{path} is not a .nemo file, or is damaged; copy it again.")
    return config


def _class(class_name: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(_ASR if class_name == "ASRModel" else _TTS), class_name)
    except ImportError as error:
        raise RequestError(f"The NeMo model {name} needs {error.name}: pip install '.[nemo]'.") from None


def _not_had(name: str, done: str, error: Exception) -> RequestError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return RequestError(
        f"The NeMo model {name} can't be {done} ({reason}); name a .nemo file, or a hub model while online."
    )
