"""One synthesizer for the agent's voice and another for the users'."""

import importlib
from collections.abc import Collection, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from manifests.records import Speaker, Speech
from stages.base import stage_types
from stages.synthesize import Request, Synthesizer, SynthesizerSettings

AnySynthesizer = Synthesizer[Any]


class Engine(BaseModel):
    """A synthesizer and its settings, written as `synthesize` itself is."""

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str

    @model_validator(mode="after")
    def _can_be_made(self) -> "Engine":
        self.settings()
        return self

    def synthesizer(self) -> type[AnySynthesizer]:
        """Raises ValueError where `use` names none."""
        module, _, name = self.use.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except Exception as error:  # a user's own module may raise anything
            raise ValueError(f"'{self.use}' can't be imported: {type(error).__name__}: {error}") from error
        if not (isinstance(found, type) and issubclass(found, Synthesizer)) or issubclass(found, MixedSynthesizer):
            raise ValueError(f"'{self.use}' is not a synthesizer of one kind of voices")
        return found

    def settings(self) -> SynthesizerSettings:
        """Raises ValueError where a key is wrong."""
        synthesizer = self.synthesizer()
        try:
            return stage_types(synthesizer).settings.model_validate(self.model_extra or {})  # type: ignore[return-value]
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            message = first["msg"].removeprefix("Value error, ")
            raise ValueError(f"the key '{key}' of {synthesizer.__name__}: {message}") from None


class MixedSettings(SynthesizerSettings):
    agent: Engine = Field(description="the agent's synthesizer: `use`, and its own keys")
    user: Engine = Field(description="the users' synthesizer: `use`, and its own keys")


class MixedSynthesizer(Synthesizer[MixedSettings]):
    """Speaks with two synthesizers. A voice that the agent's one offers is its own; all others are the users'."""

    @classmethod
    def voices(cls, settings: MixedSettings) -> list[str]:
        agent, user = settings.agent, settings.user
        return [
            *agent.synthesizer().voices(agent.settings())[:1],
            *user.synthesizer().voices(user.settings()),
        ]

    @classmethod
    def check(cls, settings: MixedSettings) -> None:
        super().check(settings)
        for engine in _engines(settings).values():
            engine.synthesizer().check(engine.settings())

    @classmethod
    def check_voices(cls, settings: MixedSettings, voices: Collection[str]) -> None:
        for role, engine in _engines(settings).items():
            own = [voice for voice in voices if _role_of(settings, voice) == role]
            engine.synthesizer().check_voices(engine.settings(), own)

    @classmethod
    def about(cls, settings: MixedSettings, voice: str) -> dict[str, str]:
        engine = _engines(settings)[_role_of(settings, voice)]
        return engine.synthesizer().about(engine.settings(), voice)

    def setup(self) -> None:
        super().setup()
        # The aligner and the reference are named once, for both.
        shared = {name: value for name in ("aligner", "reference") if (value := getattr(self.settings, name))}
        self._made: dict[Speaker, AnySynthesizer] = {
            role: engine.synthesizer()(engine.settings().model_copy(update=shared), self.seed)
            for role, engine in _engines(self.settings).items()
        }
        for made in self._made.values():
            made.setup()

    def made_by(self) -> dict[str, str]:
        return {f"{role} {key}": value for role, made in self._made.items() for key, value in made.made_by().items()}

    def speak_all(self, requests: Sequence[Request]) -> list[Speech | ValueError]:
        spoken: dict[Request, Speech | ValueError] = {}
        for role, made in self._made.items():
            own = [request for request in requests if _role_of(self.settings, request[1]) == role]
            spoken |= zip(own, made.speak_all(own), strict=True)
        return [spoken[request] for request in requests]


def _engines(settings: MixedSettings) -> dict[Speaker, Engine]:
    return {"agent": settings.agent, "user": settings.user}


def _role_of(settings: MixedSettings, voice: str) -> Speaker:
    agent = settings.agent
    return "agent" if voice in agent.synthesizer().voices(agent.settings()) else "user"
