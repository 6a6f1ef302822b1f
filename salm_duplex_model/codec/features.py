"""Mel spectra, for the encoder's input, the training loss and the score."""

import torch
from torch import Tensor, nn


class MelSpectrogram(nn.Module):
    """Mel bands of the magnitudes of a Hann-windowed STFT, scaled so that a full-scale sine is 0.5."""

    window: Tensor
    bank: Tensor

    def __init__(self, sample_rate: int, n_fft: int, hop: int, bands: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        window = torch.hann_window(n_fft)
        self.register_buffer("window", window / window.sum(), persistent=False)
        self.register_buffer("bank", mel_filters(sample_rate, n_fft, bands), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Audio (B, samples) → magnitudes (B, samples / hop, bands); window k is centered on the middle of hop k."""
        margin = (self.n_fft - self.hop) // 2
        padded = nn.functional.pad(audio, (margin, self.n_fft - self.hop - margin))
        spectrum = torch.view_as_real(torch.fft.rfft(padded.unfold(-1, self.n_fft, self.hop) * self.window))
        # The small constant keeps the gradient finite where the magnitude is zero.
        return (spectrum.square().sum(-1) + 1e-12).sqrt() @ self.bank


def mel_filters(sample_rate: int, n_fft: int, bands: int) -> Tensor:
    """Triangular filters (n_fft/2+1, bands), evenly spaced in mel (HTK formula), each with weights that sum to 1."""
    top = 2595 * torch.log10(torch.tensor(1 + sample_rate / 2 / 700))
    edges = 700 * (10 ** (torch.linspace(0, 1, bands + 2) * top / 2595) - 1)
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = torch.minimum(rising, falling).clamp(min=0)
    # A low band can be narrower than the bin spacing: it uses the nearest bin.
    nearest = nn.functional.one_hot((bins - edges[1:-1]).abs().argmin(0), len(bins)).T.float()
    weights = torch.where(weights.sum(0) > 0, weights, nearest)
    return weights / weights.sum(0)
