from typing import TypeVar

import pytest

from manifests.records import Dialogue, DuplexDialogue, SpokenDialogue, TokenizedDialogue
from pipeline.recipe import load_recipe
from stages.base import Resources, Settings, Stage, loads, stage_types
from stages.cast import Cast
from stages.schedule import Schedule
from stages.synthesize import Synthesizer, SynthesizerSettings
from stages.tokenize import BundledTokenizer, TokenizeSettings
from stages.voices.espeak import EspeakSynthesizer
from stages.voices.piper import PiperSettings, PiperSynthesizer


class Narrow(Settings):
    band: int = 1


Own = TypeVar("Own", bound=Narrow)


class Filter(Stage[DuplexDialogue, DuplexDialogue, Own]):
    """A custom base class that does not fix its settings."""


class Phone(Filter[Narrow]):
    def setup(self) -> None:
        self.ready = True


class Bare(Phone):
    pass


def test_types_are_read_from_the_arguments_through_subclasses_too():
    assert stage_types(Phone) == stage_types(Bare) == (DuplexDialogue, DuplexDialogue, Narrow)
    assert stage_types(BundledTokenizer) == (DuplexDialogue, TokenizedDialogue, TokenizeSettings)
    assert stage_types(PiperSynthesizer) == (Dialogue, SpokenDialogue, PiperSettings)
    assert stage_types(EspeakSynthesizer).settings is SynthesizerSettings


def test_settings_left_open_are_those_that_the_base_allows():
    class Mine(Synthesizer):
        """A class that adds no settings need not name any."""

    assert stage_types(Filter).settings is Narrow
    assert stage_types(Mine) == (Dialogue, SpokenDialogue, SynthesizerSettings)


def test_a_second_base_does_not_hide_the_stage():
    class Counts:
        pass

    class Both(Counts, Phone):
        pass

    assert stage_types(Both).takes is DuplexDialogue


def test_a_stage_that_leaves_its_records_open_is_rejected():
    class Open(Stage):
        pass

    with pytest.raises(TypeError, match="Open does not declare which records"):
        stage_types(Open)


def test_a_stage_loads_if_it_has_its_own_setup():
    assert loads(Phone) and loads(Bare) and loads(Cast) and not loads(Filter) and not loads(Schedule)


def test_embedded_stages_have_equal_resources_and_run_in_one_process():
    assert {spec.resources for spec in load_recipe().stages} == {Resources()}
