"""The `salm-duplex` command: its subcommands (`pipeline/commands/`) and its exit codes."""

import os
import sys
from typing import Annotated

import typer
from rich.markup import escape

from manifests.errors import RequestError, WorkError
from pipeline.commands import (
    asr_qa,
    audit,
    browse,
    build,
    codec,
    converse,
    doctor,
    evaluate,
    export,
    inspect,
    look,
    plan,
    profile,
    recipe,
    report,
    reward,
    scenes,
    serve,
    slim,
    stage,
    train,
    tune,
    vad,
)
from pipeline.commands.console import err_console, out_console
from pipeline.signals import Stopped, stop_on_signals

app = typer.Typer(
    name="salm-duplex",
    help="Text dialogues in, two-channel full-duplex speech corpora out.\n\n"
    "Start with: salm-duplex build dialogues.jsonl --out CORPUS",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        from salm_duplex import __version__

        out_console.print(f"salm-duplex {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command("look")(look.command)
app.command("build")(build.command)
app.command("asr-qa")(asr_qa.command)
app.command("scenes")(scenes.command)
app.command("plan")(plan.command)
app.command("stage")(stage.command)
app.command("report")(report.command)
app.command("browse")(browse.command)
app.command("inspect")(inspect.command)
app.command("audit")(audit.command)
app.command("export")(export.command)
app.command("recipe")(recipe.command)
app.command("train")(train.command)
app.command("reward")(reward.command)
app.command("tune")(tune.command)
app.command("evaluate")(evaluate.command)
app.command("slim")(slim.command)
app.command("converse")(converse.command)
app.command("serve")(serve.command)
app.command("doctor")(doctor.command)
app.add_typer(codec.app, name="codec")
app.add_typer(profile.app, name="profile")
app.add_typer(vad.app, name="vad")

RESUMED = ("build", "asr-qa", "scenes", "export", "train", "reward", "codec train")
"""The commands that, run again after a stop, resume."""


def main() -> None:
    """Run the command line. A user's mistake becomes one sentence and exit code 2; failed or stopped work, one and exit code 1."""
    stop_on_signals()
    try:
        app(prog_name="salm-duplex")
    except RequestError as error:
        err_console.print(f"[bold red]salm-duplex:[/] {escape(str(error))}")
        sys.exit(2)
    except WorkError as error:
        err_console.print(f"[bold red]salm-duplex:[/] {escape(str(error))}")
        sys.exit(1)
    except Stopped:
        resumes = " ".join(sys.argv[1:3]).startswith(RESUMED)
        kept = "; what is finished is kept, and the same command resumes" if resumes else ""
        err_console.print(f"[bold red]salm-duplex:[/] stopped{kept}.")
        sys.exit(1)


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "120")
    main()
