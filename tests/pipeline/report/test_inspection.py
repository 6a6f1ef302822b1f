import numpy as np
import pytest
import soundfile
from corpus_material import rows_of

from manifests.errors import RequestError
from pipeline.report.inspection import cut_as_json, inspect_text, lost_text, write_stereo, write_timeline


@pytest.fixture(scope="module")
def cut(small_corpus):
    """A dialogue with a barge-in."""
    row = next(row for row in rows_of(small_corpus.dialogues) if row["barge_ins"])
    return small_corpus.cut(row["id"])


def test_the_text_shows_who_says_what_and_when_and_what_was_lost(cut):
    text = inspect_text(cut)
    agent = next(s for s in cut.supervisions if s.custom["cut_off"])
    assert f"{agent.start:.2f}" in text
    assert agent.custom["text_heard"] in text
    assert f"[lost: {lost_text(agent)}]" in text
    assert f"{agent.custom['text_heard']} {lost_text(agent)}" == agent.custom["text_full"]
    assert "barge-in" in text


def test_json_has_every_turn_and_word(cut):
    made = cut_as_json(cut)
    assert [t["text"] for t in made["turns"]] == [s.custom["text_heard"] for s in cut.supervisions]
    assert [w["text"] for w in made["turns"][0]["words"]] == cut.supervisions[0].text.split()
    assert made["frames"] * 0.08 == pytest.approx(made["duration_s"])


def test_left_is_the_user_and_right_the_agent(cut, tmp_path):
    write_stereo(cut, tmp_path / "d.wav")
    sound, rate = soundfile.read(tmp_path / "d.wav")
    assert rate == 22_050
    assert len(sound) == round(cut.duration * rate)
    for side, speaker in ((0, "user"), (1, "agent")):
        inside = np.zeros(len(sound), dtype=bool)
        for s in cut.supervisions:
            if s.speaker == speaker:
                inside[int(s.start * rate) - 200 : int(s.end * rate) + 200] = True
        assert np.abs(sound[inside, side]).max() > 0.05
        assert np.abs(sound[~inside, side]).max() < 0.01


def test_the_timeline_is_a_picture_with_something_on_it(cut, tmp_path):
    from matplotlib.image import imread

    write_timeline(cut, tmp_path / "d.png")
    write_timeline(cut, tmp_path / "again.png")
    assert (tmp_path / "d.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    picture = imread(tmp_path / "d.png")
    assert picture.shape[1] > 1_000
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20


def test_an_id_that_does_not_exist_is_reported(small_corpus):
    with pytest.raises(RequestError, match="has no dialogue 'nobody'; ids are like d0"):
        small_corpus.cut("nobody")
    with pytest.raises(RequestError, match="it was rejected: Turn 1"):
        small_corpus.cut("bad")


def test_an_id_in_an_empty_corpus_is_reported(empty_corpus):
    with pytest.raises(RequestError, match="has no dialogue 'nobody'"):
        empty_corpus.cut("nobody")
