"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

SHIPPED = Path(__file__).parents[1] / "data"
RECIPES = sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def _recipe_file(name: str) -> Path:
    """The file with this name, else the bundled recipe with this name."""
    shipped = SHIPPED / f"{name.removesuffix('.yaml')}.yaml"
    return shipped if Path(name).name == name and not Path(name).exists() and shipped.is_file() else Path(name)


RecipeOption = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="FILE",
        parser=_recipe_file,
        help=f"A YAML file, or the name of a bundled recipe: {', '.join(RECIPES)}. `salm-duplex recipe --list` says "
        "what each is for.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a recipe key. Repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
CorpusArgument = Annotated[str, typer.Argument(metavar="CORPUS", help="A corpus made by `build`: path or URL.")]


def _run_folder(name: str) -> Path:
    """`bundled` is the small bundled agent, unless a folder of that name exists."""
    from salm_duplex_model.checkpoint import BUNDLED_RUN

    return BUNDLED_RUN if name == "bundled" and not Path(name).exists() else Path(name)


RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", parser=_run_folder, help="A run folder made by `train`, or 'bundled'.")
]
ClosedLoopOption = Annotated[
    bool,
    typer.Option(
        "--closed-loop",
        help="The user reacts to the agent instead of speaking as recorded: waits for its answers and barges in while it speaks.",
    ),
]
