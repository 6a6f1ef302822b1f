"""One synthesizer for the agent's voice and another for the users'."""

from collections.abc import Collection, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from manifests.records import SPLITS, Speaker, Speech
from stages.base import import_named, stage_types
from stages.synthesize import Request, Synthesizer, SynthesizerSettings

AnySynthesizer = Synthesizer[Any]
Chosen = tuple[type[AnySynthesizer], SynthesizerSettings]


class Engine(BaseModel):
    """A synthesizer and its settings, in the form of `synthesize` itself."""

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str

    def chosen(self, language: str) -> Chosen:
        """The synthesizer, and its settings in the recipe's language; raises ValueError if there is none, or a key is
        invalid."""
        try:
            found = import_named(self.use)
        except ValueError as error:
            raise ValueError(f"'{self.use}' can't be imported: {error}") from error
        if not (isinstance(found, type) and issubclass(found, Synthesizer)) or issubclass(found, MixedSynthesizer):
            raise ValueError(f"'{self.use}' is not a synthesizer, or is itself a mixed one")
        own = self.model_extra or {}
        if own.get("language", language) != language:
            raise ValueError(f"the recipe's language is '{language}' (ingest.language), so omit 'language'")
        try:
            settings = stage_types(found).settings.model_validate(own | {"language": language})
        except ValidationError as error:
            first = error.errors()[0]
            key, message = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
            raise ValueError(f"the key '{key}' of {found.__name__}: {message}") from None
        return found, settings  # type: ignore[return-value]


class MixedSettings(SynthesizerSettings):
    agent: Engine = Field(description="the agent's synthesizer: `use`, and its own keys")
    user: Engine = Field(description="the users' synthesizer: `use`, and its own keys")

    @model_validator(mode="after")
    def _can_be_made(self) -> "MixedSettings":
        for role, engine in (("agent", self.agent), ("user", self.user)):
            try:
                engine.chosen(self.language)
            except ValueError as error:
                raise ValueError(f"'{role}': {error}") from None
        return self

    def engines(self) -> dict[Speaker, Chosen]:
        return {"agent": self.agent.chosen(self.language), "user": self.user.chosen(self.language)}


class MixedSynthesizer(Synthesizer[MixedSettings]):
    """Speaks with two synthesizers. Voices that the agent's synthesizer offers are spoken by it, all others by the
    users'."""

    @classmethod
    def voices(cls, settings: MixedSettings) -> list[str]:
        offered = {role: engine.voices(own) for role, (engine, own) in settings.engines().items()}
        agent, *users = offered["user"]
        # The users' engine's default agent voice is not used for users, if enough other voices remain.
        return [*offered["agent"][:1], *(users if len(users) >= len(SPLITS) else [agent, *users])]

    @classmethod
    def check(cls, settings: MixedSettings) -> None:
        super().check(settings)
        for engine, own in settings.engines().values():
            engine.check(own)

    @classmethod
    def check_voices(cls, settings: MixedSettings, voices: Collection[str]) -> None:
        agents = _agents(settings)
        for role, (engine, own) in settings.engines().items():
            engine.check_voices(own, [voice for voice in voices if _role(voice, agents) == role])

    @classmethod
    def about(cls, settings: MixedSettings, voice: str) -> dict[str, str]:
        engine, own = settings.engines()[_role(voice, _agents(settings))]
        return engine.about(own, voice)

    def setup(self) -> None:
        super().setup()
        # The aligner and the reference are set once, for both.
        shared = {name: value for name in ("aligner", "reference") if (value := getattr(self.settings, name))}
        self._made: dict[Speaker, AnySynthesizer] = {
            role: engine(own.model_copy(update=shared), self.seed)
            for role, (engine, own) in self.settings.engines().items()
        }
        for made in self._made.values():
            made.setup()
        self._agents = _agents(self.settings)

    def made_by(self) -> dict[str, str]:
        return {f"{role} {key}": value for role, made in self._made.items() for key, value in made.made_by().items()}

    def speak_all(self, requests: Sequence[Request]) -> list[Speech | ValueError]:
        spoken: dict[Request, Speech | ValueError] = {}
        for role, made in self._made.items():
            own = [request for request in requests if _role(request[1], self._agents) == role]
            spoken |= zip(own, made.speak_all(own), strict=True)
        return [spoken[request] for request in requests]


def _agents(settings: MixedSettings) -> frozenset[str]:
    """The voices offered by the agent's synthesizer."""
    engine, own = settings.engines()["agent"]
    return frozenset(engine.voices(own))


def _role(voice: str, agents: frozenset[str]) -> Speaker:
    return "agent" if voice in agents else "user"
