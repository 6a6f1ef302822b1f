"""`tokenize` with a NeMo codec in batches, compared with one turn at a time: same turns, same machine, same run.

    PYTHONPATH=.:tests python tests/benchmarks/nemo_codec_batching.py [CODEC.nemo] [--dialogues 20] [--rounds 3]

One at a time is what a plain NeMo script does: `AudioCodecModel.encode` on each agent turn with silence around it. Both
alternate, and the ratio is of their medians. All codes of a batch must equal the stage's codes of single turns. The
benchmark also prints how many equal NeMo's, which depend on the shape of the batch through rounding. Without a codec,
two are created: a small one, and one with an encoder of about NanoCodec's size (26 M parameters). On a CPU, a codec's
arithmetic takes as long in batches, or longer if a batch exceeds the caches."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from nemo_material import make_codec

from manifests.records import Dialogue, DuplexDialogue
from pipeline.codec import BUNDLED_DIALOGUES
from pipeline.recipe import load_recipe
from stages.codecs.nemo import NemoTokenizer, NemoTokenizeSettings
from stages.ingest import ingest
from stages.tokenize import Stretch, stretches_of


def main(codec: str | None, dialogues: int, rounds: int) -> int:
    torch.set_num_threads(1)
    records = rendered(dialogues)
    if codec:
        return compare(Path(codec), records, rounds)
    with tempfile.TemporaryDirectory() as folder:
        small = compare(make_codec(Path(folder) / "small.nemo"), records, rounds)
        return small | compare(make_codec(Path(folder) / "large.nemo", 24, 864), records[: max(1, dialogues // 5)], 1)


def rendered(dialogues: int) -> list[DuplexDialogue]:
    recipe = load_recipe()
    read = ingest([str(BUNDLED_DIALOGUES)], recipe.ingest, recipe.seed)
    records: list = [r for r in read if isinstance(r, Dialogue)][:dialogues]
    for spec in recipe.stages:
        if spec.name != "tokenize":
            records = spec.make(recipe.seed).process(records)
    return records


def compare(path: Path, records: list[DuplexDialogue], rounds: int) -> int:
    from nemo.collections.tts.models import AudioCodecModel

    stage = NemoTokenizer(NemoTokenizeSettings(codec=str(path)), 0)
    stage.setup()
    codec, device = stage.codec, stage.codec.device
    model = AudioCodecModel.restore_from(str(path), map_location=device).eval()
    turns = [turn for number, record in enumerate(records) for turn in stretches_of(number, record)]
    margin = codec.reach * codec.frame_samples

    def alone(turn: Stretch) -> torch.Tensor:
        speech = turn.samples[: turn.frames * codec.frame_samples + margin] / np.float32(32768)
        padded = np.zeros(turn.frames * codec.frame_samples + 2 * margin, np.float32)
        padded[margin:][: len(speech)] = speech
        return torch.from_numpy(padded)[None]

    @torch.inference_mode()
    def one_at_a_time() -> list[np.ndarray]:
        codes = []
        for turn in turns:
            audio = alone(turn).to(device)
            tokens, _ = model.encode(audio=audio, audio_len=torch.tensor([audio.shape[1]], device=device))
            codes.append(tokens[0].T[codec.reach :][: turn.frames].cpu().numpy())
        return codes

    def in_batches() -> list[np.ndarray]:
        coded = stage.process(records)
        return [coded[turn.record].codes[turn.first : turn.first + turn.frames] for turn in turns]

    one_at_a_time()  # initialization at first use is not measured
    slow, fast = [], []
    for _ in range(rounds):
        nemos, took = timed(one_at_a_time)
        slow.append(took)
        batched, took = timed(in_batches)
        fast.append(took)
    own = [codec.encode(alone(turn))[0, codec.reach :][: turn.frames].numpy() for turn in turns]
    total = sum(codes.size for codes in own)
    equal, as_nemo = (sum(int((a == b).sum()) for a, b in zip(batched, by, strict=True)) for by in (own, nemos))
    seconds = sum(turn.frames for turn in turns) * 0.08
    size = sum(p.numel() for p in model.audio_encoder.parameters()) / 1e6
    one, other = statistics.median(slow), statistics.median(fast)
    print(
        f"{path.name}: encoder of {size:.1f} M parameters, {len(turns)} turns, {seconds:.0f} s, on {codec.device_name}"
    )
    print(f"  one at a time {seconds / one:8.1f} × real time")
    print(f"  in batches    {seconds / other:8.1f} × real time, {one / other:.2f} × as fast")
    print(f"  {equal} of {total} codes identical in batches and one at a time; {as_nemo} equal NeMo's")
    print(f"  {len(np.unique(np.concatenate(own)[:, 0]))} different codes in the first codebook")
    return int(equal != total)


def timed(work: Callable[[], list[np.ndarray]]) -> tuple[list[np.ndarray], float]:
    begun = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codec", nargs="?")
    parser.add_argument("--dialogues", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    raise SystemExit(main(arguments.codec, arguments.dialogues, arguments.rounds))
