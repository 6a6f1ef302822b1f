"""`salm-duplex audit`."""

from typing import Annotated

import typer
from rich.table import Table

from manifests.errors import WorkError
from pipeline.commands.console import out_console, print_json, progress_shown, writes
from pipeline.commands.options import CorpusArgument, JsonOption

VERDICTS = {True: "[green]passed[/]", False: "[bold red]failed[/]", None: "[dim]too few[/]"}


def command(
    corpus: CorpusArgument,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="The LLM's tokenizer: a folder or a hub name. Default: the bundled one.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Dialogues to examine.")] = 2_000,
    as_json: JsonOption = False,
) -> None:
    """Check that a corpus does not reveal the future, and that nothing else gives its events away.

    A probe that sees only the agent's channel must not tell the second before an interruption from the second before a moment
    at which a turn could have been interrupted. Writes audit.json and updates the report. Exits with 1 if a check fails.
    """
    import json

    from manifests.corpus import open_corpus
    from pipeline.audit.verdict import audit, failed
    from pipeline.report.page import report
    from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer

    opened = open_corpus(corpus)
    with progress_shown("dialogues", quiet=as_json) as progress:
        findings = audit(opened, TextTokenizer.load(tokenizer or BUNDLED), limit, progress)
    result = {"dialogues": limit, "tokenizer": tokenizer or "bundled", "findings": [one.as_dict() for one in findings]}
    with writes(opened.url):
        opened.store.write("audit.json", (json.dumps(result, indent=1) + "\n").encode())
        opened.store.write("report.html", report(opened).encode())
    if as_json:
        print_json(result)
    else:
        table = Table("question", "value", "bound", "n", "", "", box=None)
        for one in findings:
            value, bound = ("–" if number is None else f"{number:.3f}" for number in (one.value, one.bound))
            table.add_row(one.question, value, bound, str(one.n), VERDICTS[one.passed], one.detail)
        out_console.print(table)
    if failed(findings):
        names = ", ".join(one.question for one in findings if one.passed is False)
        raise WorkError(f"{opened.url} failed its audit: {names}.")
