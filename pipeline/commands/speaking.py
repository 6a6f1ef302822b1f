"""The options shared by all commands that play a run: how its agent speaks."""

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
    """How text, turns and codes are chosen, and which codec the agent speaks with."""

    temperature: Annotated[
        float, typer.Option("--temperature", min=0, max=5, help="Sampling temperature of text tokens; 0 is greedy.")
    ] = 0
    code_temperature: Annotated[
        float,
        typer.Option(
            "--code-temperature",
            min=0,
            max=5,
            help="Sampling temperature of codec codes; 0 is greedy, which tends to get stuck on one sound.",
        ),
    ] = 0.8
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed for sampling.")] = 0
    turn_taking: Annotated[
        str | None,
        typer.Option(
            "--turn-taking",
            metavar="start=X,stop=X,memory=X",
            help="Start and stop turns when the summed probability of BOS or EOS reaches a threshold; each frame keeps "
            "`memory` of the sum. 'likeliest': when BOS or EOS is the most likely token. Default: what `tune` chose for "
            "the run, else likeliest.",
            show_default=False,
        ),
    ] = None
    codec: Annotated[
        str | None,
        typer.Option(
            "--codec",
            help="Codec for the agent's voice, such as a personalized one. Default: the codec of the run's corpora.",
            show_default=False,
        ),
    ] = None

    def decoding(self, run: Path) -> "Decoding":
        """The arguments of a session of the run; raises `RequestError` if the turn taking is invalid."""
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
    """Add these options to a command, which receives them as its argument `speaking`."""
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
