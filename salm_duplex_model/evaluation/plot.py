"""A plot of an evaluation: how fast agents fall silent and answer, and their rates with intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import MaxNLocator

from salm_duplex_model.evaluation.bootstrap import Figure
from salm_duplex_model.evaluation.metrics import STOP_WITHIN_S
from salm_duplex_model.evaluation.scores import BY_TEXT, Scores

COLORS = ("#2a78b5", "#c2571a", "#3a8a5c", "#7a4fa3", "#b00020", "#8a7a1f", "#4a5568", "#c24f8a", "#1c9aa0")
"""One color per scene."""
BIN_S = 0.08
"""One frame."""
LATENCIES = {
    "barge_in_latency_s": ("barge-in latency: user's onset → agent silent", (0.0, STOP_WITHIN_S)),
    "first_response_latency_s": ("first response: user's end → agent's start", (-0.16, 2.96)),
}
RATES = (
    "barge_in_success_rate",
    "barge_in_yield_rate",
    "repeated_barge_in_success_rate",
    "barge_in_met_rate",
    "turn_taken_rate",
    "interruption_taken_rate",
    "turn_ended_rate",
    "false_alarm_rate",
    "pause_take_over_rate",
    "talk_over_share",
    "false_stop_rate",
    "side_talk_answer_rate",
    "wait_answer_rate",
    "chance_stop_rate",
    "unprompted_dialogue_share",
)


def write_plot(scores: Mapping[str, Sequence[Scores]], figures: Mapping[str, Mapping[str, Figure]], path: Path) -> None:
    """Histograms of both latencies, and the rates by audio (filled) and by the text channel (hollow), per test set."""
    height = 3.2 + 0.9 + 0.22 * len(RATES) * max(1, len(scores))
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        picture = Picture(figsize=(11, height), layout="constrained")
        axes = picture.subplot_mosaic("ab;cc", height_ratios=[3.2, height - 3.2])
        for place, (name, (title, bounds)) in zip("ab", LATENCIES.items(), strict=True):
            _histogram(axes[place], {key: _samples(own, name) for key, own in scores.items()}, title, bounds)
        _rates(axes["c"], figures)
        picture.savefig(path, dpi=110, metadata={"Software": None})


def _samples(scores: Sequence[Scores], name: str) -> list[float]:
    return [sample for one in scores for sample in one.samples[name]]


def _histogram(axes: Axes, samples: Mapping[str, list[float]], title: str, bounds: tuple[float, float]) -> None:
    low, high = bounds
    edges = np.arange(low, high + BIN_S / 2, BIN_S)
    for color, (name, own) in zip(_colors(len(samples)), samples.items(), strict=True):
        label = f"{name} (n = {len(own)}" + (f", median {np.median(own):.2f} s)" if own else ")")
        # Values beyond the range go into the outermost bins, so that none is lost.
        axes.hist(
            np.clip(own, low, high - 1e-6), edges.tolist(), color=color, histtype="step", linewidth=1.4, label=label
        )
    axes.set_title(title, fontsize=10)
    axes.set(xlabel="seconds", ylabel="events", xlim=bounds)
    axes.set_ylim(top=axes.get_ylim()[1] * (1.1 + 0.09 * len(samples)))  # room for the legend
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def _rates(axes: Axes, figures: Mapping[str, Mapping[str, Figure]]) -> None:
    step = 0.8 / max(1, len(figures))
    for position, (color, (name, own)) in enumerate(zip(_colors(len(figures)), figures.items(), strict=True)):
        for row, rate in enumerate(RATES):
            y = row + step * (position - (len(figures) - 1) / 2)
            for key, shift, face in ((rate, -step / 5, color), (BY_TEXT + rate, step / 5, "white")):
                found = own.get(key)
                if found is None or found.value is None:
                    continue
                if found.ci95:
                    axes.plot(found.ci95, [y + shift] * 2, color=color, linewidth=1)
                axes.plot(found.value, y + shift, "o", color=color, markerfacecolor=face, markersize=4.5)
        axes.plot([], [], "o", color=color, label=name)
    axes.plot([], [], "o", color="#666b76", markerfacecolor="white", label="by the text channel")
    axes.set_yticks(range(len(RATES)), [name.replace("_", " ") for name in RATES])
    axes.set(
        xlim=(-0.02, 1.02), ylim=(len(RATES) - 0.5, -0.5), xlabel="rate, with 95 % bootstrap interval over dialogues"
    )
    axes.grid(axis="x", color="#dcdad5", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _colors(number: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(number)]
