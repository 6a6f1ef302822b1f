"""Frame arithmetic, in whole samples and whole frames.

One frame lasts 80 ms in both channels: 1 280 samples of the user's 16 kHz channel, 1 764 of the agent's 22.05 kHz
channel. The two rates coincide only on frame boundaries (and every 1/50 s), so a position is kept in samples of
its own channel and converted with integers; seconds are used only where Lhotse requires them and are never accumulated.
"""

SOURCE_RATE = 16_000
TARGET_RATE = 22_050
SOURCE_FRAME = 1_280
TARGET_FRAME = 1_764
FRAMES_PER_SECOND = 12.5
FRAME_SECONDS = 0.08

CODEBOOKS = 4
FSQ_LEVELS = (9, 8, 8, 7)
CODEBOOK_SIZE = 4_032


def frames_to_cover(samples: int, frame: int) -> int:
    """The smallest number of frames of `frame` samples that cover `samples` samples."""
    return -(-samples // frame)


def nearest_frame(samples: int, frame: int) -> int:
    """The frame boundary nearest to a sample, halves upward: the rule of Lhotse's `compute_num_frames`."""
    return (samples + frame // 2) // frame


def frame_at(seconds: float) -> int:
    """The frame whose start is nearest to a time, as in NeMo."""
    return nearest_frame(to_samples(seconds, SOURCE_RATE), SOURCE_FRAME)


def convert(samples: int, rate: int, to_rate: int) -> int:
    """A position in samples of `rate`, as the last sample of `to_rate` at or before it."""
    return samples * to_rate // rate


def convert_up(samples: int, rate: int, to_rate: int) -> int:
    """A position or length in samples of `rate`, as the first sample of `to_rate` at or after it."""
    return -(-samples * to_rate // rate)


def to_samples(seconds: float, rate: int) -> int:
    """A user-specified duration, in samples; converted once, on input."""
    return round(seconds * rate)
