"""`salm-duplex converse`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pipeline.commands.console import out_console, print_json
from pipeline.commands.options import JsonOption, RunArgument
from pipeline.commands.speaking import Speaking, speaks


@speaks
def command(
    run: RunArgument,
    user: Annotated[
        Path, typer.Option("--user", help="A recording of the user, at any sample rate, in any audio format.")
    ],
    out: Annotated[Path, typer.Option("--out", help="WAV file to write.")],
    stereo: Annotated[bool, typer.Option("--stereo", help="Write both channels: user left, agent right.")] = False,
    text: Annotated[
        bool,
        typer.Option("--text", help="Print the agent's words with times, and the user's if the model has `user_text`."),
    ] = False,
    tail: Annotated[float, typer.Option("--tail", min=0, max=600, help="Seconds of silence after the recording.")] = 4,
    *,
    speaking: Speaking,
    as_json: JsonOption = False,
) -> None:
    """Stream a recording to a trained model, 80 ms at a time, and write its answer."""
    from pipeline.converse import converse, write_conversation

    conversation = converse(run, user, tail, speaking.decoding(run), speaking.codec)
    write_conversation(conversation, out, stereo)
    summary = conversation.as_dict()
    if as_json:
        print_json({"out": str(out), **summary})
        return
    said = [(turn, "") for turn in conversation.turns] + [(turn, "user: ") for turn in conversation.user_turns or ()]
    for turn, speaker in sorted(said, key=lambda one: one[0].start) if text else ():
        out_console.print(f"{turn.start:7.2f} – {turn.end:6.2f} s  {speaker}{escape(turn.text)}")
    out_console.print(
        f"Wrote {out}: {summary['seconds']} s; a step of 80 ms took {summary['step_ms_mean']} ms on average, "
        f"{summary['step_ms_p99']} at the 99th percentile"
    )
