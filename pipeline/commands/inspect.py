"""`salm-duplex inspect`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from manifests.errors import RequestError
from pipeline.commands.console import out_console, print_json, writes
from pipeline.commands.options import CorpusArgument, JsonOption


def command(
    corpus: CorpusArgument,
    id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A dialogue's id. Default: the first with a barge-in.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the stereo WAV and the timeline plot.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show one dialogue as text; with --out, also write a stereo WAV (user left, agent right) and a timeline plot."""
    from manifests.corpus import open_corpus
    from pipeline.report.inspection import cut_as_json, inspect_text, write_stereo, write_timeline

    opened = open_corpus(corpus)
    if id is None:
        rows = opened.dialogues.read("id", "barge_ins")
        if rows.empty:
            raise RequestError(f"The corpus {corpus} has no dialogues; build it from more input.")
        interrupted = rows[rows["barge_ins"] > 0]
        id = str((rows if interrupted.empty else interrupted)["id"].iloc[0])
    cut = opened.cut(id)
    if as_json:
        print_json(cut_as_json(cut))
    else:
        out_console.print(escape(inspect_text(cut)))
    if out is not None:
        with writes(out):
            out.mkdir(parents=True, exist_ok=True)
            write_stereo(cut, out / f"{id}.wav")
            write_timeline(cut, out / f"{id}.png")
        if not as_json:
            out_console.print(f"Wrote {out / f'{id}.wav'} and {out / f'{id}.png'}")
