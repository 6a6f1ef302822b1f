"""`salm-duplex slim`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.console import out_console
from pipeline.commands.options import RunArgument


def command(
    run: RunArgument,
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
) -> None:
    """Copy a run for inference only: the latest weights in half precision, without training state."""
    from salm_duplex_model.checkpoint import slim

    weights = slim(run, out)
    out_console.print(f"Wrote {out}: {weights.stat().st_size / 1e6:.1f} MB of weights")
