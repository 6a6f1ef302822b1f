"""The training loss: mel spectra at several resolutions, so that no window length hides an error."""

import torch
from torch import Tensor, nn

from salm_duplex_model.codec.features import MelSpectrogram

_RESOLUTIONS = ((2048, 160), (1024, 80), (512, 40))
_FLOOR = 1e-5
"""Magnitudes below this count as silence: about −72 dBFS of white noise, in a window of 1 024 samples."""


class SpectralLoss(nn.Module):
    """L1 of log-mel magnitudes and of their square roots, averaged over resolutions."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.spectra = nn.ModuleList(
            MelSpectrogram(sample_rate, n_fft, n_fft // 4, bands) for n_fft, bands in _RESOLUTIONS
        )

    def forward(self, decoded: Tensor, audio: Tensor) -> Tensor:
        """Both (B, samples) → a scalar."""
        total = audio.new_zeros(())
        for spectrum in self.spectra:
            mel = spectrum(decoded).clamp(min=_FLOOR)
            with torch.no_grad():
                true_mel = spectrum(audio).clamp(min=_FLOOR)
            # The logarithm weighs quiet and loud parts equally; the square root emphasizes loud ones.
            total = total + (mel.log() - true_mel.log()).abs().mean() + 5 * (mel.sqrt() - true_mel.sqrt()).abs().mean()
        return total / len(self.spectra)
