"""`salm-duplex export`."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from manifests.errors import RequestError
from manifests.progress import Progress
from pipeline.commands.console import out_console, print_json, progress_shown, writes
from pipeline.commands.options import CorpusArgument, JsonOption

if TYPE_CHECKING:
    from manifests.corpus import Corpus
    from manifests.store import Store

Target = Literal["moshi", "hf", "nemo", "textgrid"]


def command(
    corpus: CorpusArgument,
    to: Annotated[
        Target,
        typer.Option(
            "--to",
            help="moshi: stereo WAV and word times for moshi-finetune; hf: Parquet with audio and a dataset card for Hugging Face; "
            "nemo: a training configuration that reads the shards; "
            "textgrid: stereo WAV, TextGrid and RTTM for listening and for Praat.",
        ),
    ],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="A new folder, at a path or URL.")],
    as_json: JsonOption = False,
) -> None:
    """Write a corpus in the format of another trainer. Rerun the same command to resume a stopped export.

    Counts at the end what the format can't represent.
    """
    from manifests.corpus import open_corpus
    from manifests.store import Store

    opened, store = open_corpus(corpus), Store(out)
    with writes(out), progress_shown("shards", quiet=as_json) as progress:
        result = _export(to, opened, store, progress)
    if as_json:
        print_json(result)
        return
    out_console.print(f"Wrote {escape(out)}: {result['dialogues']} dialogues, {result['hours']:.2f} hours")
    for sentence in result["use"]:
        out_console.print(escape(sentence))
    lost = ", ".join(f"{name} {number}" for name, number in result["lost"].items())
    out_console.print(f"Not exported: {lost or 'nothing'}")


def _export(to: Target, corpus: "Corpus", out: "Store", progress: Progress) -> dict[str, Any]:
    from pipeline.export.run import export

    try:
        match to:
            case "moshi":
                from pipeline.export.moshi import Moshi

                return export(corpus, Moshi(), out, progress)
            case "hf":
                from pipeline.export.hf import HuggingFace

                return export(corpus, HuggingFace(), out, progress)
            case "textgrid":
                from pipeline.export.textgrid import TextGrids

                return export(corpus, TextGrids(), out, progress)
            case "nemo":
                from pipeline.export.nemo import export_nemo

                return export_nemo(corpus, out)
    except ModuleNotFoundError as error:
        raise RequestError(f"The export to {to} needs {error.name}: pip install '.[{to}]'.") from None
