"""`salm-duplex report`."""

from pipeline.commands.console import out_console, writes
from pipeline.commands.options import CorpusArgument


def command(corpus: CorpusArgument) -> None:
    """Write the corpus's report.html and dataset card again."""
    from manifests.corpus import open_corpus
    from pipeline.report.card import card
    from pipeline.report.page import report

    opened = open_corpus(corpus)
    with writes(corpus):
        (corpus / "README.md").write_text(card(opened), "utf-8")
        (corpus / "report.html").write_text(report(opened), "utf-8")
    out_console.print(f"Wrote {corpus / 'report.html'} and {corpus / 'README.md'}")
