"""`salm-duplex scenes`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pipeline.commands.console import out_console, progress_shown
from pipeline.commands.options import CorpusArgument


def command(
    corpus: CorpusArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder for the scenes, one corpus each.")],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="SCENE", help="Make only this scene. Repeatable. Default: all."),
    ] = None,
    takes: Annotated[
        int, typer.Option("--takes", min=1, help="Takes of each dialogue, each with different voices and timing.")
    ] = 1,
    split: Annotated[str, typer.Option("--split", help="test, or validation for `tune`.")] = "test",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Use at most this many dialogues.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="As in `build`.")] = None,
) -> None:
    """Make test sets from a corpus's test or validation split, each for one behavior: interruptions, pauses, noise …

    Their dialogues and voices do not occur in training. Pass them to `evaluate` with --corpus.
    """
    from manifests.corpus import open_corpus
    from pipeline.scenes import SCENES, make_scenes

    opened = open_corpus(corpus)
    with progress_shown("shards") as progress:
        made = make_scenes(opened, out, only or list(SCENES), takes, limit, workers, progress, split)
    for name, info in made.items():
        s = info["statistics"]
        out_console.print(
            f"[bold]{escape(str(out / name))}[/]: {SCENES[name].asks}; {s['dialogues'][split]} dialogues, "
            f"{s['hours']:.2f} hours, {s['barge_ins']} barge-ins, {s['pauses']} pauses, {s['backchannels']} backchannels"
        )
