"""Speed of the streaming session, and whether its memory stays constant.

    python tests/benchmarks/session_speed.py [RUN] [--minutes 10] [--hours 0]

Prints the time of an 80 ms step for one conversation over `--minutes` of audio (mean, 99th percentile), the times of 4
and 20 conversations relative to one, the cost of --turn-taking, and with --hours the process's memory over time.
Without RUN, the model has the size of the preset `tiny` and random weights. Ratios are measured by alternating, so they
also hold on a busy machine. Uses one thread, as `serve` does on two cores.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import psutil
import torch

from manifests.frames import FRAMES_PER_SECOND, SOURCE_FRAME
from salm_duplex_model.checkpoint import load_run
from salm_duplex_model.codec import Codec
from salm_duplex_model.config import LlamaConfig, ModelConfig
from salm_duplex_model.model import DuplexModel, build_model
from salm_duplex_model.session import Decoding, Session
from salm_duplex_model.turn_taking import TurnTaking

BATCHES = (1, 4, 20)
TINY = ModelConfig(llm=LlamaConfig(hidden_size=144, layers=4, heads=4, intermediate_size=384), tie_codes=True)


def step_ms(session: Session) -> float:
    user = 0.05 * torch.randn(len(session.text), SOURCE_FRAME)
    begun = time.perf_counter()
    session.step(user)
    return 1000 * (time.perf_counter() - begun)


def ratios(model: DuplexModel, codec: Codec, steps: int = 100) -> None:
    sessions = {batch: Session(model, codec, batch) for batch in BATCHES}
    times = {batch: [step_ms(session) for _ in range(10)] and [] for batch, session in sessions.items()}
    for _ in range(steps):
        for batch, session in sessions.items():
            times[batch].append(step_ms(session))
    one = np.median(times[1])
    for batch, taken in times.items():
        median = np.median(taken)
        print(f"{batch:3} conversations: median {median:6.1f} ms, {median / one:5.2f} × that of one")


def summing(model: DuplexModel, codec: Codec, steps: int = 500) -> None:
    sessions = [Session(model, codec, decoding=Decoding(turn_taking=point)) for point in (None, TurnTaking())]
    taken = np.array([[step_ms(session) for session in sessions] for _ in range(10 + steps)])[10:]
    plain, summed = taken.mean(axis=0)
    median = np.median(taken[:, 1] - taken[:, 0])
    print(
        f"turns by the most likely token: mean {plain:.2f} ms, by sums {summed:.2f} ms; median difference {median:.2f} ms"
    )


def long(model: DuplexModel, codec: Codec, minutes: float) -> None:
    session = Session(model, codec)
    taken = np.array([step_ms(session) for _ in range(round(minutes * 60 * FRAMES_PER_SECOND))])
    print(
        f"one conversation over {minutes:g} min: {taken.mean():.1f} ms per step on average, "
        f"{np.quantile(taken, 0.99):.1f} at the 99th percentile, {taken.max():.1f} at most; "
        f"{np.mean(taken > 80):.2%} above 80 ms"
    )


def memory(model: DuplexModel, codec: Codec, hours: float) -> None:
    process, session = psutil.Process(), Session(model, codec)
    steps = round(hours * 3600 * FRAMES_PER_SECOND)
    for step in range(1, steps + 1):
        step_ms(session)
        if step % (steps // 12) == 0:
            print(f"after {step / FRAMES_PER_SECOND / 60:5.1f} min: {process.memory_info().rss / 2**20:7.1f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--hours", type=float, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, _ = load_run(arguments.run) if arguments.run else build_model(TINY)
    codec = Codec.bundled()
    ratios(model, codec)
    summing(model, codec)
    long(model, codec, arguments.minutes)
    if arguments.hours:
        memory(model, codec, arguments.hours)


if __name__ == "__main__":
    main()
