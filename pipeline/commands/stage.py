"""`salm-duplex stage`."""

from typing import Annotated

import typer
from rich.markup import escape

from pipeline.commands.console import not_used, out_console, print_json, progress_shown
from pipeline.commands.options import JsonOption, RecipeOption, SetOption


def command(
    name: Annotated[
        str, typer.Argument(help="ingest, speak, cast, synthesize, schedule, render, verify, tokenize or pack.")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--in", help="Output of the previous stage (folder or URL); for ingest, dialogues as for `build`."
        ),
    ],
    out: Annotated[str, typer.Option("--out", help="New folder or URL for the stage's output.")],
    recipe: RecipeOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a single stage, to see what it does or to try out your own."""
    from pipeline.building.single import run_stage
    from pipeline.recipe import load_recipe

    loaded = load_recipe(recipe, set_ or [])
    with progress_shown("dialogues", quiet=as_json) as progress:
        counts = run_stage(name, source, out, loaded, progress)
    if as_json:
        print_json(counts)
    else:
        out_console.print(f"[bold]{escape(out)}[/]: {counts['kept']} dialogues kept, {counts['rejected']} rejected")
        if counts.get("not_used"):
            out_console.print(escape(not_used(counts["not_used"])))
