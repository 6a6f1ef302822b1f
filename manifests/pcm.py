"""16-bit samples and floats: one convention, 1.0 = 32 768, so that int16 → float32 → int16 gives the same samples."""

import numpy as np

FULL_SCALE = 32_768


def to_float(samples: np.ndarray) -> np.ndarray:
    """int16 → float32 in [-1, 1), of the same shape."""
    scaled: np.ndarray = samples.astype(np.float32) / np.float32(FULL_SCALE)
    return scaled


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Floats → int16, of the same shape: rounded to the nearest, and clipped outside [-1, 1)."""
    quantized: np.ndarray = np.rint(samples * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return quantized
