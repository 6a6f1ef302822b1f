"""report.html: a corpus's statistics, its timing in plots, and dialogues to hear and to see. One file, no network."""

import base64
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import numpy as np
import soundfile
from lhotse import MonoCut
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from manifests.corpus import Corpus
from manifests.frames import FRAME_SECONDS, TARGET_RATE
from manifests.pcm import to_float
from pipeline.report.inspection import MARKS, lost_text, stereo, voices
from pipeline.report.timeline_plot import PIXELS_PER_SECOND, barge_ins, lane_names_svg, lay_out, timeline_svg

TEMPLATE = Path(__file__).parent / "report.html.j2"
EXAMPLES = 5
LONGEST_EXAMPLE_S = 60.0
ALL_EXAMPLES_S = EXAMPLES * LONGEST_EXAMPLE_S
"""What all examples may last together: five minutes are about 4 MB of page."""
SPLIT_ORDER = {"test": 0, "validation": 1, "train": 2}
TIMES = (
    ("agent_gap_s", "agent's gap", "s"),
    ("user_gap_s", "user's gap, barge-ins left out", "s"),
    ("cut_off_s", "cut-off", "s"),
    ("words_lost_to_a_cut", "words lost to a cut-off", "words"),
    ("turn_s", "turn", "s"),
    ("dialogue_s", "dialogue", "s"),
    ("edge_error_s", "edge of a turn, as heard after its label", "s"),
    ("least_heard", "share of a turn's speech that is heard, the least of a dialogue", ""),
    ("extra_speech_s", "longest extra speech of a dialogue", "s"),
    ("user_wer", "word error rate of a user's turn", ""),
    ("agent_wer", "word error rate of an agent's turn, before the codec", ""),
    ("coded_wer", "word error rate of an agent's turn, after the codec", ""),
)
"""The statistics that are quantiles: their key in corpus.json, what they are called, their unit."""
INKS = {"#010203": "var(--ink)", "#010204": "var(--soft)", "#010205": "var(--line)"}
BARS = {"agent": "#010206", "user": "#010207", "event": "#010208"}
"""Stand-ins that matplotlib can draw with, for colours that the page's style decides, by day and by night."""

Row = dict[str, Any]


def report(corpus: Corpus) -> str:
    """The page. No path and no clock time: equal corpora have equal reports."""
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        TEMPLATE.read_text("utf-8")
    )
    return template.render(
        recipe_id=corpus.dialogues[0]["recipe"] if corpus.dialogues else "",
        seed=corpus.info["identity"]["recipe"]["seed"],
        statistics=corpus.info["statistics"],
        splits=[_split_row(corpus, split) for split in corpus.splits],
        times=[(key, name, unit, corpus.info["statistics"].get(key)) for key, name, unit in TIMES],
        rejected=_rejected(corpus),
        plots=_plots(corpus),
        examples=[_example(cut, split) for cut, split in _example_cuts(corpus)],
        pixels_per_second=PIXELS_PER_SECOND,
    )


def _split_row(corpus: Corpus, split: str) -> Row:
    rows = [row for row in corpus.dialogues if row["split"] == split]
    return {
        "split": split,
        "dialogues": len(rows),
        "hours": sum(row["duration_s"] for row in rows) / 3600,
        "user_speech_hours": sum(row["user_speech_s"] for row in rows) / 3600,
        "agent_speech_hours": sum(row["agent_speech_s"] for row in rows) / 3600,
        "turns": sum(row["turns"] for row in rows),
        "words": sum(row["user_words"] + row["agent_words"] for row in rows),
        "barge_ins": sum(row["barge_ins"] for row in rows),
        "with_barge_in": sum(row["barge_ins"] > 0 for row in rows),
        "user_voices": len({row["user_voice"] for row in rows}),
    }


def _rejected(corpus: Corpus) -> list[Row]:
    """A row for each reason: its stage, how many dialogues, the first of them as an example."""
    rows = []
    for name, number in corpus.info["statistics"]["rejected_by_reason"].items():
        first = next(row for row in corpus.rejected if f"{row['stage']}/{row['reason']}" == name)
        rows.append({"name": name, "number": number, "id": first["id"], "message": first["message"]} | first)
    return rows


# Examples


def _example_cuts(corpus: Corpus) -> list[tuple[MonoCut, str]]:
    """The cuts of the example dialogues and their splits, in the order of the choice."""
    chosen = choose_examples(corpus.dialogues)
    found: dict[str, MonoCut] = {}
    for split in corpus.splits:
        missing = {row["id"] for row in chosen if row["split"] == split}
        for cut in corpus.cuts(split) if missing else ():
            if cut.id in missing:
                found[cut.id] = cut
                missing.discard(cut.id)
                if not missing:
                    break
    return [(found[row["id"]], row["split"]) for row in chosen]


def choose_examples(rows: Sequence[Row]) -> list[Row]:
    """Up to five dialogues short enough to hear: four with a barge-in and one without, where there are such, of different
    lengths, the test's voices first. Longer ones only where there are no others, and never more than five minutes."""
    by_length = sorted(rows, key=lambda row: (row["duration_s"], row["id"]))
    short = [row for row in by_length if row["duration_s"] <= LONGEST_EXAMPLE_S] or by_length[:EXAMPLES]
    lively, calm = [row for row in short if row["barge_ins"]], [row for row in short if not row["barge_ins"]]
    number = min(len(lively), EXAMPLES - 1 if calm else EXAMPLES)
    chosen = _spread(lively, number) + _spread(calm, min(len(calm), EXAMPLES - number))
    heard = np.cumsum([row["duration_s"] for row in chosen])
    return [row for row, until in zip(chosen, heard, strict=True) if until <= ALL_EXAMPLES_S]


def _spread(by_length: list[Row], number: int) -> list[Row]:
    """One row from each of `number` classes of length: the test's before validation's before train's, more turns first."""
    edges = np.linspace(0, len(by_length), number + 1).astype(int)
    return [
        min(by_length[first:last], key=lambda row: (SPLIT_ORDER[row["split"]], -row["turns"], row["id"]))
        for first, last in itertools.pairwise(edges)
    ]


def _example(cut: MonoCut, split: str) -> Row:
    layout = lay_out(cut)
    return {
        "id": cut.id,
        "split": split,
        "duration": cut.duration,
        "frames": round(cut.duration / FRAME_SECONDS),
        "system_prompt": cut.custom.get("system_prompt", ""),
        "voices": [(speaker, ", ".join(voices(cut, speaker))) for speaker in ("user", "agent")],
        "audio": base64.b64encode(_mp3(cut)).decode(),
        "names": lane_names_svg(layout),
        "svg": timeline_svg(layout),
        "turns": _turns(cut),
    }


def _mp3(cut: MonoCut) -> bytes:
    """Both channels as MP3 of 64 kbit/s; of one bit rate, so that a browser seeks exactly.

    Written from floats: libsndfile 1.2.2 makes noise of half of a stereo file's int16 samples (its pull request 1106).
    """
    audio = io.BytesIO()
    samples = to_float(stereo(cut))
    soundfile.write(audio, samples, TARGET_RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=0.6)
    return audio.getvalue()


def _turns(cut: MonoCut) -> list[Row]:
    cut_off_after = {agent.id: agent.end - user.start for agent, user in barge_ins(cut.supervisions)}
    return [
        {
            "speaker": s.speaker,
            "start": s.start,
            "end": s.end,
            "text": s.text,
            "lost": lost_text(s),
            "mark": MARKS[s.custom["event"]],
            "recorded": s.custom.get("speech") == "recording",
            "pauses": [length for _, length in s.custom.get("pauses", ())],
            "cut_off_after": cut_off_after.get(s.id),
        }
        for s in cut.supervisions
    ]


# Plots


@dataclass(frozen=True, slots=True)
class Histogram:
    """A plot: what it shows and how that is measured. `marks` are the recipe's values."""

    title: str
    definition: str
    unit: str
    values: list[float]
    colour: str
    marks: tuple[float, ...] = ()
    from_zero: bool = True


def _plots(corpus: Corpus) -> list[Row]:
    return [
        {"title": plot.title, "definition": plot.definition, "n": len(plot.values), "svg": _histogram_svg(plot)}
        for plot in _histograms(corpus.dialogues, corpus.info["identity"]["recipe"])
        if plot.values
    ]


def _histograms(rows: Sequence[Row], recipe: dict[str, Any]) -> list[Histogram]:
    # A class of the user's own may have another schedule's settings: what is not there is not marked.
    schedule, verify = recipe.get("schedule", {}), recipe.get("verify", {})

    def all_of(column: str) -> list[float]:
        return [value for row in rows for value in row.get(column) or ()]

    def known(column: str) -> list[float]:
        return [row[column] for row in rows if row.get(column) is not None]

    edge = [frames * FRAME_SECONDS for frames in _numbers(verify, "edge_frames")]

    return [
        Histogram(
            "Agent's gap",
            "From the end of the user's turn to the start of the agent's, which falls on a frame of 80 ms, at least the "
            "recipe's silence after both have fallen silent.",
            "seconds", all_of("agent_gaps_s"), "agent", _numbers(schedule, "agent_gap_s"), from_zero=False,
        ),
        Histogram(
            "User's gap",
            "From the end of the agent's turn to the start of the user's. Below zero both are heard at once: barge-ins.",
            "seconds", all_of("user_gaps_s"), "user",
            _numbers(schedule, "user_gap_s", "low") + _numbers(schedule, "user_gap_s", "high"), from_zero=False,
        ),
        Histogram(
            "Cut-off",
            "From the user's onset in a barge-in to the agent's silence.",
            "seconds", all_of("cut_offs_s"), "event", _numbers(schedule, "barge_in", "cut_off_s"),
        ),
        Histogram(
            "Words lost",
            "Words of the agent's turn that a cut-off took: written, and not heard.",
            "words", all_of("words_lost"), "event",
        ),
        Histogram("Turns", "How long a turn is heard.", "seconds", all_of("turn_seconds"), "user"),
        Histogram(
            "Dialogues", "How long a dialogue lasts, silence included.",
            "seconds", [row["duration_s"] for row in rows], "user",
        ),
        Histogram(
            "Edges",
            "From where a turn's label starts or ends to where a voice activity model hears it start or end.",
            "seconds", all_of("edge_errors_s"), "agent", (*(-value for value in edge), *edge), from_zero=False,
        ),
        Histogram(
            "Speech heard", "How much of a turn's labelled speech is heard as speech: the least of each dialogue.",
            "share", known("least_heard"), "event", _numbers(verify, "heard"),
        ),
        Histogram(
            "Extra speech", "The longest stretch of a dialogue in which speech is heard and no label has any.",
            "seconds", known("extra_speech_s"), "event", _numbers(verify, "extra_s"),
        ),
        Histogram(
            "User's words wrong", "Word error rate of a user's turn, by the recipe's recognizer.",
            "word error rate", all_of("user_wers"), "user", _numbers(verify, "wer"),
        ),
        Histogram(
            "Agent's words wrong", "Word error rate of an agent's turn, as it was synthesized.",
            "word error rate", all_of("agent_wers"), "agent", _numbers(verify, "wer"),
        ),
        Histogram(
            "Agent's words wrong, after the codec", "Word error rate of the same turns, as the codec gives them back.",
            "word error rate", all_of("coded_wers"), "agent",
        ),
    ]  # fmt: skip


def _numbers(settings: Any, *keys: str) -> tuple[float, ...]:
    """The recipe's number at these keys; empty where there is none."""
    for key in keys:
        settings = settings.get(key) if isinstance(settings, dict) else None
    return (float(settings),) if isinstance(settings, int | float) else ()


def _histogram_svg(plot: Histogram, bins: int = 40) -> str:
    """The plot as inline SVG with text as text; the same values give the same bytes."""
    values = np.asarray(plot.values, dtype=np.float64)
    span = [values.min(), values.max(), *plot.marks, *([0.0] if plot.from_zero else [])]
    low, high = float(min(span)), float(max(span))
    margin = 0.1 * (high - low) or 0.5
    # Nothing is left out: the axis holds the least and the greatest value.
    edges = np.linspace(low if plot.from_zero else low - margin, high + margin, bins + 1)
    if plot.unit == "words":
        step = max(1, int(high) // bins)
        edges = np.arange(-0.5, high + step + 0.5, step)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": plot.title, "font.size": 9})
        figure = Figure(figsize=(4.4, 2.0), layout="constrained")
        axes = figure.add_subplot()
        axes.hist(values, edges.tolist(), color=BARS[plot.colour], rwidth=0.9)
        for mark in plot.marks:
            axes.axvline(mark, color="#010203", linewidth=1, linestyle=(0, (3, 2)))
        if plot.marks:
            unit = " s" if plot.unit == "seconds" else ""
            named = "recipe: " + " to ".join(f"{mark:g}" for mark in plot.marks) + unit
            axes.set_title(named, fontsize=9, loc="right", color="#010203", pad=4)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(plot.unit, color="#010204")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.grid(axis="y", color="#010205", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, pad=7, labelcolor="#010204")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color("#010205")
        drawn = io.StringIO()
        figure.savefig(
            drawn, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _inline(drawn.getvalue(), f"Histogram: {plot.title}, in {plot.unit}")


def _inline(svg: str, name: str) -> str:
    """Matplotlib's SVG document as an element of the page, in the page's colours and font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(
        r"<svg [^>]*?viewBox=", f'<svg class="plot" role="img" aria-label="{escape(name)}" viewBox=', svg, count=1
    )
    for pattern, put in (
        (r'( version="[^"]*"| xmlns(:\w+)?="[^"]*")', ""),
        (r"<defs>\s*<style.*?</style>\s*</defs>", ""),  # it would reach beyond the plot
        (r'<g id="[^"]*"', "<g"),  # equal in every plot, and nothing refers to them
        (r"<!--.*?-->\s*", ""),
        (r"font-family: [^;]*;", "font-family: inherit;"),
    ):
        svg = re.sub(pattern, put, svg, flags=re.DOTALL)
    for stand_in, colour in (INKS | {hexed: f"var(--{name})" for name, hexed in BARS.items()}).items():
        svg = svg.replace(stand_in, colour)
    return svg
