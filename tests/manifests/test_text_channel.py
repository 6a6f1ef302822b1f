import numpy as np
from lhotse import SupervisionSegment

from manifests.text_channel import SpecialTokens, text_channel

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
