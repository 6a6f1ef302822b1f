"""`salm-duplex look`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from manifests.errors import WorkError
from pipeline.commands.console import not_used, out_console, print_json, progress_shown
from pipeline.commands.options import JsonOption, RecipeOption, SetOption

if TYPE_CHECKING:
    from manifests.records import Dialogue
    from pipeline.look import Look

TURNS, CHARACTERS = 8, 160
"""Printed characters of an example; `--json` prints all of it."""


def command(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Dialogue files, folders, globs or URLs, as for `build`.")
    ],
    recipe: RecipeOption = None,
    set_: SetOption = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Read at most this many records.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a dialogue file holds: its format, three dialogues as read, what would be rejected and why, and what
    goes unused. Builds nothing."""
    from pipeline.look import look
    from pipeline.recipe import load_recipe

    loaded = load_recipe(recipe, set_ or [])
    with progress_shown("records", quiet=as_json) as progress:
        found = look(inputs, loaded, limit, progress)
    if as_json:
        print_json(asdict(found) | {"examples": [_example(dialogue) for dialogue in found.examples]})
    else:
        _print(found)
    if not found.dialogues:
        raise WorkError("No dialogue could be read; docs/input.md lists the formats that can be read.")


def _print(found: "Look") -> None:
    shapes = ", ".join(f"{number} × {shape}" for shape, number in found.shapes.items())
    out_console.print(
        f"[bold]{found.dialogues} of {found.read}[/] records are dialogues" + (f": {escape(shapes)}" if shapes else "")
    )
    for dialogue in found.examples:
        out_console.print(f"\n[bold]{escape(dialogue.id)}[/] ({escape(dialogue.source)})")
        if dialogue.system_prompt:
            out_console.print(f"  system prompt: {escape(_short(dialogue.system_prompt))}")
        for turn in dialogue.turns[:TURNS]:
            event = f" ({turn.event})" if turn.event else ""
            out_console.print(f"  {turn.speaker}{event}: {escape(_short(turn.text))}")
        if (more := len(dialogue.turns) - TURNS) > 0:
            out_console.print(f"  … {more} more turns")
    out_console.print()
    of = f" of the first {found.spoken}" if found.spoken < found.dialogues else ""
    for refusal in found.refused:
        out_console.print(
            f"would be rejected{of if refusal.stage != 'ingest' else ''}: {refusal.number} × {refusal.stage}/{refusal.reason}, the first at {escape(refusal.source)}: "
            f"{escape(refusal.message)}"
        )
    if found.made:
        counts = ", ".join(f"{title} {number} ×" for title, number in found.made.items())
        out_console.print(escape(f"as spoken{of}: {counts}"))
    if found.not_used:
        out_console.print(escape(not_used(found.not_used, shown=20)))


def _example(dialogue: "Dialogue") -> dict[str, object]:
    """A dialogue as read, in the native format."""
    from manifests.readers.own import OwnTurn

    known = OwnTurn.model_fields
    turns = [{k: v for k, v in asdict(turn).items() if k in known and v not in (None, "")} for turn in dialogue.turns]
    return {"id": dialogue.id, "source": dialogue.source, "system_prompt": dialogue.system_prompt, "turns": turns}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= CHARACTERS else f"{line[: CHARACTERS - 1]}…"
