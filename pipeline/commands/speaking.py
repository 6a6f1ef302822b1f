"""The options by which the commands that play a run have its agent speak, in one place for all of them."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from salm_duplex_model.session import Decoding

LIKELIEST = "likeliest"


@dataclass(frozen=True, slots=True)
class Speaking:
    """How text, turns and codes are chosen, and what the agent speaks with."""

    temperature: Annotated[
        float, typer.Option("--temperature", min=0, max=5, help="Of the text. 0: always the likeliest; above: drawn.")
    ] = 0
    code_temperature: Annotated[
        float,
        typer.Option(
            "--code-temperature",
            min=0,
            max=5,
            help="Of the codes. 0 is apt to hang in one sound, as greedy speech does.",
        ),
    ] = 0.8
    seed: Annotated[int, typer.Option("--seed", min=0, help="For what is drawn.")] = 0
    turn_taking: Annotated[
        str | None,
        typer.Option(
            "--turn-taking",
            metavar="start=X,stop=X,memory=X",
            help="When the agent starts and stops: where the sum of the chances passes, as `tune` says; 'likeliest': where it "
            "is the likeliest token. Default: the point that `tune` chose for the run, else likeliest.",
            show_default=False,
        ),
    ] = None
    codec: Annotated[
        str | None,
        typer.Option(
            "--codec",
            help="What the agent speaks with, such as a personalised one; default: the codec of the run's corpora.",
            show_default=False,
        ),
    ] = None

    def decoding(self, run: Path) -> "Decoding":
        """What a session of the run takes; raises `RequestError` where the turn taking is none."""
        from pipeline.overrides import overridden
        from pipeline.recipe import validated
        from salm_duplex_model.checkpoint import read_turn_taking
        from salm_duplex_model.session import Decoding
        from salm_duplex_model.turn_taking import TurnTaking

        point = read_turn_taking(run) if self.turn_taking != LIKELIEST else None
        if self.turn_taking not in (None, LIKELIEST):
            own = {} if point is None else point.as_dict()
            changed = overridden(own, self.turn_taking.split(","), "--turn-taking", "--turn-taking start=0.35,stop=0.5")
            point = validated("", TurnTaking, changed, "turn taking")
        return Decoding(self.temperature, self.code_temperature, self.seed, point)


def speaks(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it gets them together, as its argument `speaking`."""
    options = inspect.signature(Speaking).parameters
    signature = inspect.signature(command)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        parameters += options.values() if parameter.name == "speaking" else [parameter]

    @functools.wraps(command)
    def gathered(**arguments: Any) -> None:
        chosen = {name: arguments.pop(name) for name in options}
        command(**arguments, speaking=Speaking(**chosen))

    gathered.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    gathered.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return gathered
