"""`salm-duplex vad`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.console import progress_shown
from pipeline.commands.options import SetOption

app = typer.Typer(help="Train the voice activity model used by `verify`.", no_args_is_help=True)


@app.command("train")
def train(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INPUT...]", help="Dialogue files to synthesize. Default: the bundled dialogues."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Checkpoint to write (pyannote.audio format).")] = Path("vad.ckpt"),
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe", help="How to synthesize them. Default: with pauses, noise, and half of eSpeak NG's voices."
        ),
    ] = None,
    set_: SetOption = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps.")] = 1500,
) -> None:
    """Train a voice activity model on a recipe's voices, for use as `verify.vad`."""
    from pipeline.recipe import load_recipe
    from pipeline.vad import BUNDLED_RECIPE, train

    loaded = load_recipe(recipe or BUNDLED_RECIPE, set_ or [])
    with progress_shown("steps") as progress:
        train(inputs or [], out, loaded, steps, progress)
