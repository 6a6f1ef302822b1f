"""`salm-duplex browse`."""

from typing import Annotated

import typer
from rich.markup import escape

from pipeline.commands.console import out_console
from pipeline.commands.options import CorpusArgument


def command(
    corpus: CorpusArgument,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0: any free port.")] = 8_766,
) -> None:
    """Browse a corpus: a page that lists, filters, plays and draws its dialogues, read on demand."""
    from manifests.corpus import open_corpus
    from pipeline.browse import browse

    browse(open_corpus(corpus), host, port, lambda line: out_console.print(escape(line)))
