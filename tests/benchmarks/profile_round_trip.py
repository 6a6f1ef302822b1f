"""A timing profile, laid out in dialogues and measured again on them: target beside actual.

    PYTHONPATH=. python tests/benchmarks/profile_round_trip.py INPUT... [--profile meeting] [--limit 2000] [--set KEY=VALUE ...]

Runs the stages up to `schedule` in this process. The agent may overlap and nobody barges in, unless --set says otherwise: of these two a
profile of people knows nothing.
"""

import argparse

from manifests.records import Dialogue, Rejected
from pipeline.recipe import load_recipe
from stages.ingest import ingest
from stages.timing.measure import Timing
from stages.timing.profile import load_profile
from stages.timing.sources import of_timeline

STAGES = ("speak", "cast", "synthesize", "schedule")
BATCH = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--profile", default="meeting")
    parser.add_argument("--limit", type=int, default=2_000)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    given = parser.parse_args()
    fixed = [f"schedule.profile={given.profile}", "schedule.agent_overlaps=true", "schedule.barge_in.share=0"]
    recipe = load_recipe(None, [*fixed, *given.overrides])
    chain = [recipe.stage(name).make(recipe.seed) for name in STAGES]
    dialogues = [d for d in ingest(given.inputs, recipe.ingest, recipe.seed, given.limit) if isinstance(d, Dialogue)]
    timing, kept = Timing(), 0
    for first in range(0, len(dialogues), BATCH):
        records: list = dialogues[first : first + BATCH]
        for stage in chain:
            records = [record for record in stage.process(records) if not isinstance(record, Rejected)]
        for timeline in records:
            timing.add(of_timeline(timeline), load_profile(given.profile).merge_s)
        kept += len(records)
    wanted, found = load_profile(given.profile), timing.profile("", 0.2)
    print(f"{kept} dialogues{found.about.partition('recordings')[2]}")
    print(f"{'':24} {'target':>24} {'actual':>24}   actual ÷ target")
    for name in ("gap_s", "overlap_s", "pause_s"):
        target, actual = ([getattr(one, name)[at] for at in (5, 10, 15)] for one in (wanted, found))
        ratios = " ".join(f"{a / t:.2f}" for a, t in zip(actual, target, strict=True))
        print(
            f"{name:24} {' '.join(f'{t:7.3f}' for t in target):>24} {' '.join(f'{a:7.3f}' for a in actual):>24}   {ratios}"
        )
    for name in ("overlap_share", "contained_per_minute", "pauses_per_minute"):
        target, actual = getattr(wanted, name), getattr(found, name)
        print(f"{name:24} {target:>24.3f} {actual:>24.3f}   {actual / target:.2f}")


if __name__ == "__main__":
    main()
