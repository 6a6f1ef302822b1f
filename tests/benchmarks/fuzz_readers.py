"""Coverage-guided fuzzing of each reader by atheris: messages, sharegpt, cases (the public shapes), parquet, shar.

    PYTHONPATH=.:tests python tests/benchmarks/fuzz_readers.py READER [--seconds 600] [--finds DIR]

Starts from valid files of the format and mutates them. Stops with an error, and the input in DIR, at the first crash,
hang (20 s), use of more than 2 GiB, or wrong acceptance: a dialogue that violates `check_dialogue`, or a shard that is
accepted as complete and can't be read. atheris (`pip install '.[fuzz]'`) is not one of the development tools, since it
has wheels only for Linux."""

import argparse
import gzip
import io
import json
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["manifests", "stages.ingest", "lhotse.shar", "lhotse.serialization", "lhotse.cut"]
):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zstandard
    from hostile_material import check_file
    from material import LINES, openai, spoken_noise

    from manifests.frames import SOURCE_FRAME, TARGET_FRAME
    from manifests.records import DuplexDialogue, TokenizedDialogue
    from manifests.shard_reader import damaged_file, read_cuts
    from manifests.shards import write_shard
    from manifests.store import Store
    from stages.schedule import Schedule, ScheduleSettings

CASES = Path(__file__).parents[1] / "data" / "cases"
SHARE_GPT = [
    {
        "id": f"s{n}",
        "conversations": [{"from": "human", "value": f"{n}? {LINES[0]}"}, {"from": "gpt", "value": LINES[1]}],
    }
    for n in range(3)
]
MESSAGES = [openai(f"m{n}", f"{n}? {LINES[0]}", *LINES[1:]) for n in range(3)]
OWN = [
    {
        "id": "o",
        "split": "test",
        "turns": [
            {"speaker": "agent", "text": LINES[1], "gap_s": 0.5},
            {"speaker": "user", "text": LINES[2], "event": "barge_in", "voice": "en", "recording": "a.wav"},
        ],
    }
]
WORDS = [
    "id",
    "messages",
    "role",
    "content",
    "user",
    "assistant",
    "system",
    "conversations",
    "from",
    "value",
    "human",
    "gpt",
    "turns",
    "speaker",
    "text",
    "voice",
    "event",
    "gap_s",
    "recording",
    "chosen",
    "history",
    "interrupted",
    "tool_calls",
    "<think>",
    "</think>",
    "<|im_start|>user",
    "[INST]",
    "Human:",
    "split",
    "type",
    "NaN",
    "Infinity",
    "-1e999",
    "\\\\ud83d",
    "\\\\u0000",
    "null",
    "true",
    "{}",
    "[]",
    "[[",
    "}{",
    "\\xff\\xfe",
    "\\x1f\\x8b",
    "PAR1",
]


def json_seeds(records: list) -> list[bytes]:
    lines = "\n".join(map(json.dumps, records)).encode()
    forms = [lines, json.dumps(records).encode(), json.dumps(records[0], indent=1).encode()]
    return [*forms, gzip.compress(lines), zstandard.ZstdCompressor().compress(lines)]


def parquet_seeds() -> list[bytes]:
    def written(records: list, **options: str) -> bytes:
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(records), sink, **options)
        return sink.getvalue()

    return [written(form, compression=c) for form in (MESSAGES, SHARE_GPT, OWN) for c in ("none", "snappy")]


def make_shard(folder: Path) -> list[bytes]:
    """Write two dialogues of noise as a shard to `folder`; returns its files as seeds, each preceded by a byte that
    identifies it."""
    (timeline,) = Schedule(ScheduleSettings(), 0).process([spoken_noise(("user", 0.4, 2), ("agent", 0.5, 3))])
    silence = {"user": SOURCE_FRAME, "agent": TARGET_FRAME}
    channels = {speaker: np.zeros(timeline.frames * frame, np.int16) for speaker, frame in silence.items()}
    record = TokenizedDialogue.of(DuplexDialogue(timeline, **channels), np.zeros((timeline.frames, 4), np.int16))
    write_shard(folder, 0, [record], {"seed": 0, "recipe": "r"})
    files = sorted(folder.iterdir())
    # Uncompressed, so that the cut is mutated and not gzip's checksum.
    return [
        bytes([n]) + (gzip.decompress(f.read_bytes()) if f.suffix == ".gz" else f.read_bytes())
        for n, f in enumerate(files)
    ]


def shard_check(whole: Path) -> Callable[[bytes], None]:
    files = sorted(path.name for path in whole.iterdir())
    place = whole.with_name("mutated")
    shutil.copytree(whole, place)

    def check(data: bytes) -> None:
        name = files[data[0] % len(files)] if data else files[0]
        content = data[1:]
        (place / name).write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
        try:
            damaged = damaged_file(Store(place))
            try:
                for cut in read_cuts(Store(place)):
                    cut.load_audio(), cut.load_target_audio(), cut.load_target_codes()
            except Exception:
                assert damaged, "a shard that can't be read is said to be whole"
        finally:
            shutil.copyfile(whole / name, place / name)

    return check


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=["messages", "sharegpt", "cases", "parquet", "shar"])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--finds", type=Path, default=Path("finds"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    work = Path(tempfile.mkdtemp(prefix="fuzz-"))
    (work / "seeds").mkdir()
    (work / "whole").mkdir()
    arguments.finds.mkdir(parents=True, exist_ok=True)
    check: Callable[[bytes], None] = check_file
    if arguments.reader == "shar":
        seeds = make_shard(work / "whole")
        check = shard_check(work / "whole")
    elif arguments.reader == "parquet":
        seeds = parquet_seeds()
    elif arguments.reader == "cases":
        seeds = [path.read_bytes() for path in sorted(CASES.iterdir())]
        seeds += [line for seed in seeds for line in seed.splitlines() if line.startswith(b"{")]
    else:
        seeds = json_seeds([*(MESSAGES if arguments.reader == "messages" else SHARE_GPT), *OWN])
    for number, seed in enumerate(seeds):
        check(seed)
        (work / "seeds" / str(number)).write_bytes(seed)
    (work / "words").write_text("".join(f'"{word}"\n' for word in WORDS))
    options = {
        "max_total_time": arguments.seconds,
        "timeout": 20,
        "rss_limit_mb": 2_048,
        "max_len": max(4_096, 2 * max(map(len, seeds))),
        "dict": work / "words",
        "artifact_prefix": f"{arguments.finds}/{arguments.reader}-",
        "print_final_stats": 1,
    }
    atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(work / "seeds")], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
