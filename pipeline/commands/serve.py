"""`salm-duplex serve`."""

from typing import Annotated

import typer
from rich.markup import escape

from pipeline.commands.console import out_console
from pipeline.commands.options import (
    CodeTemperatureOption,
    RunArgument,
    SeedOption,
    SpeakingCodecOption,
    TemperatureOption,
)


def command(
    run: RunArgument,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0: any free port.")] = 8_765,
    max_sessions: Annotated[
        int,
        typer.Option(
            "--max-sessions", min=1, max=256, help="Concurrent conversations; further ones are asked to wait."
        ),
    ] = 20,
    temperature: TemperatureOption = 0,
    code_temperature: CodeTemperatureOption = 0.8,
    seed: SeedOption = 0,
    codec: SpeakingCodecOption = None,
) -> None:
    """Serve a trained model live: a page that uses your microphone, and a WebSocket for programs."""
    from pipeline.serve import serve
    from salm_duplex_model.session import Decoding

    decoding = Decoding(temperature, code_temperature, seed)
    serve(run, host, port, max_sessions, decoding, lambda line: out_console.print(escape(line)), codec)
