"""Speech from any server with OpenAI's `/v1/audio/speech`: OpenAI itself, or one of the many that speak its protocol.

Requests to a busy server are retried. Speech is cached, so a resumed build requests, and pays for, nothing twice.
"""

import io
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import soundfile
from pydantic import Field, model_validator

from manifests.endpoint import KEY, Endpoint, NoAnswer, check_address, patience
from manifests.errors import RequestError, WorkError
from manifests.files import cache_folder
from manifests.records import Speech
from stages.base import Resources
from stages.synthesize import Request
from stages.voices.engine import EngineSettings, EngineSynthesizer


class SpeechServerSettings(EngineSettings):
    url: str = Field(default="https://api.openai.com/v1", description="the server's base URL")
    model: str = Field(default="gpt-4o-mini-tts", description="the model's name on the server")
    voices: list[str] = Field(
        default=["alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse"],
        min_length=1,
        description="the server's voices: the agent's first, then the users'",
    )
    instructions: str = Field(default="", description="how to speak, if the model takes instructions")
    speed: float = Field(default=1, ge=0.25, le=4)
    response_format: Literal["wav", "pcm"] = "wav"
    pcm_rate: int = Field(
        default=24_000, ge=8_000, le=48_000, description="the sample rate of the format `pcm`, which has no header"
    )
    key_env: str = Field(default=KEY, description="the environment variable that holds the key, if any")
    # These settings do not affect the corpus's content.
    at_once: int = Field(default=4, ge=1, le=256, exclude=True, description="concurrent requests per worker")
    per_minute: float | None = Field(
        default=None, gt=0, exclude=True, description="maximum number of requests per minute"
    )
    timeout_s: float = Field(default=60, gt=0, exclude=True, description="timeout of a request in seconds")
    retries: int = Field(default=6, ge=0, le=20, exclude=True)
    back_off_s: float = Field(
        default=0.5, ge=0, exclude=True, description="seconds before the second retry; doubles each time"
    )
    cache: str = Field(
        default_factory=lambda: cache_folder("speech"), exclude=True, description="a folder in which speech is cached"
    )

    @model_validator(mode="after")
    def _address_without_secrets(self) -> "SpeechServerSettings":
        # Validates the model rather than the field, whose value, possibly with a key in it, would be shown in the error.
        check_address(self.url)
        return self


class SpeechServerSynthesizer(EngineSynthesizer[SpeechServerSettings]):
    """Speak every turn with a server; voices are the server's own names. Each worker requests `at_once` turns at a
    time."""

    resources = Resources(cpus=0.1, concurrency=1)

    @classmethod
    def voices(cls, settings: SpeechServerSettings) -> list[str]:
        return list(settings.voices)

    @classmethod
    def check_voices(cls, settings: SpeechServerSettings, voices: Collection[str]) -> None:
        """Lets every voice say one word, which is cached, so that a wrong key, model or voice is detected before any
        work."""
        stage = cls(settings.model_copy(update={"aligner": ""}), 0)
        stage.setup()
        ordered = sorted(voices)
        try:
            results = stage.speak_all([("Hello.", voice) for voice in ordered])
        except WorkError as error:
            raise RequestError(str(error)) from None
        except OSError as error:
            raise RequestError(
                f"The speech cache {settings.cache} can't be written ({error.strerror}); name another folder in "
                "synthesize.cache."
            ) from None
        for voice, result in zip(ordered, results, strict=True):
            if isinstance(result, ValueError):
                raise RequestError(f"The voice '{voice}' can't be used: {result}.")

    @classmethod
    def about(cls, settings: SpeechServerSettings, voice: str) -> dict[str, str]:
        return {"engine": settings.model, "source": settings.url, "license": settings.license}

    def setup(self) -> None:
        super().setup()
        settings = self.settings
        self._endpoint = Endpoint(
            settings.url,
            "speech server",
            f"check synthesize.url, synthesize.model and the key in {settings.key_env}",
            patience(settings.retries, settings.back_off_s),
            settings.timeout_s,
            settings.key_env,
            settings.at_once,
        )
        self._pace = _Pace(settings.per_minute)

    def speak_all(self, requests: Sequence[Request]) -> list[Speech | ValueError]:
        """Raises `WorkError` if the server fails, rather than a text: it can't be reached, or rejects all requests."""
        with ThreadPoolExecutor(self.settings.at_once) as pool:
            tasks = [pool.submit(super(SpeechServerSynthesizer, self).speak_all, [request]) for request in requests]
            try:
                results = [result for task in tasks for result in task.result()]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        failures = [result for result in results if isinstance(result, ValueError)]
        if len(failures) == len(results) > 1:
            raise WorkError(f"The speech server at {self.settings.url} returns no speech: {failures[0]}.")
        return results

    def utter(self, text: str, voice: str) -> tuple[np.ndarray, int, Mapping[int, int] | None]:
        settings = self.settings
        body: dict[str, str | float] = {
            "model": settings.model,
            "input": text,
            "voice": voice,
            "response_format": settings.response_format,
        }
        body |= {"speed": settings.speed} if settings.speed != 1 else {}
        body |= {"instructions": settings.instructions} if settings.instructions else {}
        self._pace.wait()
        try:
            return *self._sound(self._endpoint.post("audio/speech", body)), None
        except NoAnswer as error:
            raise ValueError(f"the speech server {error.reason}") from None

    def _sound(self, data: bytes) -> tuple[np.ndarray, int]:
        if self.settings.response_format == "pcm":
            return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.int16), self.settings.pcm_rate
        try:
            samples, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError):
            raise ValueError("the speech server's answer is not a WAV file") from None
        return np.ascontiguousarray(samples[:, 0]), int(rate)


class _Pace:
    """Limits the requests per minute. Retries are not counted, since they wait anyway."""

    def __init__(self, per_minute: float | None) -> None:
        self._step = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + self._step
        time.sleep(begin - now)
