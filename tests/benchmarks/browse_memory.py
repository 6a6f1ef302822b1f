"""Memory of `salm-duplex browse` over a large corpus, and the time of its pages.

    python tests/benchmarks/browse_memory.py CORPUS [--dialogues 20000] [--requests 300]

Creates a corpus of this many dialogues from a real one by repeating its shards (as links) and its manifest's rows,
browses it by HTTP (lists with and without filters, random dialogues, their audio), and prints the resident memory
during the run, the median time of each kind of page, and the size of a report on 2 000 dialogues.
"""

import argparse
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import psutil

from manifests.shards import FIELDS, shard_file
from manifests.store import Store
from manifests.table import DIALOGUES, Table, TableWriter

LISTS = ("/", "/?event=barge_ins", "/?text=take1", "/?check=clipped_share&bound=0", "/?split=test&event=backchannels")


def repeat(corpus: Path, out: Path, dialogues: int) -> list[dict[str, str]]:
    """Create a corpus of this many dialogues; returns the location of each."""
    rows = Table(Store(corpus / "manifest"), DIALOGUES).read().astype(object)
    rows = rows.where(rows.notna(), None).to_dict("records")
    shards = 1 + max(row["shard"] for row in rows)
    (out / "manifest").mkdir()
    places: list[dict[str, str]] = []
    with TableWriter(out / "manifest" / "dialogues.parquet", DIALOGUES) as table:
        for copy in range(-(-dialogues // len(rows))):
            own = [row | {"shard": row["shard"] + copy * shards} for row in rows][: dialogues - len(places)]
            table.add_rows(own)
            places += [{"id": row["id"], "shard": f"{row['split']}/{row['shard']}"} for row in own]
            for split, shard in {(row["split"], row["shard"]) for row in own}:
                (out / split).mkdir(exist_ok=True)
                for field in FIELDS:
                    if (file := corpus / split / shard_file(field, shard - copy * shards)).exists():
                        os.symlink(file.resolve(), out / split / shard_file(field, shard))
    info = json.loads((corpus / "corpus.json").read_text())
    info["statistics"]["dialogues"] = {"train": len(places), "validation": 0, "test": 0}
    (out / "corpus.json").write_text(json.dumps(info))
    (out / "rejected").mkdir()
    return places


def browse(corpus: Path, places: list[dict[str, str]], requests: int) -> None:
    command = [sys.executable, "-m", "pipeline.cli", "browse", str(corpus), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    draw, took = random.Random(0), {kind: [] for kind in ("list", "dialogue", "audio")}
    try:
        url = re.search(r"http://\S+", process.stdout.readline())[0]
        memory = psutil.Process(process.pid).memory_info
        for number in range(requests):
            place = urllib.parse.urlencode(draw.choice(places))
            joined = f"{(path := draw.choice(LISTS))}{'&' if '?' in path else '?'}first={50 * draw.randrange(4)}"
            for kind, path in (("list", joined), ("dialogue", f"/dialogue?{place}"), ("audio", f"/audio?{place}")):
                begun = time.perf_counter()
                with urllib.request.urlopen(url + path) as answer:
                    assert answer.read()
                took[kind].append(time.perf_counter() - begun)
            if number == 4 or number % (requests // 10) == requests // 10 - 1:
                print(f"after {3 * (number + 1)} requests: {memory().rss / 2**20:.0f} MiB", flush=True)
        for kind, seconds in took.items():
            print(f"{kind}: median {statistics.median(seconds):.3f} s, worst {max(seconds):.3f} s")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--dialogues", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=300)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "large"
        out.mkdir()
        places = repeat(asked.corpus, out, asked.dialogues)
        print(f"{len(places)} dialogues, {sum(1 for _ in out.rglob('cuts.*'))} shards")
        browse(out, places, asked.requests)
        pages = Path(folder) / "report"
        pages.mkdir()
        repeat(asked.corpus, pages, 2_000)
        from manifests.corpus import open_corpus
        from pipeline.report.page import report

        print(f"report over 2 000 dialogues: {len(report(open_corpus(pages)).encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
