"""How a step's batch is divided between processes, and where the next one starts."""

import torch
from material import SMALL_RUN

from salm_duplex_model.batch import frames_of
from salm_duplex_model.config import RunConfig
from salm_duplex_model.steps import Steps
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer


def test_parts_of_all_processes_make_up_the_batch(talk):
    config = RunConfig.model_validate(SMALL_RUN).data
    tokenizer = TextTokenizer.load(BUNDLED)

    def ids(rank: int, world: int, accumulate: int) -> list[list[str]]:
        settings = config.model_copy(update={"accumulate": accumulate})
        steps = Steps([talk], settings, tokenizer, 0, rank, world)
        return [[i for part in step.parts if part for i in part.ids] for step in steps.iterate(0, 5)]

    whole = ids(0, 1, 1)
    assert [sorted(step) for step in ids(0, 1, 3)] == [sorted(step) for step in whole]
    halves = zip(ids(0, 2, 1), ids(1, 2, 1), strict=True)
    assert [sorted(a + b) for a, b in halves] == [sorted(step) for step in whole]
    frames = {cut.id: frames_of(cut) for cut in talk.cuts("train")}
    for step in Steps([talk], config, tokenizer, 0, 0, 1).iterate(0, 5):
        assert step.frames == sum(frames[i] - 1 for part in step.parts if part for i in part.ids)


def test_code_dropout_is_drawn_per_cut_regardless_of_the_worker(talk):
    tokenizer = TextTokenizer.load(BUNDLED)
    data = RunConfig(**SMALL_RUN).data.model_copy(update={"code_dropout": 0.8})

    def unheard(rank: int, world: int) -> dict[str, torch.Tensor]:
        step = next(Steps([talk], data, tokenizer, 0, rank, world).iterate(0, 1))
        batches = [part for part in step.parts if part is not None]
        return {id: row[:length] for b in batches for id, row, length in zip(b.ids, b.unheard, b.frames, strict=True)}

    whole, shared = unheard(0, 1), unheard(0, 2) | unheard(1, 2)
    assert whole.keys() == shared.keys() and all(torch.equal(whole[id], shared[id]) for id in whole)
    rates = [float(row.float().mean()) for row in whole.values()]
    assert len(rates) > 1 and max(rates) < 0.9 and max(rates) - min(rates) > 0.1


def test_an_epoch_has_every_dialogue_once(talk):
    steps = Steps([talk], RunConfig.model_validate(SMALL_RUN).data, TextTokenizer.load(BUNDLED), 3, 0, 1)
    seen: dict[int, list[str]] = {}
    for step in steps.iterate(0, 8):
        seen.setdefault(step.position[0][0], []).extend(i for part in step.parts if part for i in part.ids)
    assert sorted(seen[0]) == sorted(seen[1]) == sorted(cut.id for cut in talk.cuts("train"))


def test_resumed_at_a_step_the_stream_is_the_same(talk):
    def steps() -> Steps:
        return Steps([talk], RunConfig.model_validate(SMALL_RUN).data, TextTokenizer.load(BUNDLED), 3, 0, 1)

    whole, resumed = list(steps().iterate(0, 6)), steps()
    resumed.seek(steps().state_after(whole[2]))
    for there, here in zip(whole[3:], resumed.iterate(3, 6), strict=True):
        assert here.position == there.position
        assert [part.ids for part in here.parts] == [part.ids for part in there.parts]


def test_steps_are_in_order_for_any_number_of_loaders(talk):
    config = RunConfig.model_validate(SMALL_RUN).data

    def steps(loaders: int) -> list[tuple]:
        made = Steps([talk], config.model_copy(update={"loaders": loaders}), TextTokenizer.load(BUNDLED), 3, 0, 1)
        return [(step.position, [part.ids for part in step.parts]) for step in made.iterate(2, 9)]

    assert len(steps(1)) == 7 and steps(1) == steps(2)
    random = torch.get_rng_state()
    steps(2)
    assert torch.equal(torch.get_rng_state(), random)
