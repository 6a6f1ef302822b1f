"""`salm-duplex recipe`."""

import sys

from pipeline.commands.options import RecipeOption, SetOption


def command(recipe: RecipeOption = None, set_: SetOption = None) -> None:
    """Print a complete recipe as YAML: the default, or yours with all defaults filled in."""
    import yaml

    from pipeline.recipe import load_recipe

    sys.stdout.write(
        yaml.safe_dump(load_recipe(recipe, set_ or []).as_dict(), sort_keys=False, allow_unicode=True, width=120)
    )
