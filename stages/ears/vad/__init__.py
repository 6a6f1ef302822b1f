"""Voice activity detection with pyannote.audio: the detector, its bundled checkpoint, and the training."""

from stages.ears.vad.detector import BUNDLED, UnusableModel, VoiceActivity, installed

__all__ = ["BUNDLED", "UnusableModel", "VoiceActivity", "installed"]
