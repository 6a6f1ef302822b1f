import pytest
from material import make_dialogue

from stages.cast import Cast, CastSettings, voice_pools
from stages.voices.espeak_engine import DEFAULT_AGENT_VOICE, voices


def cast(dialogues, seed=0, **settings):
    stage = Cast(CastSettings(**settings), seed)
    stage.setup()
    return stage.process(dialogues)


def test_one_agent_voice_and_many_user_voices():
    turns = [t for d in cast([make_dialogue(f"d{i}") for i in range(50)]) for t in d.turns]
    assert {t.voice for t in turns if t.speaker == "agent"} == {str(DEFAULT_AGENT_VOICE)}
    assert len({t.voice for t in turns if t.speaker == "user"}) > 30


def test_a_dialogue_has_one_user_voice_regardless_of_other_dialogues():
    alone = cast([make_dialogue("d7")])[0]
    among = cast([make_dialogue(f"d{i}") for i in range(10)])[7]
    assert alone == among
    assert len({t.voice for t in alone.turns if t.speaker == "user"}) == 1
    assert cast([make_dialogue("d7")], seed=1)[0] != alone


def test_splits_share_no_voice_and_use_all():
    pools = voice_pools(voices(), 0)
    assert sorted(v for pool in pools.values() for v in pool) == sorted(voices())
    assert len(pools["test"]) == len(pools["validation"]) == len(voices()) // 10
    drawn = {
        s: {cast([make_dialogue(f"d{i}", split=s)])[0].turns[0].voice for i in range(99)} for s in ("train", "test")
    }
    assert not drawn["train"] & drawn["test"]


def test_a_voice_set_in_the_input_is_kept():
    from dataclasses import replace

    dialogue = make_dialogue()
    fixed = replace(dialogue, turns=(replace(dialogue.turns[0], voice="en+f3"), *dialogue.turns[1:]))
    assert cast([fixed])[0].turns[0].voice == "en+f3"


def test_too_few_voices_are_rejected():
    with pytest.raises(ValueError, match="three different speakers"):
        CastSettings(user_voices=[str(DEFAULT_AGENT_VOICE), "en+f1", "en+f2"])
