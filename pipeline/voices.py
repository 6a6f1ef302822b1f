"""Whether the recipe's stages and voices can be used, and the origin of a voice."""

from collections.abc import Collection

from manifests.errors import RequestError
from manifests.records import Voice
from pipeline.recipe import Recipe
from stages.cast import CastSettings
from stages.synthesize import Synthesizer
from stages.text.languages import ENGLISH, name_of


def check_stages(recipe: Recipe, voices: Collection[str] = ()) -> None:
    """Raise `RequestError` if a stage, or a voice of the recipe or of `voices` (those named in the input), can't be used.

    Called before any work; see `Stage.check` and `Synthesizer.check_voices`.
    """
    wanted = set(voices)
    for spec in recipe.stages:
        spec.stage_class.check(spec.settings)
        if isinstance(spec.settings, CastSettings):
            wanted |= {spec.settings.agent_voice, *spec.settings.user_voices}
    for spec in recipe.stages:
        if issubclass(spec.stage_class, Synthesizer):
            spec.stage_class.check_voices(spec.settings, wanted - {""})
        if getattr(spec.settings, "recognizer", None) == "pocketsphinx" and recipe.language != ENGLISH:
            raise RequestError(
                f"The recipe's {spec.name}.recognizer, pocketsphinx, recognizes only English, but the recipe's language is "
                f"{name_of(recipe.language)} (ingest.language); name a NeMo model of that language."
            )


def about_voice(recipe: Recipe, voice: str) -> dict[str, str]:
    """A voice's origin and license, as far as the recipe's synthesizer knows."""
    if Voice.parse(voice).recorded:
        return {"source": "recordings named in the input"}
    for spec in recipe.stages:
        if issubclass(spec.stage_class, Synthesizer):
            return spec.stage_class.about(spec.settings, voice)
    return {}
