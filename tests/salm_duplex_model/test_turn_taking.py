"""Summed probabilities decide when the agent starts and stops: as computed by hand, and independently for each conversation."""

import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from manifests.text_channel import SpecialTokens
from salm_duplex_model.turn_taking import BARGED_FRAMES, Turns, TurnTaking

SPECIAL = SpecialTokens(pad=0, bos=1, eos=2)
WORD = 3
CPU = torch.device("cpu")
SILENCE, VOICE = torch.zeros(1, 160), torch.full((1, 160), 0.1)


def by_hand(
    settings: TurnTaking, probabilities: list[tuple[float, float]], voices: list[bool], heard: list[bool]
) -> list[int]:
    """BOS and EOS of one conversation, 0 in other frames, from their probabilities, whether there is a voice, and
    whether the user is heard: there is a voice or, with the user's channel, BOS or a word in it."""
    marks, speaking, starts, stops, asked, opening, last_voice = [], False, 0.0, 0.0, False, True, -math.inf
    for frame, (bos, eos) in enumerate(probabilities):
        last_voice = frame if voices[frame] else last_voice
        asked, opening = asked or heard[frame], opening and not heard[frame]
        kept = 0.99 if asked and not speaking and not voices[frame] else settings.memory
        starts = kept * starts + bos if asked or opening else bos
        stops = settings.memory * stops + eos if speaking else 0.0
        if starts >= settings.start and (asked or opening or starts >= 0.5):
            marks.append(SPECIAL.bos)
            speaking, asked, opening, starts, stops = True, False, False, 0.0, 0.0
        elif stops >= settings.stop:
            marks.append(SPECIAL.eos)
            speaking, starts, stops = False, 0.0, 0.0
            asked = asked and frame - last_voice <= BARGED_FRAMES
        else:
            marks.append(0)
    return marks


def material(rows: int, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (frames, rows, 8) and user audio (frames, rows, 160) that has speech in some frames."""
    draw = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(frames, rows, 8, generator=draw)
    voice = torch.rand(frames // 8, rows, 1, generator=draw).repeat_interleave(8, 0) < 0.3
    return logits, 0.1 * voice.float().expand(frames, rows, 160)


def decided(
    turns: Turns, logits: torch.Tensor, user: torch.Tensor, written: torch.Tensor | None = None
) -> torch.Tensor:
    """The tokens (frames, rows) from decoding the masked logits greedily."""
    channels = [None] * len(logits) if written is None else written
    return torch.stack([turns(*frame).argmax(-1) for frame in zip(logits, user, channels, strict=True)])


@pytest.mark.parametrize("written", [False, True], ids=["by voice", "by the user's channel"])
@pytest.mark.parametrize("settings", [TurnTaking(0.9, 0.7, 0.85), TurnTaking(0.35, 1.1, 0.7), TurnTaking(0.3, 0.3, 0)])
def test_bos_and_eos_come_only_where_the_sums_reach_the_thresholds(settings, written):
    logits, user = material(rows=4, frames=400)
    draw = torch.Generator().manual_seed(4)
    channel = torch.randint(4, (400, 4), generator=draw) * (torch.rand(400, 4, generator=draw) < 0.1)
    tokens = decided(Turns(settings, SPECIAL, 4, CPU), logits, user, channel if written else None)
    for row in range(4):
        probabilities = [(float(p[SPECIAL.bos]), float(p[SPECIAL.eos])) for p in logits[:, row].double().softmax(-1)]
        voices = [bool(frame.any()) for frame in user[:, row]]
        heard = ((channel[:, row] == SPECIAL.bos) | (channel[:, row] == WORD)).tolist() if written else voices
        marks = torch.tensor(by_hand(settings, probabilities, voices, heard))
        own = tokens[:, row]
        assert torch.equal(torch.where((own == SPECIAL.bos) | (own == SPECIAL.eos), own, 0), marks)
        assert (marks == SPECIAL.bos).sum() >= 4
        assert (marks == SPECIAL.eos).any()
        speaking = torch.zeros(len(marks), dtype=torch.bool)
        for frame, mark in enumerate(marks):
            speaking[frame] = mark == SPECIAL.bos or (mark != SPECIAL.eos and frame > 0 and bool(speaking[frame - 1]))
        assert (own[~speaking & (marks == 0)] == SPECIAL.pad).all()
        assert (own[speaking & (marks == 0)] >= WORD).any()


def test_a_conversation_does_not_depend_on_the_others_or_on_its_row():
    logits, user = material(rows=3, frames=120)
    settings = TurnTaking(0.8, 0.8, 0.85)
    alone = decided(Turns(settings, SPECIAL, 1, CPU), logits[:, 1:2], user[:, 1:2])[:, 0]
    turns = Turns(settings, SPECIAL, 3, CPU)
    first = decided(turns, logits[:50], user[:50])[:, 1]
    turns.seat([1, 2], 3)  # the first one leaves, another joins
    turns.reset(2)
    rest = decided(turns, logits[50:, [1, 2, 0]], user[50:, [1, 2, 0]])
    assert torch.equal(torch.cat([first, rest[:, 0]]), alone)
    anew = decided(Turns(settings, SPECIAL, 1, CPU), logits[50:, :1], user[50:, :1])
    assert torch.equal(rest[:, 2:], anew)


def probabilities(bos: float, eos: float = 0.01) -> torch.Tensor:
    """Logits (1, 8) with these probabilities."""
    return (
        torch.tensor([[0.0, bos, eos, *[0.01] * 5]]).clamp(min=1e-9).where(torch.arange(8) > 0, 0.95 - bos - eos).log()
    )


def until_start(turns: Turns, bos: float, user: torch.Tensor, frames: int) -> int | None:
    """After how many frames with the same probability the agent starts."""
    for frame in range(frames):
        if turns(probabilities(bos), user, None).argmax() == SPECIAL.bos:
            return frame + 1
    return None


def asked(start: float) -> Turns:
    """An agent that has just heard a voice."""
    turns = Turns(TurnTaking(start, 0.5, 0.85), SPECIAL, 1, CPU)
    turns(probabilities(0), VOICE, None)
    return turns


def spoken(heard_before_its_end: bool = False) -> Turns:
    """An agent that has just ended its turn."""
    turns = Turns(TurnTaking(0.35, 0.35, 0.85), SPECIAL, 1, CPU)
    assert until_start(turns, 0.1, SILENCE, 20) == 5  # at the beginning, either side may speak
    for _ in range(2 * BARGED_FRAMES):
        turns(probabilities(0.01), SILENCE, None)
    assert turns(probabilities(0.01, 0.8), VOICE if heard_before_its_end else SILENCE, None).argmax() == SPECIAL.eos
    return turns


def test_an_agent_that_has_just_spoken_does_not_start_on_small_probabilities_until_the_user_is_heard():
    turns = spoken()
    assert until_start(turns, 0.15, SILENCE, 200) is None
    turns(probabilities(0.01), VOICE, None)
    assert until_start(turns, 0.15, SILENCE, 20) == 2


def test_in_silence_small_probabilities_add_up_and_a_voice_lets_them_decay():
    turns = Turns(TurnTaking(0.82, 0.5, 0.85), SPECIAL, 1, CPU)
    assert until_start(turns, 0.05, VOICE, 100) is None  # at most 0.05 / (1 - 0.85)
    turns = asked(0.82)
    assert until_start(turns, 0.05, SILENCE, 17) is None  # 0.05 · (1 - 0.99^17) / (1 - 0.99) = 0.785
    assert until_start(turns, 0.05, SILENCE, 20) == 1  # 0.827


def test_tiny_probabilities_do_not_add_up_in_a_long_silence():
    turns = asked(0.82)
    assert until_start(turns, 0.008, SILENCE, 3000) is None  # at most 0.008 / (1 - 0.99)


def test_before_anybody_has_spoken_small_probabilities_do_not_add_up():
    turns = Turns(TurnTaking(0.82, 0.5, 0.85), SPECIAL, 1, CPU)
    assert until_start(turns, 0.1, SILENCE, 1000) is None  # at most 0.1 / (1 - 0.85)
    assert until_start(turns, 0.2, SILENCE, 20) == 2


@pytest.mark.parametrize("token", [SPECIAL.bos, WORD])
def test_where_the_model_writes_what_the_user_says_a_noise_is_not_a_turn(token):
    turns = spoken()
    pad = torch.tensor([SPECIAL.pad])
    for sound in [SILENCE, VOICE, *[SILENCE] * 100]:
        assert turns(probabilities(0.15), sound, pad).argmax() == SPECIAL.pad
    assert turns(probabilities(0.01), VOICE, torch.tensor([token])).argmax() == SPECIAL.pad
    assert [int(turns(probabilities(0.15), SILENCE, pad).argmax()) for _ in range(2)] == [SPECIAL.pad, SPECIAL.bos]


def test_a_user_who_talks_over_an_agent_until_it_misses_its_end_is_answered():
    turns = Turns(TurnTaking(0.35, 0.35, 0.85), SPECIAL, 1, CPU)
    assert until_start(turns, 0.4, SILENCE, 1) == 1
    turns(probabilities(0.01), VOICE, None)
    assert until_start(turns, 0.15, SILENCE, 20) == 3


def test_a_high_probability_starts_it_even_if_the_user_is_not_heard():
    assert until_start(spoken(), 0.6, SILENCE, 20) == 1


def test_a_user_who_barged_in_is_answered():
    assert until_start(spoken(heard_before_its_end=True), 0.15, SILENCE, 20) == 3


def test_steady_noise_is_soon_not_a_voice():
    turns = spoken()
    noise = 0.01 * torch.randn(300, 1, 160, generator=torch.Generator().manual_seed(0))
    for frame in noise[:150]:
        turns(probabilities(1e-4), frame, None)
    turns._asked[0] = False
    for frame in noise[150:]:
        turns(probabilities(1e-4), frame, None)
    assert not turns._asked[0]
    turns(probabilities(1e-4), VOICE, None)
    assert turns._asked[0]


@pytest.mark.parametrize("wrong", [{"start": 0}, {"stop": -1}, {"memory": 1}, {"begin": 0.5}])
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(ValidationError):
        TypeAdapter(TurnTaking).validate_python(wrong)
