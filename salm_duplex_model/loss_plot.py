"""A plot of a run's loss curve, from its log."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure


def write_loss_plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Losses of text, codes and, if any, the user's text in nats per token over steps: training, validation, and the unigram
    entropy as a baseline."""
    channels = ["text", "codes", *(["user_text"] if rows and "user_text" in rows[-1] else [])]
    validated = [row for row in rows if "validation_text" in row]
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=(5 * len(channels), 4), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(channels)), channels, strict=True):
            axes.plot(
                [r["step"] for r in rows], [r.get(name) for r in rows], color="#9aa5b1", linewidth=0.8, label="training"
            )
            if validated:
                steps = [r["step"] for r in validated]
                axes.plot(
                    steps, [r[f"validation_{name}"] for r in validated], "o-", color="#2a78b5", label="validation"
                )
                axes.axhline(validated[-1][f"unigram_{name}"], color="#b00020", linestyle="--", label="unigram")
            axes.set(title=f"{name.replace('_', ' ')} channel", xlabel="step", ylabel="nats per token")
            axes.set_ylim(bottom=0)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False)
        figure.savefig(path, dpi=110, metadata={"Software": None})
