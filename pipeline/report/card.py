"""The dataset card: a README.md as Hugging Face wants it, from the corpus's own numbers."""

from typing import Any

import yaml

from manifests.corpus import Corpus

_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
"""Hugging Face's names for the number of dialogues, by powers of ten from a thousand on."""


_CHECKED = (
    ("edge_error_s", "edge of a turn, as heard by a voice activity model after its label", "s"),
    ("least_heard", "share of a turn's speech that is heard, the least of a dialogue", ""),
    ("extra_speech_s", "longest extra speech of a dialogue", "s"),
    ("user_wer", "word error rate of a user's turn, by a recognizer", ""),
    ("agent_wer", "word error rate of an agent's turn, before the codec", ""),
    ("coded_wer", "word error rate of an agent's turn, after the codec", ""),
)
"""What `verify` measured, where the recipe asked for it."""


def card(corpus: Corpus) -> str:
    """Markdown with a YAML header. No path and no clock time: equal corpora have equal cards."""
    recipe_id = str(corpus.dialogues[0]["recipe"]) if corpus.dialogues else "(empty)"
    title = f"salm-duplex corpus {recipe_id}"
    parts = (
        f"---\n{yaml.safe_dump(_header(corpus, title), sort_keys=False).strip()}\n---\n\n# {title}",
        _INTRODUCTION,
        _table(_figures(corpus.info["statistics"])),
        _FORMAT,
        "## How it was made\n\n" + " ".join(_making(corpus.info, recipe_id)),
        "Versions: " + ", ".join(f"{name} {version}" for name, version in corpus.info["identity"]["versions"].items()),
        "Input, with its SHA-256:\n\n" + _inputs(corpus.info["identity"]["inputs"]),
        _LIMITS,
    )
    return "\n\n".join(parts) + "\n"


def _header(corpus: Corpus, title: str) -> dict[str, Any]:
    total = sum(corpus.info["statistics"]["dialogues"].values())
    header = {
        "language": ["en"],
        "pretty_name": title,
        "license": "other",
        "license_name": "as-the-input-dialogues",
        "task_categories": ["audio-to-audio", "text-to-speech", "automatic-speech-recognition"],
        "tags": ["full-duplex", "spoken-dialogue", "speech-to-speech", "barge-in", "synthetic", "lhotse", "nemo"],
        "annotations_creators": ["machine-generated"],
        "size_categories": [_SIZES[min(max(len(str(total)) - 3, 0), len(_SIZES) - 1)]],
    }
    # The Parquet tables are what Hugging Face's viewer can show; one without rows would only make it fail.
    tables = (("dialogues", "manifest", corpus.dialogues), ("rejected", "rejected", corpus.rejected))
    configs = [{"config_name": name, "data_files": f"{folder}/*.parquet"} for name, folder, rows in tables if rows]
    return header | ({"configs": configs} if configs else {})


def _figures(statistics: dict[str, Any]) -> list[tuple[str, Any]]:
    share = statistics["share_of_those_with_barge_in"]
    return [
        ("dialogues read", statistics["dialogues_read"]),
        ("dialogues", sum(statistics["dialogues"].values())),
        *((f"dialogues in {split}", number) for split, number in statistics["dialogues"].items()),
        ("rejected", statistics["rejected"]),
        *((f"rejected by {name}", number) for name, number in statistics["rejected_by_reason"].items()),
        ("hours", statistics["hours"]),
        ("hours of user speech", statistics["user_speech_hours"]),
        ("hours of agent speech", statistics["agent_speech_hours"]),
        ("turns", statistics["turns"]),
        ("words heard", statistics["words"]),
        *((f"user voices in {split}", number) for split, number in statistics["user_voices"].items()),
        ("barge-ins", statistics["barge_ins"]),
        ("backchannels", statistics["backchannels"]),
        ("turns that are recordings", statistics.get("recorded_turns", 0)),
        ("pauses put into users' turns", statistics["pauses"]),
        ("dialogues with noise", statistics["dialogues_with_noise"]),
        ("dialogues of three turns or more", statistics["dialogues_of_three_turns_or_more"]),
        ("share of those with a barge-in", "–" if share is None else share),
        ("agent's gap: user's end → agent's start", _quantiles(statistics["agent_gap_s"], "s")),
        ("user's gap: agent's end → user's start, barge-ins left out", _quantiles(statistics["user_gap_s"], "s")),
        ("cut-off: user's onset → agent's silence", _quantiles(statistics["cut_off_s"], "s")),
        ("words lost to a cut-off", _quantiles(statistics["words_lost_to_a_cut"], "words")),
        ("turn", _quantiles(statistics["turn_s"], "s")),
        ("dialogue", _quantiles(statistics["dialogue_s"], "s")),
        *(
            (name, _quantiles(values, unit))
            for key, name, unit in _CHECKED
            if (values := statistics.get(key)) is not None
        ),
    ]


def _quantiles(values: dict[str, Any] | None, unit: str) -> str:
    if values is None:
        return "–"
    return f"median {values['median']} {unit} (10 %: {values['p10']}, 90 %: {values['p90']}, n = {values['n']})"


def _table(rows: list[tuple[str, Any]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


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
    made = sorted({(v["engine"], v["licence"]) for v in info.get("voices", {}).values() if "engine" in v})
    sentences += [f"The voices are spoken by {engine}; their licence: {licence}." for engine, licence in made]
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
recipe of SALM-Duplex (arXiv 2505.15670): the agent can be interrupted, and falls silent. `report.html` has plots and
dialogues to hear."""

_FORMAT = """\
## Format

A folder for each split, in Lhotse Shar. With Lhotse:

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
* `supervisions`, one for each turn, ordered by start: `speaker` (user or agent), `text` as it is heard,
  `alignment["word"]`, and custom `event` (turn, barge_in or backchannel), `cut_off`, `text_full` (with what a cut-off took),
  `text_written` (as in the input), `voice`, `speech` (synthesis or recording), `word_times` (how the words' times were found), and, where silences were put into the turn, `pauses`
  ([start, length] in seconds);
* custom `task`, `total_turns`, `source`, `seed`, `recipe`, `system_prompt` where the dialogue has one, and, where there is noise on the user's channel,
  `noise` and `noise_bursts` ([start, length] in seconds).

`manifest/*.parquet` has a row for each dialogue, `rejected/*.parquet` one for each that was dropped, with the reason.
No two splits share a dialogue or a user's voice."""

_LIMITS = """\
## Limits

The speech is synthetic and sounds so; with the embedded voices it is that of eSpeak NG. The dialogues were written, not
spoken, and who speaks when follows the recipe: people pause, overlap and interrupt in more ways. The user's channel
holds what the recipe puts there, not a real microphone's room and noise. Scores on such speech say little about real
callers.

## Licence

The corpus inherits the licences of the dialogues that it was made from, and of the voices that speak them: look them up
before you pass it on."""
