import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.records import Voice, join_voices, split_voices

names = st.text(st.characters(exclude_characters="?:", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name != "recording"
)


@pytest.mark.parametrize(
    ("text", "voice"),
    [
        ("en-gb+f3?pitch=55&range=50&rate=170", Voice("en-gb+f3", "pitch=55&range=50&rate=170")),
        ("alloy", Voice("alloy")),
        ("crowd#3", Voice("crowd#3")),
        ("recording:anna", Voice("anna", recorded=True)),
        ("recording", Voice("", recorded=True)),
    ],
)
def test_a_voice_has_a_string_form(text, voice):
    assert Voice.parse(text) == voice and str(voice) == text


@given(st.builds(Voice, names, st.text(), st.just(False)) | st.builds(Voice, st.text(), recorded=st.just(True)))
def test_any_voice_comes_back_from_its_string_form(voice):
    assert Voice.parse(str(voice)) == voice


def test_a_style_of_whole_numbers():
    assert Voice.parse("slt?pitch=110&rate=95").numbers() == {"pitch": 110, "rate": 95}
    assert Voice.parse("slt").numbers() == {}
    for wrong in ("slt?pitch", "slt?pitch=high", "slt?pitch=1.5"):
        with pytest.raises(ValueError):
            Voice.parse(wrong).numbers()


@given(st.sets(names))
def test_voices_in_one_value_of_a_table_come_back_commas_and_all(voices):
    assert split_voices(join_voices(voices)) == sorted(voices)


def test_embedded_voices_are_unchanged_in_tables():
    assert join_voices(["rms?pitch=100&rate=95", "en-gb+f3?pitch=55"]) == "en-gb+f3?pitch=55,rms?pitch=100&rate=95"
