"""`salm-duplex codec`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pipeline.commands.console import out_console, print_json, progress_shown
from pipeline.commands.options import JsonOption, SetOption

CorpusOption = Annotated[
    str | None,
    typer.Option(
        "--corpus",
        help="The agent's speech: a corpus (path or URL), or a folder of WAV or FLAC files. Default: eSpeak NG's.",
    ),
]
app = typer.Typer(help="Train, personalize and score the speech codec.", no_args_is_help=True)


@app.command("train")
def train(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT...]",
            help="Dialogue files to take sentences from, in addition to random ones. Default: the bundled dialogues.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Checkpoint to write (.safetensors).")] = Path("codec.safetensors"),
    corpus: CorpusOption = None,
    set_: SetOption = None,
) -> None:
    """Train the codec for one voice: eSpeak NG's, or with --corpus any other."""
    from pipeline.codec import train

    with progress_shown("steps") as progress:
        train(inputs or [], out, set_ or [], progress, corpus)


@app.command("personalize")
def personalize(
    codec: Annotated[
        str,
        typer.Argument(
            metavar="CODEC",
            help="'bundled', 'bundled-hibari', a checkpoint, a .nemo file, or the hub name of a NeMo codec.",
        ),
    ],
    corpus: Annotated[
        str,
        typer.Option(
            "--corpus",
            help="Speech in that voice: a corpus (path or URL) whose agent has it, or a folder of WAV or FLAC files.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Codec to write, in the format of CODEC.")],
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a codec's decoder on one voice. The codes stay the same, bit for bit.

    Scored before and after on held-out sentences.
    """
    from pipeline.codec import personalize

    with progress_shown("steps", quiet=as_json) as progress:
        scores = personalize(codec, corpus, out, set_ or [], progress)
    if as_json:
        print_json(scores)
        return
    table = Table("", "sentences", "STOI", "PESQ", "log-mel distance", box=None, pad_edge=False)
    for name in ("before", "after"):
        row = scores[name]
        table.add_row(name, str(row["n"]), f"{row['stoi']:.3f}", f"{row['pesq']:.2f}", f"{row['mel_distance']:.3f}")
    out_console.print(table)
    out_console.print(f"[bold]{escape(str(out))}[/]: codes unchanged; sha256 {scores['sha256'][:12]}")


@app.command("score")
def score(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="[CODEC]", help="'bundled', 'bundled-hibari', a checkpoint, a .nemo file, or a NeMo codec name."
        ),
    ] = "bundled",
    corpus: CorpusOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a codec on unseen sentences: STOI, PESQ and log-mel distance, for the agent's voice and the users' voices."""
    from pipeline.codec import score

    scores = score(checkpoint, corpus)
    if as_json:
        print_json(scores)
        return
    table = Table("voice", "sentences", "STOI", "PESQ", "log-mel distance", box=None, pad_edge=False)
    for name, row in scores["voices"].items():
        table.add_row(name, str(row["n"]), f"{row['stoi']:.3f}", f"{row['pesq']:.2f}", f"{row['mel_distance']:.3f}")
    out_console.print(table)
    out_console.print(f"{scores['bits_per_second']:.0f} bits per second")
