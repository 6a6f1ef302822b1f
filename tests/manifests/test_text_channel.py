import numpy as np
import pytest
from lhotse import SupervisionSegment
from lhotse.supervision import AlignmentItem

from manifests.errors import RequestError
from manifests.records import TokenizedDialogue
from manifests.shards import build_cut
from manifests.text_channel import SpecialTokens, text_channel, text_for_frames, user_text_channel

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


def test_with_word_alignment_a_words_tokens_start_when_it_is_heard():
    spoken = turn("agent", 0.16, 1.2, "ab c de")
    times = [("ab", 0.16, 0.3), ("c", 0.8, 0.1), ("de", 0.9, 0.3)]
    spoken.alignment = {"word": [AlignmentItem(*word) for word in times]}
    laid_out = text_channel([spoken], 20, "agent", letters, SPECIAL, "word").tokens.tolist()
    space, a, b, c, d, e = map(ord, " abcde")
    #                                             c and its space take two frames, so "de" comes a frame late
    assert laid_out == [0, 0, 1, a, b, 0, 0, 0, 0, 0, space, c, space, d, e, 0, 0, 2, 0, 0]


def test_by_words_the_word_that_a_cut_falls_into_is_laid_out():
    """It started before the cut; leaving it out would reveal the cut."""
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


def user_turn(start: float, end: float, *words: tuple[str, float, float], event: str = "turn") -> SupervisionSegment:
    """Words as (symbol, start, end)."""
    said = turn("user", start, round(end - start, 8), " ".join(word for word, *_ in words))
    said.alignment = {"word": [AlignmentItem(w, a, round(b - a, 8)) for w, a, b in words]}
    said.custom = {"event": event}
    return said


def user_layout(*turns: SupervisionSegment, frames: int = 20, delay: int = 0) -> list[int]:
    return user_text_channel(turns, frames, letters, SPECIAL, delay).tokens.tolist()


def test_a_users_word_is_laid_out_after_it_was_heard():
    # It starts in frame 1 and ends in frame 8; "hi" ends within frame 3, "you" exactly with frame 8.
    said = user_turn(0.1, 0.72, ("Hi", 0.1, 0.3), ("you!", 0.5, 0.72))
    space, h, i, y, o, u = map(ord, " hiyou")
    assert user_layout(said) == [0, 0, 1, 0, h, i, 0, 0, 0, space, y, o, u, 2, 0, 0, 0, 0, 0, 0]
    assert user_layout(said, turn("agent", 0, 1.6, "oh"), delay=2)[:17] == [0, 0, *user_layout(said)[:15]]


def test_tokens_whose_frame_is_taken_wait_in_order():
    late = [user_turn(0, 0.08, ("abc", 0, 0.08)), user_turn(0.16, 0.32, ("d", 0.16, 0.32), event="backchannel")]
    a, b, c, d = map(ord, "abcd")
    #                              the first turn's EOS, the second's BOS, and "d" come late; EOS too
    assert user_layout(*late, frames=10) == [0, 1, a, b, c, 2, 1, d, 2, 0]
    short = user_text_channel(late, 7, letters, SPECIAL)
    assert short.tokens.tolist() == [0, 1, a, b, c, 2, 1] and short.cut_tokens == 2


@pytest.mark.parametrize("event", ["backchannel", "false_start", "side_talk", "barge_in"])
def test_all_user_speech_is_laid_out_in_the_same_way(event):
    assert user_layout(user_turn(0, 0.3, ("Um,", 0, 0.3), event=event)) == user_layout(
        user_turn(0, 0.3, ("um", 0, 0.3))
    )


def test_a_user_s_turn_needs_word_times():
    with pytest.raises(RequestError, match=r"no word times; train with model\.user_text=false"):
        user_text_channel([turn("user", 0, 0.8, "a b")], 12, letters, SPECIAL)
    assert user_layout(turn("user", 0.08, 0.16, ""), frames=5) == [0, 0, 1, 2, 0]


@pytest.mark.parametrize("delay", [0, 1])
def test_the_users_channel_holds_nothing_that_has_not_been_heard(timelines, delay):
    """Truncated at any frame, the user's speech gives the same channel up to there, except for EOS, which is not read
    back."""
    random = np.random.default_rng(0)
    differing = 0

    def initials(text: str) -> list[int]:
        return [ord(word[0]) for word in text.split()]

    for timeline in timelines[:4]:
        silence, codes = np.zeros(0, np.int16), np.zeros((timeline.frames, 4), np.int16)
        whole = build_cut(TokenizedDialogue(timeline, silence, silence, codes=codes), {}).supervisions
        for moment in random.uniform(0, timeline.frames, 20).astype(int):
            heard = [part for s in whole if s.speaker == "user" and (part := until(s, moment * 0.08)) is not None]
            known, all_of_it = (
                user_text_channel(said, timeline.frames, initials, SPECIAL, delay).tokens[: moment + 1]
                for said in (heard, whole)
            )
            differing += int((known != all_of_it).sum())
            for tokens in (known, all_of_it):
                tokens[tokens == SPECIAL.eos] = SPECIAL.pad
            assert known.tolist() == all_of_it.tolist()
    assert differing >= 3 * (delay == 0), "EOS must differ: that is why it is not read back"


def until(said: SupervisionSegment, moment: float) -> SupervisionSegment | None:
    """The part of a turn heard by a given time: its words so far, without punctuation."""
    if said.start >= moment:
        return None
    cut = turn("user", said.start, min(said.end, moment) - said.start, "")
    cut.alignment = {
        "word": [w._replace(symbol=w.symbol.strip(".,?!")) for w in said.alignment["word"] if w.end <= moment]
    }
    return cut
