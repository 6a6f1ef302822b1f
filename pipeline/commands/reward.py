"""`salm-duplex reward`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pipeline.commands.console import out_console, print_json, progress_shown
from pipeline.commands.options import JsonOption, RunArgument

COMPARED = 10
"""Steps at the beginning and end of a run whose means are shown."""


def command(
    run: RunArgument,
    corpus: Annotated[
        list[str],
        typer.Option("--corpus", help="A corpus of scenes made by `scenes`: path or URL. Repeat for several."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new run. An unfinished run is resumed.")],
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps, 100 by default.")] = None,
    group: Annotated[
        int | None, typer.Option("--group", min=2, help="Conversations compared per dialogue, 8 by default.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="The split to train on.")] = "validation",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Use at most this many dialogues per corpus.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Set dialogues, kl, learning_rate, seed, weights.pause, … Repeatable."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train when a run's agent speaks, by rewards for pauses, turns, backchannels and interruptions.

    It talks to the users of the scenes; conversations that were rewarded more than others with the same user become more
    likely (GRPO). Writes a new run. Rerun the same command to resume. Run `tune` on the result.
    """
    from pipeline.reward import Request, load_settings, reward

    request = Request(run, corpus, out, load_settings(set_ or [], steps=steps, group=group), split, limit)
    with progress_shown("steps", quiet=as_json) as progress:
        rows = reward(request, progress)
    if as_json:
        print_json({"run": str(out), "first": _mean(rows[:COMPARED]), "last": _mean(rows[-COMPARED:])})
        return
    first, last = _mean(rows[:COMPARED]), _mean(rows[-COMPARED:])
    table = Table("reward", f"first {COMPARED} steps", f"last {COMPARED}", box=None, pad_edge=False)
    for name in (*(name for name in last if name.startswith("reward")), "kl"):
        table.add_row(
            name.removeprefix("reward_"), *(f"{own[name]:.3f}" if name in own else "–" for own in (first, last))
        )
    out_console.print(f"[bold]{escape(str(out))}[/]: {len(rows)} steps")
    out_console.print(table)
    out_console.print(f"Now calibrate it: salm-duplex tune {escape(str(out))} --corpus …")


def _mean(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The mean of each figure over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row if name != "step")
    found = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: sum(values) / len(values) for name, values in found.items()}
