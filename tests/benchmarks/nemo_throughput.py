"""Our training step compared with NeMo 3's `DuplexS2SModel`: same weights, same batch, same machine, same run.

    PYTHONPATH=.:tests python tests/benchmarks/nemo_throughput.py CORPUS

Each model's step is what its own trainer does with a batch: NeMo encodes the target audio with its codec, ours reads
the codes from the shards. Both alternate, and the ratio is of their medians. Two codecs are tried: a very small one, to
compare everything but the codec, and one with an encoder of about NanoCodec's size (26 M parameters)."""

import statistics
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import torch
from lhotse import CutSet
from nemo_material import copy_weights, make_asr, make_codec, make_llm, nemo_duplex_model

from manifests.corpus import open_corpus
from salm_duplex_model.batch import collate
from salm_duplex_model.config import LossConfig, ModelConfig, NemoEncoderConfig
from salm_duplex_model.model import build_model

ROUNDS = 3
CUTS = 6


def main(corpus: Path) -> dict[str, dict[str, float]]:
    """Print the frames per second of NeMo and of ours, and their ratio, with each codec."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cuts = sorted(islice(open_corpus(corpus).cuts("train"), 4 * CUTS), key=lambda cut: cut.duration)[:CUTS]
    print(f"{len(cuts)} dialogues, {sum(cut.duration for cut in cuts):.0f} s, on {device}")
    found = {}
    for name, channels in (
        ("a very small codec", (2, 128)),
        ("a codec with an encoder of NanoCodec's size", (24, 864)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            found[name] = compare(name, channels, cuts, Path(folder), device)
    return found


def compare(name: str, channels: tuple[int, int], cuts: list, folder: Path, device: torch.device) -> dict[str, float]:
    from nemo.collections.speechlm2.data import DuplexS2SDataset

    asr, llm = make_asr(folder / "asr.nemo"), make_llm(folder / "llm", hidden=256, layers=4)
    nemo = nemo_duplex_model(asr, make_codec(folder / "codec.nemo", *channels), llm).to(device).train()
    encoder = NemoEncoderConfig(name=str(asr), context=None, adapter_layers=1, adapter_width=64, adapter_heads=4)
    ours, tokenizer = build_model(ModelConfig(encoder=encoder, llm=str(llm)))
    copy_weights(nemo, ours)
    ours.to(device).train()
    size = sum(p.numel() for p in nemo.audio_codec.parameters()) / 1e6
    dataset = DuplexS2SDataset(nemo.tokenizer, 0.08, 16_000, 22_050)
    theirs = {k: v.to(device) if torch.is_tensor(v) else v for k, v in dataset[CutSet.from_cuts(cuts)].items()}
    batch = collate(cuts, tokenizer).to(device)
    frames = int((batch.frames - 1).sum())
    trained = [p for p in nemo.parameters() if p.requires_grad]
    optimizers = [torch.optim.AdamW(p, lr=1e-4) for p in (trained, list(ours.parameters()))]

    def step(which: int) -> float:
        begun = time.perf_counter()
        loss = nemo.training_step(theirs, 0)["loss"] if which == 0 else ours(batch, LossConfig()).total / frames
        loss.backward()
        optimizers[which].step()
        optimizers[which].zero_grad()
        float(loss.detach())  # waits for the device
        return time.perf_counter() - begun

    times: list[list[float]] = [[], []]
    for number in range(ROUNDS + 1):
        for which in (0, 1):
            took = step(which)
            if number:  # the first is a warm-up
                times[which].append(took)
    slow, fast = (statistics.median(t) for t in times)
    print(
        f"with {name} ({size:.1f} M): NeMo {frames / slow:.0f} frames/s, ours {frames / fast:.0f}: {slow / fast:.2f} x"
    )
    return {"nemo_frames_per_s": frames / slow, "ours_frames_per_s": frames / fast, "ratio": slow / fast}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
