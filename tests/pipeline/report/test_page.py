import base64
import io
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import soundfile
import yaml
from corpus_material import make_corpus, rows_of
from hypothesis import given
from hypothesis import strategies as st
from material import make_dialogue

from manifests.pcm import to_int16
from pipeline.report.card import card
from pipeline.report.examples import EXAMPLES, OF_ALL_LENGTHS
from pipeline.report.page import report
from pipeline.report.timeline_layout import CHARACTER, lay_out, place_labels
from pipeline.report.timeline_svg import timeline_svg
from stages.render import Render, RenderSettings


def stat(page: str, name: str) -> str:
    (found,) = re.findall(rf'data-stat="{re.escape(name)}">([^<]*)<', page)
    return found


def test_numbers_are_those_of_the_tables(small_corpus):
    page, rows = report(small_corpus), rows_of(small_corpus.dialogues)
    assert int(stat(page, "dialogues")) == int(stat(page, "train.dialogues")) == len(rows)
    assert int(stat(page, "dialogues_read")) == len(rows) + 1
    assert int(stat(page, "turns")) == sum(row["turns"] for row in rows)
    assert int(stat(page, "barge_ins")) == sum(row["barge_ins"] for row in rows) > 0
    assert int(stat(page, "rejected")) == len(small_corpus.rejected)
    assert stat(page, "hours") == f"{sum(row['duration_s'] for row in rows) / 3600:.2f}"


def test_unused_contents_of_the_input_are_reported(small_corpus):
    assert stat(report(small_corpus), "not_used.tools") == "1"
    assert "| not used: `tools` | 1 |" in card(small_corpus)


def test_the_licenses_of_the_voices_are_named(small_corpus):
    voices = {
        "a": {"engine": "Piper", "license": "CC0-1.0"},
        "b": {"engine": "Piper", "license": "CC0-1.0"},
        "c": {"source": "recordings"},
    }
    spoken = replace(small_corpus, info=small_corpus.info | {"voices": voices})
    assert "Voices: Piper, CC0-1.0.</p>" in report(spoken)
    assert card(spoken).count("The voices are by Piper; their license: CC0-1.0.") == 1


def test_examples_of_all_kinds_have_audio_of_their_full_length(small_corpus):
    page = report(small_corpus)
    sounds = [base64.b64decode(text) for text in re.findall(r"data:audio/mpeg;base64,([^\"]+)", page)]
    assert EXAMPLES >= len(sounds) == page.count('<svg class="timeline"') >= OF_ALL_LENGTHS
    durations = {round(row["duration_s"], 1) for row in rows_of(small_corpus.dialogues)}
    for sound in sounds:
        samples, rate = soundfile.read(io.BytesIO(sound))
        assert samples.shape[1] == 2
        assert any(abs(len(samples) / rate - duration) < 0.2 for duration in durations)


def test_the_same_corpus_gives_the_same_page_and_card(small_corpus):
    assert report(small_corpus) == report(small_corpus)
    assert card(small_corpus) == card(small_corpus)


def test_nothing_is_loaded_from_the_network_and_no_path_or_host_appears(small_corpus):
    page = report(small_corpus)
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert "://" not in page
    assert str(small_corpus.url) not in page + card(small_corpus)


def test_text_is_escaped(small_corpus):
    cut = next(iter(small_corpus.cuts("train")))
    word = cut.supervisions[0].alignment["word"][0]
    cut.supervisions[0].alignment["word"][0] = word._replace(symbol="<script>alert(1)</script>")
    drawing = timeline_svg(lay_out(cut), cut.load_custom("target_codes"))
    assert "<script>" not in drawing
    assert "&lt;script&gt;" in drawing


@given(st.lists(st.tuples(st.floats(0, 500), st.text("abcdef", min_size=1, max_size=12))))
def test_labels_never_overlap(labels):
    placed = place_labels(sorted(labels))
    for row in {row for row, _, _ in placed}:
        own = [(x, text) for number, x, text in placed if number == row]
        assert all(x + CHARACTER * len(text) <= following for (x, text), (following, _) in pairwise(own))


def test_an_empty_corpus_has_a_page_and_a_card(empty_corpus):
    page = report(empty_corpus)
    assert stat(page, "dialogues") == "0"
    assert "speak" in page and "empty" in page
    assert "dialogues | 0" in card(empty_corpus)


def test_the_card_has_a_header_that_hugging_face_reads(small_corpus):
    _, header, body = card(small_corpus).split("---\n", 2)
    facts = yaml.safe_load(header)
    assert facts["language"] == ["en"]
    assert facts["size_categories"] == ["n<1K"]
    assert f"| dialogues | {len(small_corpus.dialogues)} |" in body


def test_the_fixture_has_real_dialogues(small_corpus):
    assert len(small_corpus.dialogues) == 10
    assert replace(make_dialogue("d0")).id == rows_of(small_corpus.dialogues)[0]["id"]


def test_the_effects_on_the_users_channel_are_reported(tmp_path, timelines):
    settings = RenderSettings(echo={"share": 1}, telephone={"share": 1}, room={"share": 1}, noise={"share": 1})
    wild = Render(settings, 0).process(timelines[:2])
    corpus = make_corpus(tmp_path, wild)
    page = report(corpus)
    for record in wild:
        assert f"echo: gain {record.sound.echo.gain}, delay_s" in page
        assert f"noise: {record.noise.kind} at" in page
    assert "| dialogues by telephone | 2 |" in card(corpus)
    assert "| dialogues in a room | 2 |" in card(corpus)
    assert "| dialogues through a codec | 0 |" in card(corpus)
    assert "<h3>Reverberation time</h3>" in page
    (cut,) = corpus.cuts_of(corpus.dialogues.read("id", "split", "shard")[:1]).values()
    record = next(r for r in wild if r.dialogue.id == cut.id)
    assert np.array_equal(to_int16(cut.load_audio()[0]), record.user)
    assert np.array_equal(to_int16(cut.load_target_audio()[0]), record.agent)
