"""Voice activity by pyannote.audio: the detector, its bundled checkpoint, and how that was trained."""

from stages.ears.vad.detector import BUNDLED, UnusableModel, VoiceActivity, installed

__all__ = ["BUNDLED", "UnusableModel", "VoiceActivity", "installed"]
