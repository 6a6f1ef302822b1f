"""`salm-duplex build`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from manifests.errors import WorkError
from pipeline.commands.console import not_used, out_console, print_json, progress_shown, span
from pipeline.commands.options import JsonOption, RecipeOption, SetOption

if TYPE_CHECKING:
    from pipeline.building.dry_run import DryRun


def command(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Dialogue files, folders, globs or URLs (JSONL, JSON or Parquet; plain, gzip or zstd), or - for stdin.",
        ),
    ],
    out: Annotated[str, typer.Option("--out", help="Corpus folder: path or URL. An unfinished build is resumed.")],
    recipe: RecipeOption = None,
    set_: SetOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Shards built in parallel. Default: one per core.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Read at most this many dialogues.")] = None,
    dry: Annotated[
        bool,
        typer.Option("--dry-run", help="Plan the build, time a sample, print the estimate, and exit."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn text dialogues into a two-channel speech corpus.

    Runs locally, or on the Ray cluster the job was submitted to. Rerun the same command to resume a stopped build.
    """
    from pipeline.building.driver import build as run
    from pipeline.building.dry_run import dry_run
    from pipeline.recipe import load_recipe

    loaded = load_recipe(recipe, set_ or [])
    with progress_shown("shards", quiet=as_json) as progress:
        if dry:
            _print_dry_run(dry_run(inputs, loaded, workers, limit, progress), as_json)
            return
        info = run(inputs, out, loaded, workers, limit, progress)
    statistics = info["statistics"]
    if as_json:
        print_json({"corpus": out, **statistics})
    else:
        kept = statistics["dialogues"]
        out_console.print(
            f"[bold]{escape(out)}[/]: {sum(kept.values())} dialogues ({', '.join(f'{n} {split}' for split, n in kept.items())}), "
            f"{statistics['hours']:.2f} hours, {statistics['barge_ins']} barge-ins; "
            f"{statistics['rejected']} of {statistics['dialogues_read']} rejected"
        )
        for reason, number in statistics["rejected_by_reason"].items():
            out_console.print(f"  rejected {number} × {reason}")
        if statistics.get("not_used"):
            out_console.print(escape(not_used(statistics["not_used"])))
        out_console.print(f"See {escape(out)}/report.html")
    if not any(statistics["dialogues"].values()):
        raise WorkError(f"No dialogue could be used; {out}/rejected says why for each.")


def _print_dry_run(found: "DryRun", as_json: bool) -> None:
    takes = found.estimate
    if as_json:
        print_json(asdict(found))
        return
    splits = ", ".join(f"{number} {split}" for split, number in found.dialogues.items())
    out_console.print(
        f"{sum(found.dialogues.values())} dialogues ({splits}) in {found.shards} shards; {found.rejected} rejected at ingest"
    )
    if found.not_used:
        out_console.print(escape(not_used(found.not_used)))
    out_console.print(
        f"about {takes.hours:.2f} hours, {takes.disk_bytes / 1e6:,.0f} MB, {takes.core_hours:.2f} core hours: "
        f"{span(takes.seconds)} on this machine"
    )
