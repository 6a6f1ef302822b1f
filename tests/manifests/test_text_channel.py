import numpy as np
import pytest
from lhotse import SupervisionSegment
from lhotse.supervision import AlignmentItem

from manifests.errors import RequestError
from manifests.text_channel import SpecialTokens, text_channel, text_for_frames

SPECIAL = SpecialTokens(pad=0, bos=1, eos=2)


def turn(speaker: str, start: float, duration: float, text: str) -> SupervisionSegment:
    return SupervisionSegment("s", "r", start, duration, text=text, speaker=speaker)


def letters(text: str) -> list[int]:
    return [ord(c) for c in text]


def test_bos_tokens_pad_eos():
    channel = text_channel(
        [turn("agent", 0.16, 0.48, "ab"), turn("user", 0, 0.16, "xyz")], 10, "agent", letters, SPECIAL
    )
    assert channel.tokens.tolist() == [0, 0, 1, 97, 98, 0, 0, 0, 2, 0]
    assert channel.cut_tokens == 0


def test_times_go_to_the_nearest_frame():
    # 0.119 s is nearer to frame 1 (0.08 s), 0.121 s to frame 2; the end at 0.361 s is nearest to frame 5.
    early = text_channel([turn("user", 0.119, 0.242, "")], 8, "user", letters, SPECIAL).tokens
    late = text_channel([turn("user", 0.121, 0.240, "")], 8, "user", letters, SPECIAL).tokens
    assert (early.tolist(), late.tolist()) == ([0, 1, 0, 0, 0, 2, 0, 0], [0, 0, 1, 0, 0, 2, 0, 0])


def test_tokens_that_do_not_fit_before_eos_are_cut_and_counted():
    channel = text_channel([turn("agent", 0, 0.24, "abcdef")], 8, "agent", letters, SPECIAL)
    assert channel.tokens.tolist() == [1, 97, 98, 2, 0, 0, 0, 0]
    assert channel.cut_tokens == 4


def test_a_turn_that_lasts_to_the_end_has_no_eos():
    channel = text_channel([turn("agent", 0.16, 0.16, "a")], 4, "agent", letters, SPECIAL)
    assert np.array_equal(channel.tokens, [0, 0, 1, 97])


def test_a_turn_that_is_cut_off_has_the_tokens_of_its_whole_text_up_to_eos():
    cut = turn("agent", 0, 0.32, "ab")
    cut.custom = {"text_full": "abcdef", "text_heard": "a", "cut_off": True}
    channel = text_channel([cut], 8, "agent", letters, SPECIAL)
    assert channel.tokens.tolist() == [1, 97, 98, 99, 2, 0, 0, 0]
    assert channel.cut_tokens == 3


def test_by_words_a_words_tokens_stand_from_where_it_is_heard():
    spoken = turn("agent", 0.16, 1.2, "ab c de")
    times = [("ab", 0.16, 0.3), ("c", 0.8, 0.1), ("de", 0.9, 0.3)]
    spoken.alignment = {"word": [AlignmentItem(*word) for word in times]}
    laid_out = text_channel([spoken], 20, "agent", letters, SPECIAL, "word").tokens.tolist()
    space, a, b, c, d, e = map(ord, " abcde")
    #                                             c and its space take two frames, so that "de" comes a frame late
    assert laid_out == [0, 0, 1, a, b, 0, 0, 0, 0, 0, space, c, space, d, e, 0, 0, 2, 0, 0]


def test_by_words_the_word_that_a_cut_falls_into_is_laid_out():
    """It has begun before; left out, it would tell of the cut."""
    cut = turn("agent", 0, 0.8, "a b")
    cut.alignment = {"word": [AlignmentItem("a", 0, 0.2)]}
    cut.custom = {"cut_word": ["b", 0.4], "text_full": "a b", "text_heard": "a", "cut_off": True}
    tokens = text_channel([cut], 12, "agent", letters, SPECIAL, "word").tokens
    assert tokens.tolist() == [1, ord("a"), 0, 0, 0, ord(" "), ord("b"), 0, 0, 0, 2, 0]


def test_by_words_a_turn_needs_word_times():
    with pytest.raises(RequestError, match="no word times"):
        text_channel([turn("agent", 0, 0.8, "a b")], 12, "agent", letters, SPECIAL, "word")


@pytest.mark.parametrize(
    ("least", "most", "kept"),
    [
        (3, 20, "one two, three four."),  # it fits
        (3, 6, "one two, three four."),
        (3, 5, "one two, three"),  # half-way
        (3, 4, "one two,"),
        (2, 2, "one two,"),  # more than fits, since the onset comes first
        (1, 1, "one"),
    ],
)
def test_text_for_frames(least, most, kept):
    assert text_for_frames("one two, three four.", least, most) == kept
