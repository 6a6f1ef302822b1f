"""`salm-duplex audit`: whether a corpus reveals the future, and what else it gives away."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import pandas as pd

from manifests.corpus import Corpus
from manifests.progress import Progress
from manifests.records import Voice, split_voices
from pipeline.audit.checks import CHANCE, Observation, edge_errors, edges_agree, level_auc, observe, uneven
from pipeline.audit.features import AgentTurn, Moment, Reading, agent_turns, script_of, token_kinds
from pipeline.audit.probe import LEAST, foresight
from salm_duplex_model.evaluation.bootstrap import Figure
from salm_duplex_model.tokenizer import TextTokenizer

EDGES = 0.99
"""The share of edges that must match."""
SOUNDS = 200
"""Number of dialogues whose audio is examined."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `passed` is None if the corpus is too small for a verdict; `value` is compared with
    `bound`."""

    question: str
    value: float | None
    bound: float | None
    n: int
    passed: bool | None
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def audit(corpus: Corpus, tokenizer: TextTokenizer, limit: int, progress: Progress) -> list[Finding]:
    """Run every check on the first `limit` dialogues of a corpus, in proportion to its splits."""
    turns: dict[Reading, list[AgentTurn]] = {"ours": [], "nemo": []}
    kinds = token_kinds(tokenizer)
    levels: list[Observation] = []
    edges: list[list[float]] = []
    total = min(limit, sum(corpus.info["statistics"]["dialogues"].values()))
    cuts = (cut for split in corpus.splits for cut in corpus.cuts(split))
    for number, cut in enumerate(islice(cuts, limit), 1):
        for reading, found in turns.items():
            found += agent_turns(cut, tokenizer, kinds, reading)
        if one := observe(cut):
            levels.append(one)
        if len(edges) < SOUNDS:
            edges.append(edge_errors(cut))
        progress(number, total, "reading")
    progress(total, total, "probing")
    rows = corpus.dialogues.read("id", "split", "user_voice", "barge_ins", "backchannels")
    return [
        _foreseen("the user's start, from the agent's channel", turns["ours"], "onset"),
        _foreseen("the user's start, from the agent's channel as NeMo reads it", turns["nemo"], "onset"),
        _foreseen("the agent's cut-off, from its channel", turns["ours"], "cut"),
        _level(levels),
        *_spread(rows),
        _edges(edges),
    ]


def failed(findings: Iterable[Finding]) -> bool:
    return any(finding.passed is False for finding in findings)


def _foreseen(what: str, turns: list[AgentTurn], moment: Moment) -> Finding:
    found = foresight(turns, moment)
    bound = found.age.ci95[1] if found.age.ci95 else None
    passed = None if found.leaks is None else not found.leaks
    detail = (
        f"AUC {_figure(found.channel)}; from the turn's age alone {_figure(found.age)}; {found.events} interruptions"
    )
    return Finding(f"predicted one second ahead: {what}", found.channel.value, bound, found.channel.n, passed, detail)


def _level(levels: list[Observation]) -> Finding:
    """The interval must contain 0.5: a dialogue's interruptions must not depend on its level."""
    area = level_auc(levels)
    if area.value is None or area.ci95 is None or min(Counter(one.interrupted for one in levels).values()) < LEAST:
        return Finding("revealed by the user's level: an interruption", area.value, None, len(levels), None, "AUC")
    low, high = area.ci95
    return Finding(
        "revealed by the user's level: an interruption",
        area.value,
        0.5,
        len(levels),
        low <= 0.5 <= high,
        f"AUC {_figure(area)}; the interval must contain 0.5",
    )


def _spread(rows: pd.DataFrame) -> Iterator[Finding]:
    speakers = [{Voice.parse(voice).speaker for voice in split_voices(joined)} for joined in rows["user_voice"]]
    first = rows.assign(speaker=[min(own, default="") for own in speakers])
    once = first[~first["id"].map(script_of).duplicated()]
    for event in ("barge_ins", "backchannels"):
        for by, title in (("speaker", "the user's voice"), ("split", "the split")):
            chance = uneven(once, by, event)
            name = f"revealed by {title}: {event.replace('_', '-')}"
            passed = None if chance is None else chance >= CHANCE
            yield Finding(name, chance, CHANCE, len(once), passed, "p-value of the chi-squared test for an even spread")
    seen: dict[str, set[str]] = {}
    for own, split in zip(speakers, rows["split"], strict=True):
        for speaker in own - {""}:
            seen.setdefault(speaker, set()).add(split)
    shared = sorted(speaker for speaker, splits in seen.items() if len(splits) > 1)
    detail = f"for example, {shared[0]}" if shared else ""
    yield Finding("user voices in more than one split", float(len(shared)), 0.0, len(seen), not shared, detail)


def _edges(errors: list[list[float]]) -> Finding:
    share = edges_agree(errors)
    passed = None if share.value is None else share.value >= EDGES
    detail = f"within two frames, in the clean channels of {len(errors)} dialogues"
    return Finding("turn labels that match the sound", share.value, EDGES, share.n, passed, detail)


def _figure(figure: Figure) -> str:
    if figure.value is None:
        return "unknown"
    interval = f" ({figure.ci95[0]:.3f}–{figure.ci95[1]:.3f})" if figure.ci95 else ""
    return f"{figure.value:.3f}{interval}"
