"""`salm-duplex recipe`."""

import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pipeline.commands.console import print_wide
from pipeline.commands.options import RECIPES, SHIPPED, RecipeOption, SetOption


def command(
    recipe: RecipeOption = None,
    set_: SetOption = None,
    list_: Annotated[bool, typer.Option("--list", help="List the bundled recipes, with a line about each.")] = False,
) -> None:
    """Print a complete recipe as YAML: the default, or yours with all defaults filled in."""
    import yaml

    from pipeline.recipe import load_recipe

    if list_:
        table = Table("recipe", "for", box=None, pad_edge=False)
        for name in RECIPES:
            table.add_row(name, escape(about(name)))
        print_wide(table)
        return
    sys.stdout.write(
        yaml.safe_dump(load_recipe(recipe, set_ or []).as_dict(), sort_keys=False, allow_unicode=True, width=120)
    )


def about(name: str) -> str:
    """The first line of a bundled recipe."""
    return (SHIPPED / f"{name}.yaml").read_text("utf-8").partition("\n")[0].removeprefix("# ")
