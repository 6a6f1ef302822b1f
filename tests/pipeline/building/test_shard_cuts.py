"""Which dialogues make a shard."""

from hypothesis import given
from hypothesis import strategies as st

from manifests.records import SPLITS, Dialogue, Turn
from pipeline.building.shard_cuts import BYTES_PER_SECOND, ShardCutter, estimated_seconds
from stages.pack import PackSettings


def dialogue(number: int, split: str = "train", characters: int = 150) -> Dialogue:
    turns = (Turn("user", "x" * characters), Turn("agent", "y" * characters))
    return Dialogue(f"d{number}", turns, split=split)


def cut(dialogues: list[Dialogue], pack: PackSettings) -> list[tuple[str, list[str]]]:
    cutter: ShardCutter[str] = ShardCutter(pack)
    shards = [full for one in dialogues if (full := cutter.add(one, one.id))]
    return [(shard.name, items) for shard, items in [*shards, *cutter.rest()]]


def test_a_shard_ends_at_its_number_of_dialogues():
    shards = cut([dialogue(i) for i in range(5)], PackSettings(shard_size=2))
    assert shards == [("train-000000", ["d0", "d1"]), ("train-000001", ["d2", "d3"]), ("train-000002", ["d4"])]


def test_a_shard_ends_before_it_holds_too_much_audio():
    minute = dialogue(0, characters=900)
    two = 2 * estimated_seconds(minute) * BYTES_PER_SECOND / 2**20
    shards = cut([dialogue(i, characters=900) for i in range(5)], PackSettings(shard_mb=int(two) + 1))
    assert [len(items) for _, items in shards] == [2, 2, 1]


def test_a_dialogue_too_large_for_any_shard_is_its_own_shard():
    shards = cut([dialogue(0), dialogue(1, characters=1_000_000), dialogue(2)], PackSettings(shard_mb=1))
    assert [items for _, items in shards] == [["d0"], ["d1"], ["d2"]]


@given(st.lists(st.tuples(st.sampled_from(SPLITS), st.integers(1, 5_000)), max_size=60), st.integers(1, 7))
def test_each_split_is_cut_in_input_order_and_nothing_is_lost(given_dialogues, shard_size):
    dialogues = [dialogue(i, split, characters) for i, (split, characters) in enumerate(given_dialogues)]
    shards = cut(dialogues, PackSettings(shard_size=shard_size, shard_mb=4))
    for split in SPLITS:
        own = [items for name, items in sorted(shards) if name.startswith(split)]
        assert [item for items in own for item in items] == [d.id for d in dialogues if d.split == split]
        assert all(1 <= len(items) <= shard_size for items in own)
