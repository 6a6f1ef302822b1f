"""A dialogue's codes as a small image: one row per codebook, one pixel per frame."""

import base64
import io
from typing import Any

import numpy as np
from matplotlib.image import imsave

from manifests.frames import CODEBOOK_SIZE


def codes_png(codes: np.ndarray) -> str:
    """Codes (frames, codebooks) as a PNG of that width and height, in a `data:` URL; equal codes have equal colors."""
    drawn = io.BytesIO()
    # Matplotlib's version would change the bytes.
    metadata: dict[str, Any] = {"Software": None}
    imsave(drawn, codes.T, vmin=0, vmax=CODEBOOK_SIZE - 1, cmap="viridis", format="png", metadata=metadata)
    return f"data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()}"


def packed(codes: np.ndarray) -> str:
    """Codes as base64 of little-endian int16, frame by frame, for the page's script."""
    return base64.b64encode(codes.astype("<i2").tobytes()).decode()
