"""`salm-duplex export`."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from manifests.errors import RequestError
from pipeline.commands.console import out_console, print_json, progress_shown, writes
from pipeline.commands.options import CorpusArgument, JsonOption

if TYPE_CHECKING:
    from pipeline.export.run import Format

Target = Literal["moshi", "hf", "textgrid"]


def command(
    corpus: CorpusArgument,
    to: Annotated[
        Target,
        typer.Option(
            "--to",
            help="moshi: stereo WAV and word times for moshi-finetune; hf: Parquet with audio and a dataset card for Hugging Face; "
            "textgrid: stereo WAV, TextGrid and RTTM for ears and Praat.",
        ),
    ],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="A new folder, at a path or URL.")],
    as_json: JsonOption = False,
) -> None:
    """Write a corpus in the form that another trainer reads. Run again after a stop, it resumes.

    What the form can't carry is counted at the end.
    """
    from manifests.corpus import open_corpus
    from manifests.store import Store
    from pipeline.export.run import export

    opened, store, format = open_corpus(corpus), Store(out), _format(to)
    with writes(out), progress_shown("shards", quiet=as_json) as progress:
        result = export(opened, format, store, progress)
    if as_json:
        print_json(result)
        return
    out_console.print(f"Wrote {escape(out)}: {result['dialogues']} dialogues, {result['hours']:.2f} hours")
    for sentence in result["use"]:
        out_console.print(escape(sentence))
    lost = ", ".join(f"{name} {number}" for name, number in result["lost"].items())
    out_console.print(f"Not carried over: {lost or 'nothing'}")


def _format(to: Target) -> "Format":
    try:
        match to:
            case "moshi":
                from pipeline.export.moshi import Moshi

                return Moshi()
            case "hf":
                from pipeline.export.hf import HuggingFace

                return HuggingFace()
            case "textgrid":
                from pipeline.export.textgrid import TextGrids

                return TextGrids()
    except ImportError as error:
        raise RequestError(f"The export to {to} needs {error.name}: pip install '.[{to}]'.") from None
