"""The dataset card: a README.md as Hugging Face wants it, from the corpus's own numbers."""

from typing import Any

import yaml

from manifests.columns import COLUMNS, distributions, numbers
from manifests.corpus import Corpus
from manifests.figures import Column, Distribution, Number
from stages.text.languages import ENGLISH

_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
"""Hugging Face's names for the number of dialogues, by powers of ten from a thousand on."""

SHOWN = 20
"""So many of the things that the input holds and that were not used; `corpus.json` has all."""


def card(corpus: Corpus) -> str:
    """The card of the corpus itself. No path and no clock time: equal corpora have equal cards."""
    # The Parquet tables are what Hugging Face's viewer can show; one without rows would only make it fail.
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
    """Markdown with a YAML header, in which `data` says where the files lie; `format` is the section that describes them."""
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
    """What the dialogues are read in, by its ISO 639-1 code."""
    return str(recipe.get("speak", {}).get("language") or recipe.get("ingest", {}).get("language") or ENGLISH)


def _figures(statistics: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """Title, value and, of distributions, definition of every figure."""
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


def _making(info: dict[str, Any], recipe_id: str) -> list[str]:
    """Sentences; a stage of the user's own may not have the embedded one's settings, and is then not spoken of."""
    recipe, schedule = info["identity"]["recipe"], info["identity"]["recipe"].get("schedule", {})
    sentences = [f"Recipe `{recipe_id}`, seed {recipe['seed']}; the whole recipe is in `corpus.json`."]
    if (gap := schedule.get("agent_gap_s")) is not None:
        sentences.append(f"The agent waits {gap} s before it speaks.")
    if isinstance(barge_in := schedule.get("barge_in"), dict):
        sentences.append(
            f"Of the dialogues with an agent turn long enough, {100 * barge_in['share']:g} % are to hold a barge-in; "
            f"the agent falls silent {barge_in['cut_off_s']} s after the user's onset."
        )
    if voices := info["statistics"]["agent_voices"]:
        sentences.append(f"The agent's voice: {', '.join(map(_code, voices))}.")
    made = sorted({(v["engine"], v["license"]) for v in info.get("voices", {}).values() if "engine" in v})
    sentences += [f"The voices are spoken by {engine}; their license: {license}." for engine, license in made]
    # A codec's path would differ between machines; its bytes are what counts.
    for facts in info.get("made_by", {}).get("tokenize", []):
        if "codec_sha256" in facts:
            sentences.append(f"The codec: SHA-256 `{facts['codec_sha256']}`, run on {facts.get('device', 'cpu')}.")
    return sentences


def _inputs(inputs: dict[str, str]) -> str:
    return "\n".join(f"* {_code(name.partition(':')[2])}: `{digest}`" for name, digest in inputs.items())


def _code(text: str) -> str:
    """Text that Markdown takes as it is."""
    return f"`{' '.join(text.replace('`', '’').split())}`"


_INTRODUCTION = """\
Synthetic two-channel conversations between a user and a voice agent, made from text dialogues by salm-duplex after the
recipe of SALM-Duplex (arXiv 2505.15670): the agent can be interrupted, and falls silent."""

_FORMAT = """\
## Format

A folder for each split, in Lhotse Shar; `report.html` has plots and dialogues to hear. With Lhotse:

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
  frames of 80 ms;
* `target_codes`: the codec's codes of the agent's channel, int16 (frames, 4), 4 032 codes in each codebook; each turn is
  encoded by itself, a cut-off one as if it had gone on, and the frames between turns have one code of silence, so that no
  code tells of what is to come;
* `supervisions`, one for each turn, ordered by start: `speaker` (user or agent), `text` as one token a frame lays it out (see below),
  `alignment["word"]`, and custom `event` (turn, barge_in, backchannel, false_start or side_talk), `cut_off`, `text_heard` (the words heard whole),
  `text_full` (with what a cut-off took), `cut_word` ([word, start in seconds] of the word that the cut falls into),
  `text_written` (as in the input; of an answer in parts, with the first of them), `edit` of a turn that is not just what was written (shortened: the first sentences of an answer;
  part: of an answer in several turns; added: what the user says between these), `left_out` where it is not read out in full (code and table, in place of which a phrase is spoken, and stage direction), `voice`, `speech` (synthesis or recording), `word_times` (how the words' times were found), and, where silences were put into the turn, `pauses`
  ([start, length] in seconds), and, where the speaker hesitates or takes words back, `disfluencies` ([hesitation or self_correction, words, start, length
  in seconds]), and `act` (what the turn is for: reprompt, the agent asks again after a long silence; wait and stop, the user silences the agent; go_on and
  resume, it begins again with the sentence in which it was cut), of a barge-in `barge_in` (`place`: early, middle or late, by thirds of the agent's whole
  turn; `in_row`: 2 and more where the agent's turn before was interrupted, too), of a cut-off turn `yields` (in_word or after_word);
* custom `task`, `total_turns`, `source`, `seed`, `recipe`, `system_prompt` where the dialogue has one, `director` (rules, or a model) where one wrote events into it, and, where there is noise on the user's channel,
  `noise` (its `kind`, and `snr_db`, the level of the speech above it) and `noise_bursts` ([start, length] in seconds);
* custom `room` (`rt60_s`, and its walls or the `recording` of its impulse response), `echo`, `noise_recording`, `microphone`, `level_changes` ([second, dB], evenly from one to the next), `telephone`, `codec`, `packet_loss` (`lost`: packets counted from 0) and `turned_down_db`, where the recipe
  lets these befall the user's channel, with their parameters.

The agent's channels never tell what the user will do. Text runs ahead of speech, so the `text` of a cut-off turn is as much as is
laid out by the user's onset, of its whole text and not of what is heard: shortened to that, it would end seconds before the
interruption. From the onset on it may end early; a trainer that can should lay out `text_full` up to EOS.

No two splits share a dialogue or a user's voice. `rejected/*.parquet` has a row for each dialogue that was dropped, with
the reason, and `manifest/*.parquet` one for each that was kept:"""

_LIMITS = """\
## Limits

The speech is synthetic and sounds so; with the embedded voices it is that of eSpeak NG. The dialogues were written, not
spoken, and who speaks when follows the recipe: people pause, overlap and interrupt in more ways. The user's channel
holds what the recipe puts there, not a real microphone's room and noise. Scores on such speech say little about real
callers.

## License

The corpus inherits the licenses of the dialogues that it was made from, and of the voices that speak them: look them up
before you pass it on."""
