"""`salm-duplex export`."""

from typing import Annotated, Literal

import typer
from rich.markup import escape

from pipeline.commands.console import out_console, print_json, progress_shown, writes
from pipeline.commands.options import CorpusArgument, JsonOption

Target = Literal["moshi"]


def command(
    corpus: CorpusArgument,
    to: Annotated[Target, typer.Option("--to", help="moshi: stereo WAV and word times for moshi-finetune.")],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="A new folder, at a path or URL.")],
    as_json: JsonOption = False,
) -> None:
    """Write a corpus in the form that another trainer reads. Run again after a stop, it resumes.

    What the form can't carry is counted at the end.
    """
    from manifests.corpus import open_corpus
    from manifests.store import Store
    from pipeline.export.moshi import Moshi
    from pipeline.export.run import export

    formats = {"moshi": Moshi}
    opened, store = open_corpus(corpus), Store(out)
    with writes(out), progress_shown("shards", quiet=as_json) as progress:
        result = export(opened, formats[to](), store, progress)
    if as_json:
        print_json(result)
        return
    out_console.print(f"Wrote {escape(out)}: {result['dialogues']} dialogues, {result['hours']:.2f} hours")
    for sentence in result["use"]:
        out_console.print(escape(sentence))
    lost = ", ".join(f"{name} {number}" for name, number in result["lost"].items())
    out_console.print(f"Not carried over: {lost or 'nothing'}")
