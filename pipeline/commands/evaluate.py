"""`salm-duplex evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.console import out_console, print_json, print_wide, progress_shown
from pipeline.commands.options import ClosedLoopOption, JsonOption, RunArgument
from pipeline.commands.speaking import Speaking, speaks


@speaks
def command(
    run: RunArgument,
    corpus: Annotated[
        list[str],
        typer.Option("--corpus", help="A corpus with a test split: path or URL. Repeat for several."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE.json",
            help="Metrics as JSON. A plot (.png) and a sample (.wav) are written next to it.",
        ),
    ],
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Play at most this many dialogues per corpus.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Dialogues per batch.")] = 16,
    *,
    speaking: Speaking,
    asr: Annotated[
        str | None,
        typer.Option(
            "--asr", help="Recognizer for the agent's speech: pocketsphinx, a .nemo file, or a NeMo model name."
        ),
    ] = None,
    utmos: Annotated[
        Path | None,
        typer.Option("--utmos", help="UTMOS as a TorchScript file, to score the naturalness of the agent's speech."),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option("--judge", metavar="URL", help="An OpenAI-compatible endpoint that scores the agent's answers."),
    ] = None,
    judge_model: Annotated[
        str | None, typer.Option("--judge-model", help="The judge's model. The API key is read from OPENAI_API_KEY.")
    ] = None,
    fdb: Annotated[
        Path | None,
        typer.Option("--fdb", help="Also write the examples in Full-Duplex-Bench layout to this new folder."),
    ] = None,
    closed_loop: ClosedLoopOption = False,
    as_json: JsonOption = False,
) -> None:
    """Play test sets to a trained model and score its turn-taking, barge-ins, pauses and words."""
    from pipeline.commands.evaluation_table import tables
    from pipeline.evaluate import Request, evaluate

    decoding = speaking.decoding(run)
    request = Request(
        run,
        corpus,
        out,
        split,
        limit,
        batch,
        decoding,
        asr,
        utmos,
        judge,
        judge_model,
        fdb,
        speaking.codec,
        closed_loop,
    )
    with progress_shown("dialogues", quiet=as_json) as progress:
        result = evaluate(request, progress)
    if as_json:
        print_json(result)
        return
    for table in tables(result):
        print_wide(table)
    out_console.print(f"Wrote {out}, {out.with_suffix('.png')} and a sample conversation, {out.with_suffix('.wav')}")
