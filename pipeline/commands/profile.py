"""`salm-duplex profile`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manifests.errors import RequestError
from pipeline.commands.console import out_console, writes

if TYPE_CHECKING:
    from stages.timing.measure import Utterance

app = typer.Typer(help="Timing profiles: gaps, overlaps, pauses and backchannels.", no_args_is_help=True)


@app.command("fit")
def fit(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="RTTM or CTM files or Lhotse cuts (.jsonl), plain or gzipped, or corpora made by `build`.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Profile to write; name it in schedule.profile.")],
    merge_s: Annotated[
        float,
        typer.Option("--merge", min=0, help="Bridge a speaker's silences shorter than this, in seconds."),
    ] = 0.2,
) -> None:
    """Measure who speaks when, and write a profile for `schedule` to sample from."""
    import yaml

    from stages.timing.measure import Timing

    timing = Timing()
    for name in inputs:
        for utterances in _recordings(name):
            timing.add(utterances, merge_s)
    try:
        profile = timing.profile(", ".join(Path(name).name for name in inputs), merge_s)
    except ValueError as error:
        raise RequestError(f"Can't fit a profile to {', '.join(inputs)}: {error}.") from None
    with writes(out):
        out.write_text(yaml.safe_dump(profile.model_dump(mode="json"), sort_keys=False, width=120), "utf-8")
    out_console.print(f"Wrote {out}, measured on {profile.about}")


def _recordings(name: str) -> "Iterator[list[Utterance]]":
    from manifests.corpus import open_corpus
    from stages.timing.sources import of_cut, recordings

    if Path(name).is_file():
        yield from recordings(Path(name))
        return
    corpus = open_corpus(name)
    yield from (of_cut(cut) for split in corpus.splits for cut in corpus.cuts(split))
