"""Hostile input, and the invariants of everything made from it.

`CHECKS` holds pairs of a hypothesis strategy and a check, by name. A small run of each is a test,
`tests/benchmarks/hostile_input.py` runs 100 000 cases of each, and `tests/benchmarks/fuzz_readers.py` runs the readers'
check on atheris's input.
"""

import gzip
import io
import itertools
import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from hypothesis import strategies as st
from lhotse import SupervisionSegment

from manifests.frames import (
    SOURCE_FRAME,
    SOURCE_RATE,
    TARGET_FRAME,
    TARGET_RATE,
    convert,
    convert_up,
    frames_to_cover,
    nearest_frame,
)
from manifests.records import SPLITS, Dialogue, Rejected, Speech, SpokenDialogue, Timeline, Turn, Word
from manifests.sources import UnreadableInput
from manifests.text_channel import SpecialTokens, text_channel
from stages.ingest import IngestSettings, ingest
from stages.schedule import Schedule, ScheduleSettings

# --- Readers -----------------------------------------------------------------------------------------------------------------

any_text = st.text(max_size=8) | st.text(st.characters(categories=["Cs", "Cc", "Zs"]), max_size=3)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.sampled_from([10**400, "x" * 3_000])
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3), max_leaves=5
)
words = (
    st.sampled_from(["Hello there.", "Good day.", "Is it far?", "No.", "¿Qué?", "", " ", "\ud83d", "a\0b"]) | any_text
)


def _mostly(good: st.SearchStrategy) -> st.SearchStrategy:
    """Good values, and sometimes anything."""
    return st.integers(0, 9).flatmap(lambda n: json_values if n == 0 else good)


def _messages(role: str, text: str, roles: list[str]) -> st.SearchStrategy:
    message = st.fixed_dictionaries({role: _mostly(st.sampled_from(roles)), text: _mostly(words)})
    return _mostly(st.lists(_mostly(message), min_size=2, max_size=5))


sources = st.fixed_dictionaries(
    {"type": _mostly(st.sampled_from(["file", "url", "command"])), "channels": _mostly(st.just([0]))},
    optional={"source": _mostly(st.sampled_from(["a.wav", "../../a.wav", "a\0.wav", "s3://b/a.wav"]))},
)
cuts = st.fixed_dictionaries(
    {"recording": _mostly(st.fixed_dictionaries({"sources": _mostly(st.lists(sources, max_size=2))}))},
    optional={
        "start": _mostly(st.floats(0, 9)),
        "duration": _mostly(st.floats(0, 9)),
        "channel": _mostly(st.just(0)),
        "supervisions": _mostly(
            st.lists(
                st.fixed_dictionaries({"speaker": words, "alignment": _mostly(st.just({"word": [["a", 0, 1]]}))}),
                max_size=2,
            )
        ),
    },
)
own_turns = st.fixed_dictionaries(
    {"speaker": _mostly(st.sampled_from(["user", "agent"])), "text": _mostly(words)},
    optional={
        "voice": _mostly(words),
        "event": _mostly(st.sampled_from(["turn", "barge_in", "backchannel", None])),
        "gap_s": _mostly(st.floats()),
        "recording": _mostly(cuts | words),
    },
)
parts = st.lists(
    st.fixed_dictionaries(
        {"type": _mostly(st.sampled_from(["text", "input_audio", "image_url", "tool_use", "thinking"]))},
        optional={"text": _mostly(words), "transcript": _mostly(words), "image_url": json_values},
    )
    | words,
    max_size=3,
)
log_messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": _mostly(st.sampled_from(["User", "agent", "human", "BOT", "tool"])),
            "content": _mostly(parts | words | st.just("<think>a</think>b<|im_end|>")),
        },
        optional={"interrupted": _mostly(st.booleans()), "tool_calls": json_values, "original_message": _mostly(words)},
    ),
    max_size=5,
)
replies = st.recursive(
    st.fixed_dictionaries({"role": _mostly(st.sampled_from(["prompter", "assistant"])), "text": _mostly(words)}),
    lambda inner: st.fixed_dictionaries(
        {
            "role": st.sampled_from(["prompter", "assistant"]),
            "text": words,
            "replies": _mostly(st.lists(inner, max_size=2)),
        },
        optional={"rank": json_values},
    ),
    max_leaves=4,
)
transcripts = st.lists(words, min_size=2, max_size=5).flatmap(
    lambda texts: st.sampled_from(
        [
            "\n\n".join(f"{('Human', 'Assistant')[n % 2]}: {text}" for n, text in enumerate(texts)),
            "".join(f"<|im_start|>{('user', 'assistant')[n % 2]}\n{text}<|im_end|>" for n, text in enumerate(texts)),
            "".join(f"[INST] {text} [/INST]" if n % 2 == 0 else text for n, text in enumerate(texts)),
        ]
    )
)
relatives = st.one_of(
    st.builds(
        lambda key, chat: {key: chat},
        st.sampled_from(
            ["messages", "conversation", "items", "transcript", "dialogue", "chat", "contents", "history", "chosen"]
        ),
        _mostly(log_messages),
    ),
    st.builds(
        lambda asked, question, answered, answer: {asked: question, answered: answer},
        st.sampled_from(["question", "prompt", "Query", "input", "human"]),
        _mostly(words | transcripts | log_messages),
        st.sampled_from(["answer", "completion", "chosen", "Response", "gpt"]),
        _mostly(words | transcripts | log_messages | st.lists(words, max_size=2)),
    ),
    st.fixed_dictionaries(
        {"dialogue": _mostly(st.lists(words, max_size=4))}, optional={"speakers": _mostly(st.lists(words))}
    ),
    st.fixed_dictionaries({"log": _mostly(st.lists(st.fixed_dictionaries({"text": _mostly(words)}), max_size=3))}),
    st.fixed_dictionaries(
        {
            "turns": st.fixed_dictionaries(
                {"speaker": _mostly(st.just([0, 1])), "utterance": _mostly(st.lists(words, max_size=2))}
            )
        }
    ),
    st.fixed_dictionaries(
        {"content": st.lists(st.fixed_dictionaries({"agent": words, "message": _mostly(words)}), max_size=3)}
    ),
    st.fixed_dictionaries({"prompt": _mostly(replies)}),
    st.fixed_dictionaries({"text": _mostly(transcripts)}),
    st.fixed_dictionaries(
        {"instruction": words, "output": words, "history": _mostly(st.lists(st.lists(words, max_size=3)))}
    ),
    st.fixed_dictionaries(
        {"events": st.lists(st.fixed_dictionaries({"type": words, "item_id": words, "transcript": words}))}
    ),
)
enveloped = st.builds(lambda key, inner: {key: inner}, st.sampled_from(["data", "message", "row", "call"]), relatives)
dialogues = st.one_of(
    relatives,
    enveloped,
    st.fixed_dictionaries(
        {"messages": _messages("role", "content", ["user", "assistant", "user", "assistant", "system"])},
        optional={"id": _mostly(any_text)},
    ),
    st.fixed_dictionaries({"conversations": _messages("from", "value", ["human", "gpt", "human", "gpt", "system"])}),
    st.fixed_dictionaries(
        {"instruction": _mostly(words), "output": _mostly(words)}, optional={"input": _mostly(words)}
    ),
    st.fixed_dictionaries({"data": _mostly(st.lists(words, min_size=2, max_size=4))}),
    st.fixed_dictionaries(
        {"turns": _mostly(st.lists(own_turns, min_size=2, max_size=4))},
        optional={"id": _mostly(any_text), "split": _mostly(st.sampled_from(SPLITS)), "system_prompt": _mostly(words)},
    ),
)


def _lines(records: list) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


def _parquet(records: list) -> bytes:
    sink = io.BytesIO()
    try:
        pq.write_table(pa.Table.from_pylist([record for record in records if isinstance(record, dict)]), sink)
    except (pa.ArrowException, ValueError, OverflowError, TypeError):
        return b"PAR1"  # Arrow has no type for it
    return sink.getvalue()


FORMS: tuple[Callable[[list], bytes], ...] = (
    _lines,
    lambda records: json.dumps(records).encode(),
    lambda records: json.dumps(records, indent=1).encode(),
    lambda records: json.dumps({str(n): record for n, record in enumerate(records)}, indent=1).encode(),
    lambda records: json.dumps(records[0] if records else {}, indent=1).encode(),
    lambda records: "".join(json.dumps(record, indent=1) for record in records).encode(),
    lambda records: "\n".join(json.dumps([record], indent=2) for record in records).encode(),
    lambda records: json.dumps({"data": records, "version": "1"}).encode(),
    lambda records: json.dumps(records, ensure_ascii=True).encode("utf-16"),
    lambda records: json.dumps(
        {
            key: [record.get(key) for record in records if isinstance(record, dict)]
            for record in records
            if isinstance(record, dict)
            for key in record
        }
    ).encode(),
    _parquet,
)
PACKINGS: tuple[Callable[[bytes], bytes], ...] = (bytes, gzip.compress, zstandard.ZstdCompressor().compress)


def _damaged(content: bytes, at: int, bytes_: bytes) -> bytes:
    """The content with some bytes replaced, or truncated."""
    at %= len(content) + 1
    return content[:at] + bytes_ + content[at + len(bytes_) :] if bytes_ else content[:at]


whole_files = st.builds(
    lambda records, form, pack: pack(form(records)),
    st.lists(_mostly(dialogues), max_size=4),
    st.sampled_from(FORMS),
    st.sampled_from(PACKINGS),
)
files = st.one_of(
    whole_files,
    st.builds(_damaged, whole_files, st.integers(0, 10**6), st.binary(max_size=3)),
    st.binary(max_size=60),
)


def check_file(content: bytes) -> None:
    """Any file is either rejected as a whole with a sentence, or each of its records is a dialogue that later stages
    can use, or is rejected with a reason."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hostile.jsonl"
        path.write_bytes(content)
        ingestion = ingest([str(path)], IngestSettings(), 0)
        try:
            results = list(ingestion)
        except UnreadableInput as error:
            assert str(error).endswith(".")
            return
    assert results and ingestion.read == len(results)
    assert len(ingestion.fingerprints) == 1
    ids = [result.id for result in results if isinstance(result, Dialogue)]
    assert len(set(ids)) == len(ids)
    for result in results:
        json.dumps(asdict(result), ensure_ascii=False, allow_nan=False).encode()  # it can be written
        if isinstance(result, Rejected):
            assert result.reason and result.source.startswith("hostile.jsonl:")
            assert result.message.endswith(".") or len(result.message) == 500  # if it quotes much of the input
        else:
            check_dialogue(result)
    json.dumps(ingestion.not_used, ensure_ascii=False).encode()
    assert sum(ingestion.shapes.values()) <= len(results) and all(ingestion.not_used.values())


def check_dialogue(dialogue: Dialogue) -> None:
    assert dialogue.id.isascii() and 0 < len(dialogue.id) <= 120
    assert dialogue.id[0].isalnum() and not set(dialogue.id) & set("/\\\0 \n")
    assert dialogue.split in SPLITS
    assert isinstance(dialogue.system_prompt, str)
    assert {turn.speaker for turn in dialogue.turns} == {"user", "agent"}
    for turn in dialogue.turns:
        assert isinstance(turn.text, str) and turn.text.strip() and isinstance(turn.voice, str)
        assert turn.event in (None, "turn", "barge_in", "backchannel")
        assert turn.gap_s is None or 0 <= turn.gap_s <= 60
        if turn.recording:
            assert "\0" not in turn.recording.path
            assert 0 <= turn.recording.start_s < math.inf
            assert turn.recording.duration_s is None or 0 < turn.recording.duration_s < math.inf
            assert all(math.isfinite(word.start_s) and math.isfinite(word.end_s) for word in turn.recording.words)


# --- Timeline ----------------------------------------------------------------------------------------------------------------

MAX_SAMPLES = 60 * 8_000


@st.composite
def speech(draw: Callable) -> Speech:
    rate = draw(st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100]))
    length = draw(st.integers(1, MAX_SAMPLES))
    edges = sorted(draw(st.lists(st.integers(0, length), max_size=16)))
    spans = list(zip(edges[::2], edges[1::2], strict=False))
    mark = draw(st.sampled_from(["", ".", ","]))
    timed = tuple(Word(f"w{n}{mark}", start, end) for n, (start, end) in enumerate(spans))
    return Speech(np.broadcast_to(np.int16(0), (length,)), rate, timed)  # only its length counts here


@st.composite
def spoken_dialogues(draw: Callable) -> SpokenDialogue:
    turns, spoken = [], []
    for _ in range(draw(st.integers(1, 8))):
        event = draw(st.sampled_from([None, None, None, None, "turn", "barge_in", "backchannel"]))
        gap = draw(st.sampled_from([None, None, None, 0.0, 0.01, 60.0]))
        turns.append(Turn(draw(st.sampled_from(["user", "agent"])), "text", event=event, gap_s=gap))
        spoken.append(draw(speech()))
    return SpokenDialogue(Dialogue(f"d{draw(st.integers(0, 9))}", tuple(turns), split="train"), tuple(spoken))


edges = st.floats(0, 5).flatmap(lambda low: st.fixed_dictionaries({"low": st.just(low), "high": st.floats(low, 10)}))
schedules = st.fixed_dictionaries(
    {
        "agent_gap_s": st.floats(0, 5),
        "user_gap_s": edges,
        "lead_s": edges,
        "tail_s": st.floats(0, 5),
        "max_dialogue_s": st.sampled_from([5, 600, 10_000]),
        "barge_in": st.fixed_dictionaries(
            {
                "share": st.sampled_from([0, 0.5, 1]),
                "turn_share": st.sampled_from([0, 0.5, 1]),
                "cut_off_s": st.floats(0.08, 3),
                "earliest_s": st.floats(0, 3),
            }
        ),
        "pause": st.fixed_dictionaries(
            {"share": st.sampled_from([0, 0.5, 1]), "turn_share": st.sampled_from([0, 1]), "words": st.integers(2, 9)}
            | {"length_s": edges}
        ),
    }
)
timelines = st.tuples(spoken_dialogues(), schedules, st.integers(0, 3))


def check_timeline(case: tuple[SpokenDialogue, dict[str, Any], int]) -> None:
    spoken, settings, seed = case
    (result,) = Schedule(ScheduleSettings.model_validate(settings), seed).process([spoken])
    if isinstance(result, Rejected):
        assert result.reason in ("dialogue_too_long", "barge_in_impossible", "backchannel_impossible")
        return
    assert isinstance(result, Timeline)
    assert result == Schedule(ScheduleSettings.model_validate(settings), seed).process([spoken])[0]
    assert result.frames <= settings["max_dialogue_s"] * 12.5
    for speaker, frame in (("user", SOURCE_FRAME), ("agent", TARGET_FRAME)):
        own = [segment for segment in result.segments if segment.speaker == speaker]
        assert all(a.end <= b.start for a, b in itertools.pairwise(own)), "one speaker's turns overlap"
        for segment in own:
            assert segment.length > 0 and segment.start >= 0 and segment.end <= result.frames * frame
            assert all(0 <= word.start <= word.end <= segment.length for word in segment.words)
            assert all(a.end <= b.start for a, b in itertools.pairwise(segment.words))
            assert all(pause.start >= 0 and pause.end <= segment.length for pause in segment.pauses)
            whole = len(segment.words) == len(spoken.speech[segment.turn].words)
            assert segment.cut_off or whole, "a turn that was not cut off lost words"
            if segment.speaker == "agent":
                assert segment.start % TARGET_FRAME == 0
    fixed = {n for n, turn in enumerate(spoken.dialogue.turns) if turn.event == "barge_in"}
    barged = {segment.turn for segment in result.segments if segment.event == "barge_in"}
    forbidden = {n for n, turn in enumerate(spoken.dialogue.turns) if turn.event == "turn"}
    assert fixed <= barged and not forbidden & barged
    assert sum(segment.cut_off for segment in result.segments) == len(barged)


# --- Frame arithmetic --------------------------------------------------------------------------------------------------------

RATES = (8_000, SOURCE_RATE, TARGET_RATE, 24_000, 44_100, 48_000)
positions = st.tuples(st.integers(0, 10**12), st.sampled_from(RATES), st.sampled_from(RATES), st.integers(1, 10**5))


def check_frames(case: tuple[int, int, int, int]) -> None:
    samples, rate, other, frame = case
    down, up = convert(samples, rate, other), convert_up(samples, rate, other)
    assert down * rate <= samples * other < (down + 1) * rate
    assert up - down == (samples * other % rate > 0)
    assert convert_up(down, other, rate) <= samples <= convert(up, other, rate)
    covering, nearest = frames_to_cover(samples, frame), nearest_frame(samples, frame)
    assert (covering - 1) * frame < samples <= covering * frame
    assert 2 * abs(nearest * frame - samples) <= frame
    assert convert(samples * SOURCE_FRAME, SOURCE_RATE, TARGET_RATE) == samples * TARGET_FRAME


# --- Text channel ------------------------------------------------------------------------------------------------------------

PAD, BOS, EOS = 0, 1, 2
turns_in_time = st.tuples(
    st.lists(st.tuples(st.floats(0, 4), st.floats(0.001, 4), st.integers(0, 30)), max_size=6), st.integers(0, 300)
)


def check_text_channel(case: tuple[list[tuple[float, float, int]], int]) -> None:
    """Consecutive turns, each (gap before, duration, tokens), within this many frames."""
    turns, frames = case
    now, supervisions, tokens = 0.0, [], 0
    for number, (gap, duration, length) in enumerate(turns):
        supervisions.append(
            SupervisionSegment(
                str(number), "r", round(now + gap, 8), round(duration, 8), text="x" * length, speaker="agent"
            )
        )
        now += gap + duration
        tokens += length + 1
    channel = text_channel(supervisions, frames, "agent", lambda text: [3] * len(text), SpecialTokens(PAD, BOS, EOS))
    assert channel.tokens.shape == (frames,) and channel.tokens.dtype == np.int64
    counts = {token: int((channel.tokens == token).sum()) for token in (PAD, BOS, EOS, 3)}
    assert sum(counts.values()) == frames
    assert max(counts[BOS], counts[EOS]) <= len(turns)
    assert counts[BOS] + counts[3] <= tokens - channel.cut_tokens
    others = [replace(supervision, speaker="user") for supervision in supervisions]
    assert not text_channel(others, frames, "agent", lambda text: [3] * len(text), SpecialTokens(0, 1, 2)).tokens.any()


CHECKS: dict[str, tuple[st.SearchStrategy, Callable[[Any], None]]] = {
    "readers": (files, check_file),
    "timeline": (timelines, check_timeline),
    "frames": (positions, check_frames),
    "text_channel": (turns_in_time, check_text_channel),
}
