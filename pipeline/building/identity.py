"""The identity of a build: recipe, inputs and the libraries that the bytes depend on."""

from collections.abc import Mapping
from importlib.metadata import version

from manifests.corpus import FORMAT_VERSION
from pipeline.recipe import Recipe

LIBRARIES = (
    "salm-duplex",
    "espeakng-loader",
    "lhotse",
    "matplotlib",
    "nemo_text_processing",
    "numpy",
    "pyarrow",
    "pynini",
    "pyroomacoustics",
    "scipy",
    "soundfile",
    "soxr",
    "torch",
)
"""The libraries that determine a corpus's bytes, besides the recipe and the input."""


def identity(recipe: Recipe, fingerprints: Mapping[str, str], limit: int | None) -> dict[str, object]:
    return {
        "format_version": FORMAT_VERSION,
        "recipe": recipe.as_dict(),
        "inputs": dict(fingerprints),
        "limit": limit,
        "versions": {name: version(name) for name in LIBRARIES},
    }
