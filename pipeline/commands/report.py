"""`salm-duplex report`."""

from pipeline.commands.console import out_console, writes
from pipeline.commands.options import CorpusArgument


def command(corpus: CorpusArgument) -> None:
    """Regenerate a corpus's report.html and dataset card."""
    from manifests.corpus import open_corpus
    from pipeline.report.card import card
    from pipeline.report.page import report

    opened = open_corpus(corpus)
    with writes(opened.url):
        opened.store.write("README.md", card(opened).encode())
        opened.store.write("report.html", report(opened).encode())
    out_console.print(f"Wrote {opened.store.at('report.html')} and {opened.store.at('README.md')}")
