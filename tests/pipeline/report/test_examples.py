import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.examples import ALL_EXAMPLES_S, EXAMPLES, LONGEST_EXAMPLE_S, OF_ALL_LENGTHS, choose_examples
from pipeline.report.listing import EVENTS

dialogues = st.lists(
    st.fixed_dictionaries(
        {
            "split": st.sampled_from(["train", "validation", "test"]),
            "duration_s": st.sampled_from([5.0, 20.0, 59.0, 60.0, 61.0, 200.0, 400.0]),
            "turns": st.integers(1, 8),
            "barge_ins": st.integers(0, 2),
        }
    ),
    max_size=30,
)


def frame(rows) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["split", "duration_s", "turns", "barge_ins"])
    return made.assign(id=[f"d{i}" for i in range(len(rows))]).convert_dtypes(dtype_backend="pyarrow")


@given(dialogues)
def test_examples_are_few_short_and_of_both_kinds_if_available(rows):
    chosen = choose_examples(frame(rows))
    assert len(chosen) == len(set(chosen["id"])) <= OF_ALL_LENGTHS
    assert chosen["duration_s"].sum() <= ALL_EXAMPLES_S
    short = [row for row in rows if row["duration_s"] <= LONGEST_EXAMPLE_S]
    if short:
        assert len(chosen) == min(OF_ALL_LENGTHS, len(short)) or not all(row["barge_ins"] for row in short)
        assert (chosen["duration_s"] <= LONGEST_EXAMPLE_S).all()
        assert set(chosen["barge_ins"] > 0) == {row["barge_ins"] > 0 for row in short}


@given(dialogues, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_rows(rows, random):
    ordered = frame(rows)
    shuffled = ordered.iloc[random.sample(range(len(rows)), len(rows))]
    assert list(choose_examples(ordered)["id"]) == list(choose_examples(shuffled)["id"])


def test_test_voices_come_first():
    rows = [
        {"split": split, "duration_s": 20.0 + n, "turns": 4, "barge_ins": 1}
        for n, split in enumerate(["train", "test", "validation"] * 5)
    ]
    assert list(choose_examples(frame(rows))["split"]) == ["test"] * OF_ALL_LENGTHS


def test_every_event_is_shown_while_examples_fit():
    rows = [{"split": "train", "duration_s": 20.0 + n, "turns": 4, "barge_ins": n % 2} for n in range(40)]
    events = list(EVENTS)[1:]
    marked = frame(rows).assign(**{event: [int(n == 2 * i) for n in range(40)] for i, event in enumerate(events[:5])})
    chosen = choose_examples(marked)
    assert (chosen[events[:5]].sum() >= 1).all() and OF_ALL_LENGTHS < len(chosen) <= EXAMPLES
    many = frame(rows).assign(**{event: [int(n == i) for n in range(40)] for i, event in enumerate(events)})
    assert len(choose_examples(many)) == EXAMPLES
