"""Agents from text dialogues to their figures on one GPU, in one run: the arms of `ablations.py`, side by side.

    PYTHONPATH=. python tests/benchmarks/gpu_agent.py [INPUT...] --out DIR [--preset small] [--arm tail] [--steps 3000]

Builds the corpora and scenes on all cores, then trains, tunes and evaluates every arm in processes of its own on the
same GPU. It needs neither Ray nor a network; without pynini, dialogues with numbers, abbreviations and symbols are
rejected. A finished part is not repeated. Prints the table of `ablations.py` and when each part was done; writes
`ablations.md` and `ablations.json`. Without a GPU, it takes as long as `ablations.py`.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import ablations
from ablations import ARMS, SHOWN, TUNED_ON, Ablations
from build_without_ray import make_shard, without_ray

from manifests.store import Store
from pipeline.building.publish import Done
from pipeline.building.shard_cuts import PlannedShard
from pipeline.building.work import Chain
from pipeline.recipe import Recipe

COMMAND = "command"
BATCH = 220
"""Dialogues played together: a GPU's step takes hardly longer with many."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--arm", action="append", choices=ARMS, dest="arms")
    parser.add_argument("--scene", action="append", choices=SHOWN, dest="scenes")
    parser.add_argument("--dialogues", type=int, default=2_200, help="at most, in each corpus")
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--limit", type=int, default=220, help="dialogues played in each scene")
    parser.add_argument("--unseen", action="append", default=[], metavar="INPUT", help="make the scenes from these")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="of every arm's preset"
    )
    given = parser.parse_args()
    arms, scenes = given.arms or ["tail"], given.scenes or [*SHOWN]
    ablations.run = run
    sizes = (given.dialogues, given.steps, 2, given.limit)
    made = Ablations(given.inputs, given.unseen, given.out, *sizes, given.preset, BATCH, given.settings)
    begun = time.monotonic()

    def timed(name: str, work: Callable[..., object], *arguments: object) -> None:
        work(*arguments)
        print(f"{time.monotonic() - begun:6.1f} s  {name}", flush=True)

    runs = {ARMS[arm].run or arm for arm in arms} - {"bundled"}
    # `old_rule` is a copy of `quick`, which its training makes.
    corpora = {ARMS[arm].corpus for arm in arms} - {"", "old_rule"} | {"unseen" if given.unseen else "quick"}
    corpora |= {"quick" for arm in arms if ARMS[arm].corpus == "old_rule"}
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as together:
        every(together.submit(timed, f"corpus {name}", made.corpus, name) for name in corpora)
        trained = [together.submit(timed, f"trained {arm}", made.trained, arm) for arm in sorted(runs)]
        tested = [("validation", name) for name in TUNED_ON] + [("test", name) for name in scenes]
        built = [together.submit(made.scenes, split, [name]) for split, name in tested]
        every(built)
        print(f"{time.monotonic() - begun:6.1f} s  scenes", flush=True)
        every(trained)
        every([together.submit(timed, f"tuned {arm}", made.tuned, arm) for arm in arms])
        every([together.submit(timed, f"{arm}: {one}", made.evaluated, arm, one) for arm in arms for one in scenes])
    print(f"\n{made.write()}")


def every(futures: Iterable[Future[None]]) -> None:
    for future in list(futures):
        future.result()


def run(*arguments: str | int | Path) -> None:
    """A command of the product, in a process of its own; raises if it fails, with what it printed."""
    own = [sys.executable, __file__, COMMAND, *map(str, arguments)]
    done = subprocess.run(own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stdout[-3_000:]}")


def command(arguments: Sequence[str]) -> None:
    """Run a command with `build` on a pool of processes, instead of Ray."""
    import pipeline.building.identity as identity
    import stages.text.normalize as normalize
    from pipeline import cli

    identity.version = known_version
    if importlib.util.find_spec("pynini") is None:
        normalize.load_english = plain_english
    sys.argv = ["salm-duplex", *arguments]
    with without_ray(perform):
        cli.main()


def known_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def plain_english():  # type: ignore[no-untyped-def]
    """In place of the grammar: rejects what only it can read, and leaves other words and marks as they are."""
    from stages.text.grammar import Vocabulary, is_abbreviation
    from stages.text.normalize import Unspeakable

    def refuse(span: str) -> str:
        if re.fullmatch(r"[A-Za-z.,?!;:'\" -]+", span) and not any(map(is_abbreviation, span.split())):
            return span
        raise Unspeakable("no_grammar", f"Without pynini, there is no reading of {span}.")

    return refuse, Vocabulary(frozenset(), frozenset(), frozenset(), {})


def perform(todo: Sequence[PlannedShard], recipe: Recipe, store: Store, workers: int | None) -> Iterator[Done]:
    """`pipeline.building.perform` on forked processes, which share what this one has imported."""
    context = get_context("fork")
    with ProcessPoolExecutor(workers or os.cpu_count(), context, _begin, (recipe, store.absolute)) as pool:
        yield from pool.map(_shard, [shard.name for shard in todo])


def _begin(recipe: Recipe, url: str) -> None:
    import torch

    global _work
    torch.set_num_threads(1)
    _work = partial(make_shard, Chain(recipe.stages, recipe.seed, None), recipe, Store(url))


def _shard(name: str) -> Done:
    return _work(name)


if __name__ == "__main__":
    command(sys.argv[2:]) if sys.argv[1:2] == [COMMAND] else main()
