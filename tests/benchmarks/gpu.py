"""Speed of training and of the live session on the available GPU, relative to the card's peak.

    PYTHONPATH=. python tests/benchmarks/gpu.py [--out FILE.json] [--only trainer,loop,loader,session,nemo] [--shapes
    small,tinyllama]

Needs torch, transformers, Lhotse and the project on PYTHONPATH, no network, and takes less than 6 minutes on one GPU.
On a CPU, it runs the same steps at a small size. For the shape `tinyllama` (with random weights) and the preset
`small`, it measures the real trainer on a corpus of noise and random codes; a plain loop over batches on the device;
the loader alone; and sessions of 1, 16 and 64 conversations. The peak is that of a large bf16 matrix product, measured
here. Utilization counts 6 × parameters × frames, without recomputation for checkpointing and without padding."""

import argparse
import gc
import importlib.util
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import safe_open

from manifests.corpus import FORMAT_VERSION, open_corpus
from manifests.frames import CODEBOOK_SIZE, CODEBOOKS, FRAME_SECONDS, SOURCE_FRAME, TARGET_FRAME
from manifests.records import Dialogue, Segment, Speech, SpokenDialogue, Timeline, TokenizedDialogue, Turn, Word
from manifests.shards import write_shard
from manifests.store import Store
from manifests.table import corpus_tables, write_dialogues, write_rejected
from salm_duplex_model import checkpoint
from salm_duplex_model.batch import Batch
from salm_duplex_model.codec import Codec
from salm_duplex_model.config import PRESETS, RunConfig
from salm_duplex_model.model import DuplexModel, build_model
from salm_duplex_model.session import Session
from salm_duplex_model.steps import Steps
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer
from salm_duplex_model.trainer import autocast, train

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
SECONDS = (20, 60) if GPU else (4, 8)
SHARDS, DIALOGUES_A_SHARD = (16, 12) if GPU else (1, 4)
COPIES = 8 if GPU else 1
"""Number of copies of each shard: enough for full batches of every length."""
TRAINED_STEPS = 30 if GPU else 3
LOOP_STEPS = 15 if GPU else 2
SESSION_STEPS = 200 if GPU else 3
CONVERSATIONS = (1, 16, 64) if GPU else (1, 2)

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--only", default="trainer,loop,loader,session,nemo", help="the parts to measure")
    parser.add_argument("--shapes", default="small,tinyllama")
    arguments = parser.parse_args()
    wanted, begun = arguments.only.split(","), time.monotonic()
    card = torch.cuda.get_device_name() if GPU else f"CPU, {torch.get_num_threads()} threads"
    result: Row = {"card": card, "torch": torch.__version__, "transformers": transformers.__version__}
    result["peak_tflops"] = peak()
    with tempfile.TemporaryDirectory() as folder:
        corpus = make_corpus(Path(folder) / "corpus")
        for shape in arguments.shapes.split(","):
            config = run_config(shape, Path(folder))
            tflops, run = result["peak_tflops"], Path(folder) / f"{shape}-run"
            measure: dict[str, Callable[[], Row]] = {
                "session": partial(sessions, config),
                "loader": partial(loader, config, corpus),
                "loop": partial(plain_loop, config, tflops),
                "trainer": partial(trainer, config, corpus, run, tflops),
                "nemo": partial(nemo, corpus),
            }
            for part in (part for part in measure if part in wanted):
                result.setdefault(shape, {})[part] = attempt(measure[part])
                result["seconds"] = round(time.monotonic() - begun, 1)
                arguments.out.write_text(json.dumps(result, indent=1))
                print(f"{result['seconds']:6.1f} s  {shape} {part}: {json.dumps(result[shape][part])}", flush=True)
    print(table(result))


def attempt(measure: Callable[[], Row]) -> Row:
    """One part's figures, or its error, so that the other parts are still measured."""
    try:
        return measure()
    except Exception as error:
        import traceback

        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:300]}
    finally:
        gc.collect()
        torch.compiler.reset()
        if GPU:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def peak() -> float:
    """The median TFLOP/s of a large bf16 matrix product."""
    size = 8192 if GPU else 512
    a, b = (torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    taken = timed(lambda: a @ b, warm=5, steps=30)
    return float(f"{2 * size**3 / statistics.median(taken) / 1e12:.4g}")


def timed(work: Callable[[], object], warm: int, steps: int) -> list[float]:
    """Seconds of each step, by the device's clock on a GPU."""
    for _ in range(warm):
        work()
    if not GPU:
        return [elapsed(work) for _ in range(steps)]
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(steps + 1)]
    marks[0].record()
    for mark in marks[1:]:
        work()
        mark.record()
    torch.cuda.synchronize()
    return [one.elapsed_time(other) / 1000 for one, other in pairwise(marks)]


def elapsed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def run_config(shape: str, folder: Path) -> RunConfig:
    """The config of a preset; for TinyLlama, only its shape, with our own encoder instead of NeMo's."""
    import yaml

    data = yaml.safe_load((PRESETS / f"{shape}.yaml").read_text())
    if shape == "tinyllama":
        data["model"]["encoder"] = {
            "kind": "causal", "mels": 80, "channels": 192, "hop_blocks": 3, "width": 768, "frame_blocks": 6
        }  # fmt: skip
        data["model"] |= {"llm": str(tinyllama(folder / "tinyllama-llm")), "llm_pretrained": False}
    if not GPU:
        data["model"] = {"llm": {"hidden_size": 64, "layers": 2, "heads": 2, "intermediate_size": 128}}
        data["data"] |= {"batch_seconds": 16, "loaders": 1, "accumulate": 1, "buckets": 2}
        data["compile"] = False
    data["data"]["loaders"] = os.cpu_count() if GPU else 1
    data["optimizer"] |= {"steps": TRAINED_STEPS, "warmup_steps": 10}
    data |= {"validate_every": 10_000, "checkpoint_every": 10_000, "validation_seconds": 100}
    return RunConfig.model_validate(data)


def tinyllama(folder: Path) -> Path:
    """TinyLlama's shape in Hugging Face's format, with the bundled tokenizer."""
    shape = transformers.LlamaConfig(
        vocab_size=32_000, hidden_size=2_048, num_hidden_layers=22, num_attention_heads=32, num_key_value_heads=4,
        intermediate_size=5_632, max_position_embeddings=2_048, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        tie_word_embeddings=False,
    )  # fmt: skip
    shape.save_pretrained(folder)
    TextTokenizer.load(BUNDLED).save(folder)
    return folder


def make_corpus(out: Path) -> Path:
    """Write a finished corpus of noise, random codes and made-up words, with dialogues of many lengths."""
    for name in ("train", "manifest", "rejected"):
        (out / name).mkdir(parents=True)

    def shard(number: int) -> list[TokenizedDialogue]:
        draw = np.random.default_rng(number)
        records = [dialogue(f"d{number:02d}-{i:02d}", draw) for i in range(DIALOGUES_A_SHARD)]
        write_shard(out / "train", number, records, {"seed": 0, "recipe": "none"})
        for file in (out / "train").glob(f"*.{number:06d}.*"):
            for copy in range(1, COPIES):
                shutil.copy(file, str(file).replace(f"{number:06d}", f"{number + copy * SHARDS:06d}"))
        return records * COPIES

    with ThreadPoolExecutor() as pool:
        records = [record for shard_records in pool.map(shard, range(SHARDS)) for record in shard_records]
    write_dialogues(out / "manifest" / "d.parquet", records, {"seed": 0, "recipe": "none", "shard": 0})
    write_rejected(out / "rejected" / "r.parquet", [])
    corpus_tables(Store(out))
    hours = sum(record.timeline.frames for record in records) * FRAME_SECONDS / 3600
    counts = {"train": len(records), "validation": 0, "test": 0}
    info = {"identity": {"made": "for a benchmark"}, "statistics": {"dialogues": counts, "hours": hours}}
    (out / "corpus.json").write_text(json.dumps(info | {"format_version": FORMAT_VERSION}))
    return out


def dialogue(id: str, draw: np.random.Generator) -> TokenizedDialogue:
    """Alternating turns of about 4 s, with a token every other frame."""
    frames = round(draw.uniform(*SECONDS) / FRAME_SECONDS)
    turns, speech, segments = [], [], []
    edges = np.linspace(0, frames, max(2, frames // 50) + 1).astype(int)
    for number, (first, last) in enumerate(pairwise(edges)):
        speaker = "user" if number % 2 == 0 else "agent"
        size = SOURCE_FRAME if speaker == "user" else TARGET_FRAME
        text = " ".join(
            ["the", "of", "river", "bridge", "market", "tower", "square", "north"][i] for i in draw.integers(0, 8, 10)
        )
        length = int(last - first - 3) * size
        words = tuple(Word(word, i * length // 10, (i + 1) * length // 10) for i, word in enumerate(text.split()))
        turns.append(Turn(speaker, text, spoken=text, voice=speaker))
        speech.append(Speech(np.zeros(1, np.int16), 22_050, words))
        segments.append(Segment(number, speaker, int(first) * size, length, text, words))
    noise = np.convolve(draw.normal(0, 900, frames * SOURCE_FRAME), np.ones(4) / 4, "same").astype(np.int16)
    codes = draw.integers(0, CODEBOOK_SIZE, (frames, CODEBOOKS)).astype(np.int16)
    spoken = SpokenDialogue(Dialogue(id, tuple(turns), source=f"{id}:1", split="train"), tuple(speech))
    timeline = Timeline(spoken, tuple(segments), frames)
    return TokenizedDialogue(timeline, noise, np.zeros(frames * TARGET_FRAME, np.int16), codes=codes)


def share_of_peak(parameters: int, frames: float, seconds: float, tflops: float) -> float:
    return round(6 * parameters * frames / seconds / 1e12 / tflops, 4)


def trainer(config: RunConfig, corpus: Path, run: Path, tflops: float) -> Row:
    """The real trainer; medians are over its steps after the tenth."""
    begun, times = time.monotonic(), []
    train([corpus], run, config, lambda done, total, message: times.append((done, time.monotonic() - begun)))
    at = {done: seconds for done, seconds in times if done}
    rows = {row["step"]: row["frames"] for row in checkpoint.read_log(run)}
    late = range(min(12, TRAINED_STEPS - 1), TRAINED_STEPS)  # the last step validates and saves
    frames, seconds = sum(rows[n] for n in late), at[late[-1]] - at[late[0] - 1]
    with safe_open(checkpoint.latest(run) / "model.safetensors", "pt") as weights:
        names = weights.keys()
        parameters = sum(math.prod(weights.get_slice(name).get_shape()) for name in names)
    return {
        "first_step_s": round(at[1], 1),
        "tenth_step_s": round(at[min(10, TRAINED_STEPS)], 1),
        "step_s": round(seconds / len(late), 4),
        "frames_per_s": round(frames / seconds),
        "share_of_peak": share_of_peak(parameters, frames, seconds, tflops),
        "parameters": parameters,
        "memory_gib": memory(),
    }


def memory() -> float | None:
    return round(torch.cuda.max_memory_allocated() / 2**30, 1) if GPU else None


@contextmanager
def built(config: RunConfig) -> Iterator[DuplexModel]:
    """A model with random weights, created on the device."""
    model, _ = build_model(config.model, config.seed, DEVICE)
    yield model.to(DEVICE)


def noise_batch(rows: int, frames: int) -> Batch:
    made = torch.Generator().manual_seed(0)
    text = torch.randint(3, 1_000, (rows, frames), generator=made)
    codes = torch.randint(0, CODEBOOK_SIZE, (rows, frames, CODEBOOKS), generator=made)
    audio = 0.05 * torch.randn(rows, frames * SOURCE_FRAME, generator=made)
    return Batch(("",) * rows, audio, text, codes, torch.full((rows,), frames)).to(DEVICE)


def plain_loop(config: RunConfig, tflops: float) -> Row:
    """Training steps on a full batch on the device: an upper bound for the trainer."""
    frames = 393 if GPU else 50
    rows = max(1, int(config.data.batch_seconds / config.data.accumulate / FRAME_SECONDS / frames))
    begun = time.monotonic()
    with built(config) as model:
        model.train()
        if config.compile:
            model.compile_parts()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        batch, parameters = noise_batch(rows, frames), sum(p.numel() for p in model.parameters())

        def step() -> None:
            for _ in range(config.data.accumulate):
                with autocast(config, DEVICE):
                    losses = model(batch, config.loss)
                (losses.total / (rows * frames)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

        step()
        first = time.monotonic() - begun
        seconds = statistics.median(timed(step, warm=3, steps=LOOP_STEPS))
    counted = rows * (frames - 1) * config.data.accumulate
    return {
        "first_step_s": round(first, 1),
        "step_s": round(seconds, 4),
        "frames_per_s": round(counted / seconds),
        "share_of_peak": share_of_peak(parameters, counted, seconds, tflops),
        "memory_gib": memory(),
    }


def loader(config: RunConfig, corpus: Path) -> Row:
    """Steps sampled, decoded, collated and copied to pinned memory, without waiting for a model."""
    steps = Steps([open_corpus(corpus)], config.data, TextTokenizer.load(BUNDLED), 0, 0, 1)
    iterator = steps.iterate(0, 1_000_000)
    list(islice(iterator, 2))
    begun, frames = time.monotonic(), 0
    while time.monotonic() - begun < (8 if GPU else 1):
        frames += next(iterator).frames
    taken = time.monotonic() - begun
    iterator.close()
    return {"frames_per_s": round(frames / taken), "loaders": config.data.loaders}


def sessions(config: RunConfig) -> Row:
    """The time of an 80 ms step, including the codec's decoder and the copies of audio."""
    row: Row = {}
    with built(config) as model:
        model.for_inference()
        for number in CONVERSATIONS:
            row[str(number)] = session_steps(model, number)
    return row | {"memory_gib": memory()}


def session_steps(model: DuplexModel, conversations: int) -> Row:
    session, user = Session(model, Codec.bundled(), conversations), 0.05 * torch.randn(conversations, SOURCE_FRAME)
    for _ in range(5):
        session.step(user)
    taken = sorted(1000 * elapsed(lambda: session.step(user)) for _ in range(SESSION_STEPS))
    return {"mean_ms": round(statistics.mean(taken), 2), "p99_ms": round(taken[int(0.99 * len(taken))], 2)}


def nemo(corpus: Path) -> Row:
    """NeMo's `DuplexS2SModel` compared with ours on the same batch, as in `nemo_throughput.py`; only on a GPU with
    NeMo."""
    if not GPU or importlib.util.find_spec("nemo") is None:
        return {"left_out": "no GPU" if not GPU else "nemo_toolkit is not installed"}
    sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    import nemo_throughput

    return dict(nemo_throughput.main(corpus))


def table(result: Row) -> str:
    lines = [f"{result['card']}, torch {result['torch']}: {result['peak_tflops']} TFLOP/s in bf16"]
    for shape, parts in result.items():
        if isinstance(parts, dict):
            for part, row in parts.items():
                lines += [f"{shape:10} {part:8} {name:14} {value}" for name, value in row.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
