"""`salm-duplex serve`."""

from typing import Annotated

import typer
from rich.markup import escape

from pipeline.commands.console import out_console
from pipeline.commands.options import RunArgument
from pipeline.commands.speaking import Speaking, speaks


@speaks
def command(
    run: RunArgument,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0: any free port.")] = 8_765,
    max_sessions: Annotated[
        int,
        typer.Option(
            "--max-sessions", min=1, max=256, help="Maximum number of concurrent conversations; others are turned away."
        ),
    ] = 20,
    *,
    speaking: Speaking,
) -> None:
    """Serve a trained model live: a page that uses your microphone, and a WebSocket for programs."""
    from pipeline.serve import serve

    decoding = speaking.decoding(run)
    serve(run, host, port, max_sessions, decoding, lambda line: out_console.print(escape(line)), speaking.codec)
