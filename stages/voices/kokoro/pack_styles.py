"""Make `styles.npz` from npm's package `kokoro-js`, which contains Kokoro-82M's style vectors (Apache-2.0).

npm pack kokoro-js@1.2.1
python -m stages.voices.kokoro.pack_styles kokoro-js-1.2.1.tgz
"""

import hashlib
import sys
import tarfile
from pathlib import Path

import numpy as np

from stages.voices.kokoro.styles import STYLES

SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
"""SHA-256 of the package from which the styles were made."""
ENGLISH = ("af", "am", "bf", "bm")
LENGTHS, SIZE = 510, 256
RANK = 8
"""With this rank, no number of a style differs by more than 0.001 from the product; their standard deviation is 0.19."""


def factors(style: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best approximation with this rank: float32 (510, rank) and (rank, 256)."""
    left, strengths, right = np.linalg.svd(style.astype(np.float64), full_matrices=False)
    return (left[:, :RANK] * strengths[:RANK]).astype(np.float32), right[:RANK].astype(np.float32)


def styles_of(package: Path) -> dict[str, np.ndarray]:
    """The English styles in a package, float32 (510, 256) each."""
    with tarfile.open(package) as archive:
        files = {
            Path(member.name).stem: archive.extractfile(member) for member in archive if member.name.endswith(".bin")
        }
        return {
            name: np.frombuffer(file.read(), "<f4").reshape(LENGTHS, SIZE)
            for name, file in sorted(files.items())
            if file and name.startswith(ENGLISH)
        }


def main(package: Path) -> None:
    if hashlib.sha256(package.read_bytes()).hexdigest() != SHA256:
        sys.exit(f"{package} is not kokoro-js 1.2.1: its SHA-256 is not {SHA256}.")
    styles = styles_of(package)
    curves, directions = zip(*map(factors, styles.values()), strict=True)
    error = max(np.abs(c @ d - s).max() for c, d, s in zip(curves, directions, styles.values(), strict=True))
    np.savez(STYLES, names=np.array(list(styles)), curves=np.stack(curves), directions=np.stack(directions))
    print(f"{len(styles)} styles, {STYLES.stat().st_size / 1e6:.2f} MB, largest error {error:.1e}: {STYLES}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
