"""`salm-duplex tune`."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pipeline.commands.console import out_console, print_json, print_wide, progress_shown
from pipeline.commands.options import ClosedLoopOption, JsonOption, RunArgument

COLUMNS = {
    "turn_taken_rate": "turns taken",
    "first_response_latency_s": "delay",
    "pause_take_over_rate": "pauses taken over",
    "false_alarm_rate": "false alarms",
    "unprompted_starts_per_min": "unprompted/min",
    "barge_in_success_rate": "barge-ins",
    "false_stop_rate": "false stops",
    "chance_stop_rate": "by chance",
}


def command(
    run: RunArgument,
    corpus: Annotated[
        list[str],
        typer.Option("--corpus", help="A corpus with a validation split: path or URL. Repeat for several."),
    ],
    split: Annotated[str, typer.Option("--split", help="The split to tune on.")] = "validation",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Play at most this many dialogues per corpus.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Dialogues per batch.")] = 16,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed for sampling codes.")] = 0,
    start: Annotated[
        list[float] | None, typer.Option("--start", min=0.001, max=20, help="Try this start threshold. Repeatable.")
    ] = None,
    stop: Annotated[
        list[float] | None, typer.Option("--stop", min=0.001, max=20, help="Try this stop threshold. Repeatable.")
    ] = None,
    memory: Annotated[
        list[float] | None, typer.Option("--memory", min=0, max=0.999, help="Try this memory. Repeatable.")
    ] = None,
    closed_loop: ClosedLoopOption = False,
    as_json: JsonOption = False,
) -> None:
    """Calibrate when a run's agent starts and stops its turns, on held-out dialogues, and store it in the run.

    Writes RUN/turn_taking.json and a plot of each threshold's trade-off. `scenes --split validation` makes dialogues
    with pauses and backchannels for it."""
    from pipeline.tune import Grid, Request, tune

    default = Grid()
    grid = Grid(start or default.starts, stop or default.stops, memory or default.memories)
    request = Request(run, corpus, split, limit, batch, seed=seed, grid=grid, closed_loop=closed_loop)
    with progress_shown("points", quiet=as_json) as progress:
        result = tune(request, progress)
    if as_json:
        print_json(result)
        return
    print_wide(_table(result))
    if missing := [COLUMNS[name] for name in result["about"]["unmeasured"] if name in COLUMNS]:
        out_console.print(f"Not measured, since these dialogues have no such events: {', '.join(missing)}")
    point = result["chosen"]["turn_taking"]
    kept = "stored in the run" if point else "no threshold does better, so none is stored"
    out_console.print(f"Chosen: {_name(point)}; {kept}. See {escape(str(run / 'turn_taking.png'))}")


def _table(result: dict[str, Any]) -> Table:
    table = Table("turn taking", *COLUMNS.values(), box=None, pad_edge=False)
    for point in _points(result):
        mark = " *" if point == result["chosen"] else ""
        table.add_row(_name(point["turn_taking"]) + mark, *(_shown(name, point[name]) for name in COLUMNS))
    return table


def _points(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield result["likeliest"]
    yield from result["start"]
    yield from (point for point in result["stop"] if point not in result["start"])


def _name(point: dict[str, float] | None) -> str:
    from salm_duplex_model.turn_taking import TurnTaking

    return "likeliest" if point is None else str(TurnTaking(**point))


def _shown(name: str, found: dict[str, Any]) -> str:
    if (value := found["value"]) is None:
        return "–"
    text = f"{100 * value:.0f} %" if name.endswith("_rate") else f"{value:.2f}" + (" s" if name.endswith("_s") else "")
    return f"{text} ({found['n']})"
