"""`salm-duplex plan`: what a corpus of a given size will take."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.console import out_console, print_json, progress_shown, span
from pipeline.commands.options import JsonOption, RecipeOption, SetOption

EFFICIENCY = 0.95
"""Share of core time that workers spend in stages; measured on 26 hours built by two workers, without start and end."""
MACHINES = (8, 32, 96, 192)
BUNDLED = Path(__file__).parents[1] / "data" / "dialogues.jsonl"


def command(
    hours: Annotated[float, typer.Option("--hours", min=0.001, help="Hours of dialogue in the corpus.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INPUT...]", help="Dialogues like yours, to measure on. Default: the bundled ones."),
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option("--corpus", help="Take the rates from this finished corpus's run log instead of measuring."),
    ] = None,
    recipe: RecipeOption = None,
    set_: SetOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Parallel processes to measure with. Default: one per core.")
    ] = None,
    cores: Annotated[list[int] | None, typer.Option("--cores", min=1, help="Cores of a machine. Repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate machine hours, storage and shards for a corpus of this many hours.

    Stage rates are measured on this machine in about a minute, or taken from a finished corpus.
    """
    from manifests.corpus import open_corpus
    from pipeline.building.dry_run import rates_here, shards_for
    from pipeline.building.estimate import estimate_hours, rates_of
    from pipeline.recipe import load_recipe

    loaded = load_recipe(recipe, set_ or [])
    with progress_shown("dialogues", quiet=as_json) as progress:
        rates = (
            rates_of(open_corpus(Path(corpus)))
            if corpus
            else rates_here(inputs or [str(BUNDLED)], loaded, workers, progress)
        )
    machines = {number: estimate_hours(hours, rates, number, EFFICIENCY) for number in cores or MACHINES}
    whole = next(iter(machines.values()))
    shards = shards_for(hours, rates.dialogue_s, loaded.pack)
    if as_json:
        days = {str(number): one.seconds / 86_400 for number, one in machines.items()}
        print_json(
            {"rates": asdict(rates), "shards": shards, "days_by_cores": days} | asdict(whole) | {"seconds": None}
        )
        return
    from rich.table import Table

    table = Table("stage", "core seconds per hour", "share", box=None, pad_edge=False)
    total = sum(rates.core_s_per_hour.values())
    for stage, seconds in rates.core_s_per_hour.items():
        table.add_row(stage, f"{seconds:.1f}", f"{seconds / total:.0%}")
    out_console.print(table)
    out_console.print(
        f"[bold]{hours:g} hours[/]: {whole.core_hours:,.1f} core hours, {whole.disk_bytes / 1e9:,.1f} GB in about {shards:,} shards"
    )
    for number, one in machines.items():
        out_console.print(f"  on {number:4d} cores: {span(one.seconds)}")
