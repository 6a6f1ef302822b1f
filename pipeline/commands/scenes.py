"""`salm-duplex scenes`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pipeline.commands.console import out_console, progress_shown
from pipeline.commands.options import CorpusArgument


def command(
    corpus: CorpusArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder for the scenes, a corpus each.")],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="SCENE", help="Make this scene; may be repeated. All, if not given."),
    ] = None,
    takes: Annotated[
        int, typer.Option("--takes", min=1, help="Perform each dialogue so often, with other voices and timing.")
    ] = 1,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Use at most so many dialogues.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="As of `build`.")] = None,
) -> None:
    """Make test sets from a corpus's test split that each ask one thing: interruptions, pauses, noise …

    Dialogues and voices are those that training never hears. `evaluate` takes them with --corpus.
    """
    from manifests.corpus import open_corpus
    from pipeline.scenes import SCENES, make_scenes

    opened = open_corpus(corpus)
    with progress_shown("shards") as progress:
        made = make_scenes(opened, out, only or list(SCENES), takes, limit, workers, progress)
    for name, info in made.items():
        s = info["statistics"]
        out_console.print(
            f"[bold]{escape(str(out / name))}[/]: {SCENES[name].asks}; {s['dialogues']['test']} dialogues, "
            f"{s['hours']:.2f} hours, {s['barge_ins']} barge-ins, {s['pauses']} pauses, {s['backchannels']} backchannels"
        )
