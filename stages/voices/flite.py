"""Flite, through the libraries in Debian's package `flite` (BSD-like license of Carnegie Mellon University).

Its voices are small and old, but speech recognizers understand them. They report the end of every phone, and so of
every word."""

import os
import pickle
import subprocess
import sys
from collections.abc import Collection

from manifests.errors import RequestError
from manifests.records import Speech, Voice
from stages.synthesize import Synthesizer, SynthesizerSettings, check_each
from stages.voices.flite_engine import ONE_PITCH, SPEAKERS, FliteVoice, version

MEND = "install Debian's package: apt-get install flite"


def voices() -> list[str]:
    """Many styles for the three speakers that users are drawn from; the first speaker is the agent's."""
    # Low-discrepancy steps, as for eSpeak NG's voices; the speaker's own style comes first.
    own = [FliteVoice(speaker) for speaker in SPEAKERS[1:]]
    varied = [
        FliteVoice(speaker, 100 if speaker == ONE_PITCH else 85 + index * 13 % 31, 86 + index * 17 % 29)
        for speaker in SPEAKERS[1:]
        for index in range(15)
    ]
    return list(map(str, [*own, *varied]))


class FliteSynthesizer(Synthesizer[SynthesizerSettings]):
    """Speaks with flite; voices are strings such as `rms?pitch=110&rate=95`."""

    languages = ("en",)

    @classmethod
    def voices(cls, settings: SynthesizerSettings) -> list[str]:
        return [str(FliteVoice(SPEAKERS[0])), *voices()]

    @classmethod
    def check(cls, settings: SynthesizerSettings) -> None:
        super().check(settings)
        try:
            version()
        except OSError as error:
            raise RequestError(f"The synthesizer flite is not installed ({error}); {MEND}.") from None

    @classmethod
    def check_voices(cls, settings: SynthesizerSettings, voices: Collection[str]) -> None:
        check_each(voices, FliteVoice.parse)

    @classmethod
    def about(cls, settings: SynthesizerSettings, voice: str) -> dict[str, str]:
        source = f"Debian package flite, voice cmu_us_{Voice.parse(voice).speaker}"
        return {"engine": "flite", "source": source, "license": "CMU flite license (BSD-like)"}

    def setup(self) -> None:
        super().setup()
        self.engine = Flite()

    def made_by(self) -> dict[str, str]:
        return super().made_by() | {"engine": "flite", "version": version()}

    def speak(self, text: str, voice: str) -> Speech:
        return self.engine.speak(text, FliteVoice.parse(voice))


class Flite:
    """flite in a separate process: its voices' noise comes from C's rand(), which any thread of this process, such as
    Ray's, may call in between. Not thread-safe."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def speak(self, text: str, voice: FliteVoice) -> Speech:
        """The same text and voice give the same samples, regardless of earlier texts. Raises ValueError if flite
        produces no sound, or crashes on the text twice, and OSError if it can't be run."""
        answer = self._answer(text, voice) or self._answer(text, voice)
        if answer is None:
            raise ValueError(f"flite crashed on {text[:60]!r}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(self, text: str, voice: FliteVoice) -> Speech | ValueError | OSError | None:
        """None if the process has died, for any reason."""
        if self._process is None:
            self._process = _started()
        requests, answers = self._process.stdin, self._process.stdout
        assert requests and answers
        try:
            pickle.dump((text, voice), requests)
            requests.flush()
            answer: Speech | ValueError | OSError = pickle.load(answers)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            self._process.kill()
            self._process.communicate()
            self._process = None
            return None
        return answer


def _started() -> subprocess.Popen[bytes]:
    version()  # raises OSError if flite is not installed
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "stages.voices.flite_engine"]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
