"""The dataset card: a README.md in Hugging Face's format, from the corpus's own numbers."""

from typing import Any

import yaml

from manifests.columns import COLUMNS, distributions, numbers
from manifests.corpus import Corpus
from manifests.figures import Column, Distribution, Number
from pipeline.report.statistics import label_rows
from stages.text.languages import ENGLISH

_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
"""Hugging Face's size categories, by powers of ten from a thousand."""

SHOWN = 20
"""Maximum number of unused contents of the input listed; `corpus.json` has all."""


def card(corpus: Corpus) -> str:
    """The card of the corpus. It contains no paths or clock times: equal corpora have equal cards."""
    # Hugging Face's viewer shows the Parquet tables; one without rows would make it fail.
    tables = (("dialogues", "manifest", corpus.dialogues), ("rejected", "rejected", corpus.rejected))
    configs = [{"config_name": name, "data_files": f"{folder}/*.parquet"} for name, folder, rows in tables if len(rows)]
    columns = [(f"`{c.name}`", f"`{c.type}`", c.unit, c.definition) for c in COLUMNS]
    return compose_card(
        corpus,
        {"configs": configs} if configs else {},
        f"{_FORMAT}\n\n{_table(('column', 'type', 'unit', ''), columns)}",
        ("lhotse", "nemo"),
    )


def compose_card(corpus: Corpus, data: dict[str, Any], format: str, tags: tuple[str, ...] = ()) -> str:
    """Markdown with a YAML header, in which `data` has the locations of the files; `format` is the section that
    describes them."""
    recipe_id = corpus.recipe_id or "(empty)"
    title = f"salm-duplex corpus {recipe_id}"
    header = yaml.safe_dump(_header(corpus, title, tags) | data, sort_keys=False).strip()
    parts = (
        f"---\n{header}\n---\n\n# {title}",
        _INTRODUCTION,
        _table(("", "", ""), _figures(corpus.info["statistics"])),
        format,
        "## How it was made\n\n" + " ".join(_making(corpus.info, recipe_id)),
        "Versions: " + ", ".join(f"{name} {version}" for name, version in corpus.info["identity"]["versions"].items()),
        "Input, with its SHA-256:\n\n" + _inputs(corpus.info["identity"]["inputs"]),
        _LIMITS,
    )
    return "\n\n".join(parts) + "\n"


def _header(corpus: Corpus, title: str, tags: tuple[str, ...]) -> dict[str, Any]:
    total = sum(corpus.info["statistics"]["dialogues"].values())
    return {
        "language": [_language(corpus.info["identity"]["recipe"])],
        "pretty_name": title,
        "license": "other",
        "license_name": "as-the-input-dialogues",
        "task_categories": ["audio-to-audio", "text-to-speech", "automatic-speech-recognition"],
        "tags": ["full-duplex", "spoken-dialogue", "speech-to-speech", "barge-in", "synthetic", *tags],
        "annotations_creators": ["machine-generated"],
        "size_categories": [_SIZES[min(max(len(str(total)) - 3, 0), len(_SIZES) - 1)]],
    }


def _language(recipe: dict[str, Any]) -> str:
    """The language of the dialogues, as an ISO 639-1 code."""
    return str(recipe.get("speak", {}).get("language") or recipe.get("ingest", {}).get("language") or ENGLISH)


def _figures(statistics: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """Title, value and, for distributions, definition of every figure."""
    return [
        ("dialogues read", statistics["dialogues_read"], ""),
        ("dialogues", sum(statistics["dialogues"].values()), ""),
        ("rejected", statistics["rejected"], ""),
        *((f"rejected by {name}", number, "") for name, number in statistics["rejected_by_reason"].items()),
        *(
            (f"not used: {_code(name)}", number, "")
            for name, number in [*statistics.get("not_used", {}).items()][:SHOWN]
        ),
        *(row for _, figure in numbers() for row in _number(figure, statistics)),
        *(
            (f"dialogues with the label {_code(name)}", number, _code(values) if values else "")
            for name, number, values in label_rows(statistics)
        ),
        *(
            _spread(column, figure, values)
            for column, figure in distributions()
            if (values := statistics.get(figure.key))
        ),
    ]


def _number(figure: Number, statistics: dict[str, Any]) -> list[tuple[str, Any, str]]:
    if not figure.title or figure.key not in statistics:
        return []
    value = statistics[figure.key]
    if figure.each_split:
        return [(f"{figure.title} in {split}", number, "") for split, number in value.items()]
    if isinstance(value, dict):
        return [(f"{figure.title}: {_code(name)}", number, "") for name, number in value.items()]
    return [(figure.title, "–" if value is None else value, "")]


def _spread(column: Column, figure: Distribution, values: dict[str, Any]) -> tuple[str, str, str]:
    median = f"{values['median']} {column.unit}".strip()
    return (
        figure.counted,
        f"median {median} (10 %: {values['p10']}, 90 %: {values['p90']}, n = {values['n']})",
        column.definition,
    )


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, ("---",) * len(head), *rows))


def voice_licenses(info: dict[str, Any]) -> list[tuple[str, str]]:
    """Which engines speak in a corpus, and the license of each one's voices, from its `corpus.json`."""
    return sorted({(v["engine"], v["license"]) for v in info.get("voices", {}).values() if "engine" in v})


def _making(info: dict[str, Any], recipe_id: str) -> list[str]:
    """Sentences on the recipe; a custom stage without the embedded one's settings is not mentioned."""
    recipe, schedule = info["identity"]["recipe"], info["identity"]["recipe"].get("schedule", {})
    sentences = [f"Recipe `{recipe_id}`, seed {recipe['seed']}; the whole recipe is in `corpus.json`."]
    if (gap := schedule.get("agent_gap_s")) is not None:
        sentences.append(f"The agent waits {gap} s before it speaks.")
    if isinstance(barge_in := schedule.get("barge_in"), dict):
        sentences.append(
            f"Of the dialogues with a long enough agent turn, the target share with a barge-in is {100 * barge_in['share']:g} %; "
            f"the agent falls silent {barge_in['cut_off_s']} s after the user's onset."
        )
    if voices := info["statistics"]["agent_voices"]:
        sentences.append(f"The agent's voice: {', '.join(map(_code, voices))}.")
    sentences += [f"The voices are by {engine}; their license: {license}." for engine, license in voice_licenses(info)]
    # A codec's path would differ between machines; only its content matters.
    for facts in info.get("made_by", {}).get("tokenize", []):
        if "codec_sha256" in facts:
            sentences.append(f"The codec: SHA-256 `{facts['codec_sha256']}`, run on {facts.get('device', 'cpu')}.")
    return sentences


def _inputs(inputs: dict[str, str]) -> str:
    return "\n".join(f"* {_code(name.partition(':')[2])}: `{digest}`" for name, digest in inputs.items())


def _code(text: str) -> str:
    """Text that Markdown renders literally."""
    return f"`{' '.join(text.replace('`', '’').split())}`"


_INTRODUCTION = """\
Synthetic two-channel conversations between a user and a voice agent, made from text dialogues by salm-duplex following
SALM-Duplex (arXiv 2505.15670): the agent can be interrupted, and falls silent."""

_FORMAT = """\
## Format

One folder per split, in Lhotse Shar format; `report.html` has plots and dialogues to listen to. With Lhotse:

```python
from lhotse import CutSet

for cut in CutSet.from_shar(in_dir="train"):
    user, agent = cut.load_audio(), cut.load_target_audio()  # (1, samples) at 16 000 Hz and at 22 050 Hz
    codes = cut.load_target_codes()  # int16 (frames, 4)
    turns = [(s.start, s.speaker, s.text, s.event, s.cut_off) for s in cut.supervisions]
```

With NeMo:

```yaml
input_cfg:
  - type: lhotse_shar
    shar_path: train
```

A cut has

* `recording`: the user's channel, 16 000 Hz; `target_audio`: the agent's, 22 050 Hz; both last the same whole number of
  80 ms frames;
* `target_codes`: the codec's codes of the agent's channel, int16 (frames, 4), 4 032 codes in each codebook; each turn is
  encoded separately, a cut-off one as if it had continued, and the frames between turns have the same silence code, so that no
  code reveals what comes next;
* `supervisions`, one for each turn, ordered by start: `speaker` (user or agent), `text` as laid out at one token per frame (see below),
  `alignment["word"]`, and custom `event` (turn, barge_in, backchannel, false_start or side_talk), `cut_off`, `text_heard` (the words heard completely),
  `text_full` (including what a cut-off removed), `cut_word` ([word, start in seconds] of the word that is cut off),
  `text_written` (as in the input; for an answer in parts, in the first of them), `edit` for a turn that differs from the input (shortened: the first sentences of an answer;
  part: of an answer in several turns; added: a user turn between these), `left_out` for contents that are not read aloud (code and table, replaced by a phrase, and stage direction), `voice`, `speech` (synthesis or recording), `word_times` (how word times were found), for inserted silences `pauses`
  ([start, length] in seconds), for hesitations and corrections `disfluencies` ([hesitation or self_correction, words, start, length
  in seconds]), `act` (the function of the turn: reprompt, the agent asks again after a long silence; wait and stop, the user silences the agent; go_on and
  resume, the agent resumes at the start of the interrupted sentence), for a barge-in `barge_in` (`place`: early, middle or late, by thirds of the agent's full
  turn; `in_row`: 2 or more if the agent's previous turn was also interrupted), and for a cut-off turn `yields` (in_word or after_word);
* custom `task`, `total_turns`, `source`, `seed`, `recipe`, `system_prompt` if the dialogue has one, `director` (rules, or a model) if one wrote events into it, `labels` (by name) if stages set some, and, for noise on the user's channel,
  `noise` (its `kind`, and `snr_db`, the level of the speech relative to it) and `noise_bursts` ([start, length] in seconds);
* custom `room` (`rt60_s`, and its walls or the `recording` of its impulse response), `echo`, `noise_recording`, `microphone`, `level_changes` ([second, dB], linearly interpolated), `telephone`, `codec`, `packet_loss` (`lost`: packet numbers from 0) and `turned_down_db`: the effects on the user's channel, with their parameters.

The agent's channels never reveal what the user will do. Text runs ahead of speech, so the `text` of a cut-off turn is the part of its
whole text that is laid out by the user's onset, not only what is heard: shortened to that, it would end seconds before the
interruption. After the onset, it may end early; a trainer that can should lay out `text_full` up to EOS.

No two splits share a dialogue or a user's voice. `rejected/*.parquet` has a row for each rejected dialogue, with
the reason, and `manifest/*.parquet` a row for each kept one:"""

_LIMITS = """\
## Limits

The speech is synthetic and sounds synthetic; the embedded voices are eSpeak NG's. The dialogues were written, not
spoken, and the timing follows the recipe: people pause, overlap and interrupt in more ways. The user's channel
has the recipe's sound effects, not a real microphone's room and noise. Scores on such speech say little about real
callers.

## License

The corpus inherits the licenses of its dialogues and voices: check them
before you redistribute it."""
