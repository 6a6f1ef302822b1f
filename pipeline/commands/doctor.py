"""`salm-duplex doctor`."""

from rich.markup import escape
from rich.table import Table

from manifests.errors import WorkError
from pipeline.commands.console import print_json, print_wide
from pipeline.commands.options import JsonOption


def command(as_json: JsonOption = False) -> None:
    """List which components are usable here, and how to install the others."""
    from pipeline.doctor import examine

    findings = examine()
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        table = Table("component", "usable", "for", "found, or how to install", box=None, pad_edge=False)
        for f in findings:
            table.add_row(f.component, "[green]yes[/]" if f.usable else "[yellow]no[/]", f.purpose, escape(f.detail))
        print_wide(table)
    if not all(finding.usable for finding in findings if finding.needed):
        raise WorkError("An embedded default is not usable; install the project again with `pip install .`.")
