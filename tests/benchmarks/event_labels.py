"""Labels of every kind of event, compared with an independent reading of the clean audio (tests/event_reading.py).

    PYTHONPATH=.:tests python tests/benchmarks/event_labels.py [INPUT...] [--limit 200] [--show 5] [--set KEY=VALUE ...]

Runs the stages up to `render` in this process, with every event in the recipe. Prints the number of labels of each kind
and the share that agrees within two frames, and exits with 1 if one does not.
"""

import argparse
import sys

import numpy as np
from event_reading import NEAR_S, by_kind, read_events

from manifests.records import Dialogue, DuplexDialogue, Rejected
from pipeline.recipe import load_recipe
from stages.ingest import ingest

EVERYTHING = (
    "stages=[speak, director, cast, synthesize, schedule, render, verify, tokenize]",
    "director.share=0.33",
    "ingest.takes=3",
    "speak.backchannel={share: 0.5, turn_share: 0.3}",
    "speak.agent_backchannel={share: 0.7, turn_share: 0.7}",
    "speak.false_start={share: 0.4}",
    "speak.side_talk={share: 0.4}",
    "speak.filler.per_minute=8",
    "speak.reprompt={share: 0.4}",
    "speak.hold={share: 0.6, turn_share: 0.4}",
    "schedule.barge_in={share: 0.6, turn_share: 0.4, early: 0.3, late: 0.3, again: 0.5, finish_word: 0.5}",
    "schedule.pause={share: 0.5}",
)
STAGES = ("speak", "director", "cast", "synthesize", "schedule", "render")


def rendered_events(inputs: list[str], limit: int, overrides: list[str]) -> list[DuplexDialogue]:
    """The first dialogues of the input, rendered with events; a third of them are directed by rules."""
    recipe = load_recipe(None, [*EVERYTHING, *overrides])
    chain = [recipe.stage(name).make(recipe.seed) for name in STAGES]
    for stage in chain:
        stage.setup()
    records: list = [d for d in ingest(inputs, recipe.ingest, recipe.seed, None) if isinstance(d, Dialogue)][:limit]
    for stage in chain:
        done = stage.process(records)
        records = [record for record in done if not isinstance(record, Rejected)]
        for refused in (record for record in done if isinstance(record, Rejected)):
            print(f"rejected by {refused.stage}: {refused.message}")
    return records


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", default=["pipeline/data/dialogues.jsonl"])
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--show", type=int, default=3, help="number of disagreements to show of each kind")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    given = parser.parse_args()
    records = rendered_events(given.inputs, given.limit, given.overrides)
    found = [one for record in records for one in read_events(record)]
    print(f"{len(records)} dialogues")
    print(
        f"{'event':24} {'labels':>6} {'within ' + format(1000 * NEAR_S, '.0f') + ' ms':>14} {'median':>9} {'greatest':>9}"
    )
    for kind, own in by_kind(found).items():
        errors = np.array([one.error_s for one in own])
        share = np.mean([one.agrees for one in own])
        print(f"{kind:24} {len(own):6} {share:14.2%} {np.median(errors):7.3f} s {errors.max():7.3f} s")
        for one in [one for one in own if not one.agrees][: given.show]:
            print(f"    {one.where}: {one.error_s:.3f} s")
    return int(not all(one.agrees for one in found))


if __name__ == "__main__":
    sys.exit(main())
