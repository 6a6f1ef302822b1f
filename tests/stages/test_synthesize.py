"""Common to all synthesizers besides speaking turns: a reference of the agent's voice."""

import numpy as np
import pytest
from material import make_dialogue, noise_speech

from manifests.records import Rejected
from pipeline.recipe import load_recipe
from stages.synthesize import Synthesizer, SynthesizerSettings
from stages.voices.espeak import EspeakSynthesizer

REFERENCE = "The agent sounds like this."


def through(records: list, *stages: str, **settings: str) -> list:
    recipe = load_recipe(overrides=[f"synthesize.{key}={value}" for key, value in settings.items()])
    for name in stages:
        records = recipe.stage(name).make(0).process(records)
    return records


def test_the_agents_voice_also_speaks_the_reference():
    dialogues = [make_dialogue("d0"), make_dialogue("d1")]
    spoken = through(dialogues, "speak", "cast", "synthesize", reference=REFERENCE)
    stage = EspeakSynthesizer(SynthesizerSettings(), 0)
    stage.setup()
    for one, rendered in zip(spoken, through(spoken, "schedule", "render"), strict=True):
        expected = stage.speak(REFERENCE, one.dialogue.turns[1].voice)
        assert np.array_equal(one.reference.samples, expected.samples)
        # As loud as the agent in the dialogue, with nothing else changed.
        level = 20 * np.log10(np.sqrt(np.mean(np.square(rendered.reference / 32768))))
        assert level == pytest.approx(-21.5, abs=0.1)
        assert np.corrcoef(rendered.reference, expected.samples)[0, 1] > 0.9999


def test_without_one_there_is_none():
    (rendered,) = through([make_dialogue()], "speak", "cast", "synthesize", "schedule", "render")
    assert rendered.reference is None


class Choosy(Synthesizer):
    """Speaks all but one text."""

    def speak(self, text, voice):
        if text == REFERENCE:
            raise ValueError("the voice knows no such words")
        return noise_speech(1, 2)


def test_a_voice_that_cannot_say_it_rejects_the_dialogue():
    stage = Choosy(SynthesizerSettings(reference=REFERENCE), 0)
    stage.setup()
    (rejected,) = stage.process(through([make_dialogue()], "speak", "cast"))
    assert isinstance(rejected, Rejected) and rejected.reason == "synthesis_failed"
    assert rejected.message == "The agent's reference could not be spoken: the voice knows no such words."
