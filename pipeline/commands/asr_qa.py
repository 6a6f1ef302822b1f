"""`salm-duplex asr-qa`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from manifests.errors import WorkError
from pipeline.commands.console import out_console, print_json, progress_shown
from pipeline.commands.options import JsonOption


def command(
    cuts: Annotated[Path, typer.Argument(metavar="CUTS", help="A Lhotse cuts manifest with transcripts.")],
    out: Annotated[Path, typer.Option("--out", help="The dialogue file to write (JSONL); a stopped run is resumed.")],
    url: Annotated[
        str, typer.Option("--url", help="An OpenAI-compatible endpoint, such as https://api.openai.com/v1.")
    ],
    model: Annotated[str, typer.Option("--model", help="The endpoint's model. Its key is taken from OPENAI_API_KEY.")],
    pairs: Annotated[
        int, typer.Option("--pairs", min=1, max=20, help="Recordings, each with a question, in a dialogue.")
    ] = 2,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Use at most so many cuts.")] = None,
    min_words: Annotated[int, typer.Option("--min-words", min=1, help="Leave out shorter transcripts.")] = 6,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=256, help="Questions asked at once.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Write dialogues about real recordings: an LLM asks and answers about their transcripts.

    The user is heard saying the recording, and asks in a synthesized voice. `build` takes the file as any other.
    """
    from pipeline.asr_qa import Request, write_dialogues

    request = Request(cuts, out, url, model, pairs, limit, min_words, concurrency)
    with progress_shown("cuts", quiet=as_json) as progress:
        written = write_dialogues(request, progress)
    if as_json:
        print_json(asdict(written))
    else:
        out_console.print(f"[bold]{escape(str(out))}[/]: {written.dialogues} dialogues, {written.questions} questions")
        for reason, number in written.left_out.items():
            out_console.print(f"  left out {number} × {reason}")
    if not written.dialogues:
        raise WorkError(f"No cut could be used; {out}.rejected.jsonl says why for each.")
