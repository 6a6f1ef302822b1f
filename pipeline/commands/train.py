"""`salm-duplex train`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pipeline.commands.console import out_console, print_json, progress_shown
from pipeline.commands.options import JsonOption


def command(
    corpus: Annotated[
        list[str],
        typer.Option("--corpus", help="A corpus made by `build`: path or URL. Repeat to mix several."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Run folder. An unfinished run is resumed.")],
    preset: Annotated[
        str, typer.Option("--preset", help="tiny, small, tinyllama, or a YAML file in the same format.")
    ] = "tiny",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a preset key. Repeatable."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers", min=1, help="Data-parallel processes under Ray Train, one GPU each if there are GPUs."
        ),
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print parameter counts, memory, step time and schedule, and exit.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the SALM-Duplex model on one or more corpora. Rerun the same command to resume from the last checkpoint."""
    from pipeline.train import load_config, plan, run_training
    from salm_duplex_model.stream import open_for_training

    config = load_config(preset, set_ or [])
    for path in corpus:
        open_for_training(path)
    needs = plan(config, workers, timed=dry_run)
    if dry_run:
        _print_estimate(needs, config.optimizer.steps, as_json)
        return
    with progress_shown("steps", quiet=as_json) as progress:
        result = run_training(corpus, out, config, workers, progress)
    if as_json:
        print_json({"run": str(out), **result})
        return
    table = Table("channel", "validation loss", "unigram baseline", box=None, pad_edge=False)
    for name in ("text", "codes"):
        table.add_row(name, f"{result[f'validation_{name}']:.3f}", f"{result[f'unigram_{name}']:.3f}")
    out_console.print(f"[bold]{escape(str(out))}[/]: {result['step']} steps; nats per token:")
    out_console.print(table)
    out_console.print(f"See {out / 'loss.png'}, or tensorboard --logdir {out}")


def _print_estimate(needs: Any, steps: int, as_json: bool) -> None:
    if as_json:
        print_json(needs.as_dict())
        return
    table = Table("part", "parameters", "trained", box=None, pad_edge=False)
    for part, (every, trained) in needs.parameters.items():
        table.add_row(part, f"{every:,}", f"{trained:,}")
    out_console.print(table)
    gib = 2**30
    out_console.print(
        f"memory per process: about {needs.weights_bytes / gib:.2f} GiB for weights, gradients and optimizer state, "
        f"{needs.activations_bytes / gib:.2f} GiB for activations; {needs.free_bytes / gib:.2f} GiB free"
    )
    out_console.print(
        f"one step of {needs.frames_a_step} frames ({needs.frames_a_step * 0.08:.0f} s of dialogue): about "
        f"{needs.step_seconds:.2f} s on this machine; {steps} steps: {steps * needs.step_seconds / 60:.1f} min"
    )
    rates = ", ".join(f"{rate:.2e} at step {step}" for step, rate in needs.learning_rates.items())
    out_console.print(f"learning rate: {rates}")
