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
    out: Annotated[Path, typer.Option("--out", help="Dialogue file to write (JSONL). A stopped run is resumed.")],
    url: Annotated[
        str, typer.Option("--url", help="An OpenAI-compatible endpoint, such as https://api.openai.com/v1.")
    ],
    model: Annotated[
        str, typer.Option("--model", help="The endpoint's model. The API key is read from OPENAI_API_KEY.")
    ],
    pairs: Annotated[
        int, typer.Option("--pairs", min=1, max=20, help="Recordings per dialogue, each with a question.")
    ] = 2,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Use at most this many cuts.")] = None,
    min_words: Annotated[int, typer.Option("--min-words", min=1, help="Skip transcripts with fewer words.")] = 6,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=256, help="Concurrent requests.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Write dialogues about real recordings: an LLM asks and answers questions about their transcripts.

    The user's turn is the recording, followed by a question in a synthesized voice. Pass the file to `build`.
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
            out_console.print(f"  skipped {number} × {reason}")
    if not written.dialogues:
        raise WorkError(f"No cut could be used; {out}.rejected.jsonl says why for each.")
