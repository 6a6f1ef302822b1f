"""Check every cut of a finished corpus against the promises of the corpus format, with plain Lhotse and NeMo's own
dataset.

    PYTHONPATH=. python tests/benchmarks/corpus_contract.py CORPUS

Prints one line per promise with the number of checks, and exits with 1 if one fails.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from lhotse import CutSet, MonoCut

from manifests.frames import FRAME_SECONDS, frame_at
from manifests.records import ASIDES
from pipeline.report.timeline_layout import barge_ins

SILENCE = 10 ** (-50 / 20)
FRAME = {"user": 1_280, "agent": 1_764}
RATE = {"user": 16_000, "agent": 22_050}


class Tally:
    """Numbers of checks and of failures, by promise."""

    def __init__(self) -> None:
        self.checked: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.first_wrong: dict[str, str] = {}

    def __call__(self, promise: str, holds: bool, where: str) -> None:
        self.checked[promise] += 1
        if not holds:
            self.wrong[promise] += 1
            self.first_wrong.setdefault(promise, where)


def check_cut(cut: MonoCut, cut_off: float, tally: Tally) -> list[tuple[float, float]]:
    """Check one cut; returns for each barge-in (measured user onset → agent silence, the silence that follows), in seconds."""
    channel = {"user": cut.load_audio()[0], "agent": cut.load_target_audio()[0]}
    codes = cut.load_target_codes()
    frames = len(codes)
    tally("equal whole frames in both channels", all(len(channel[s]) == frames * FRAME[s] for s in FRAME), cut.id)
    tally("codes (frames, 4), int16, in range", codes.shape[1] == 4 and codes.dtype == np.int16, cut.id)
    tally("codes (frames, 4), int16, in range", bool(codes.min() >= 0 and codes.max() < 4_032), cut.id)
    tally("no clipping", all(np.abs(a).max() < 0.999 for a in channel.values()), cut.id)
    spoken = {s: np.zeros(len(channel[s]), dtype=bool) for s in channel}
    for s in cut.supervisions:
        start, end = round(s.start * RATE[s.speaker]), round(s.end * RATE[s.speaker])
        tally("turns of one speaker do not overlap", not spoken[s.speaker][start:end].any(), s.id)
        spoken[s.speaker][start:end] = True
        if s.speaker == "agent":
            tally("agent turns start on a frame", start % FRAME["agent"] == 0, s.id)
        words = s.alignment["word"]
        tally("words lie inside their turn, in order", all(s.start <= w.start <= w.end <= s.end for w in words), s.id)
        tally("text_heard is the words", " ".join(w.symbol for w in words) == s.custom["text_heard"], s.id)
        tally(
            "a cut-off turn has lost words, another none",
            s.custom["cut_off"] == (s.custom["text_heard"] != s.custom["text_full"]),
            s.id,
        )
        for start, length in s.custom.get("pauses", ()):
            spoken[s.speaker][round(start * RATE[s.speaker]) : round((start + length) * RATE[s.speaker])] = False
            tally("pauses lie inside their turn", s.start < start < start + length < s.end, s.id)
    noisy = "noise" in cut.custom
    for speaker, audio in channel.items():
        if not (noisy and speaker == "user"):
            loudest = np.abs(audio[~spoken[speaker]]).max(initial=0)
            tally("silence where no supervision speaks", bool(loudest < SILENCE), cut.id)
    return [] if noisy else list(check_barge_ins(cut, cut_off, channel, tally))


def check_barge_ins(
    cut: MonoCut, cut_off: float, channel: dict[str, np.ndarray], tally: Tally
) -> Iterator[tuple[float, float]]:
    turns = [s for s in cut.supervisions if s.custom["event"] not in ASIDES]
    for agent, user in pairwise(turns):
        if user.custom["event"] != "barge_in":
            continue
        tally("a barge-in cuts the agent off", agent.custom["cut_off"], user.id)
        onset = first_loud(channel["user"], round(user.start * 16_000)) / 16_000
        last = last_loud(channel["agent"], round(agent.end * 22_050)) / 22_050
        following = [s.start for s in cut.supervisions if s.speaker == "agent" and s.start > agent.start]
        rest = channel["agent"][round(agent.end * 22_050) : round(min(following, default=cut.duration) * 22_050)]
        tally("silence after a cut-off", bool(np.abs(rest).max(initial=0) < SILENCE), agent.id)
        late = last - onset - cut_off
        if agent.custom["yields"] == "in_word":
            tally("agent silent one cut-off ± a frame after the user's onset", abs(late) <= 0.08, user.id)
        else:
            tally("or after the end of its word", -0.08 <= late <= 1.5, user.id)
        yield last - onset, len(rest) / 22_050


def first_loud(audio: np.ndarray, start: int) -> int:
    return start + int(np.argmax(np.abs(audio[start:]) > SILENCE))


def last_loud(audio: np.ndarray, end: int) -> int:
    return int(np.flatnonzero(np.abs(audio[:end]) > SILENCE)[-1])


def check_nemo(corpus: Path, tally: Tally, sample: int = 500) -> None:
    """Compare NeMo's target tokens with ours, using a byte-pair tokenizer trained on the corpus's text.

    They must be equal, except in cut-off turns whose text is longer than the time to the cut: these are compared up to
    the user's onset, where both must equal the tokens of the complete turn.
    """
    from nemo.collections.common.tokenizers import AutoTokenizer
    from nemo.collections.speechlm2.data.s2s_dataset import DuplexS2SDataset
    from nemo.collections.speechlm2.data.utils import get_pad_id
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from manifests.text_channel import SpecialTokens, text_channel

    cuts = CutSet.from_cuts(islice(CutSet.from_shar(in_dir=corpus / "train"), sample))
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=4_000, special_tokens=["<pad>", "<s>", "</s>"], initial_alphabet=alphabet)
    bpe.train_from_iterator((s.text_full for cut in cuts for s in cut.supervisions), trainer)
    special_names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    with tempfile.TemporaryDirectory() as folder:
        PreTrainedTokenizerFast(tokenizer_object=bpe, **special_names).save_pretrained(folder)
        tokenizer = AutoTokenizer(folder, use_fast=True)
    special = SpecialTokens(get_pad_id(tokenizer), tokenizer.bos, tokenizer.eos)
    dataset = DuplexS2SDataset(tokenizer, 0.08, 16_000, 22_050)
    for cut in cuts:
        batch = dataset[CutSet.from_cuts([cut])]
        ours = text_channel(cut.supervisions, len(cut.load_target_codes()), "agent", tokenizer.text_to_ids, special)
        theirs = batch["target_tokens"][0].numpy()
        if ours.cut_tokens == 0:
            tally("NeMo's target tokens equal ours", np.array_equal(theirs, ours.tokens), cut.id)
        for agent, user in barge_ins(cut.supervisions):
            first, onset, eos = frame_at(agent.start), int(user.start / FRAME_SECONDS), frame_at(agent.end)
            whole = [special.bos, *tokenizer.text_to_ids(agent.text_full), *[special.pad] * len(theirs)]
            same = ours.tokens[first:eos].tolist() == whole[: eos - first]
            tally("a cut-off turn's tokens are those of its whole text, up to EOS", same, agent.id)
            same = theirs[first : onset + 1].tolist() == whole[: onset + 1 - first]
            tally("and NeMo's, up to the user's onset", same, agent.id)
            fits = 1 + len(tokenizer.text_to_ids(agent.text)) <= eos - first
            tally("NeMo leaves nothing of it behind EOS", fits, agent.id)


def main(corpus: Path) -> int:
    tally, barge_ins, seen = Tally(), [], Counter()
    long, with_barge_in = 0, 0
    recipe = json.loads((corpus / "corpus.json").read_text("utf-8"))["identity"]["recipe"]
    cut_off = recipe["schedule"]["barge_in"]["cut_off_s"]
    for split in ("train", "validation", "test"):
        if not (corpus / split).is_dir():
            continue
        for cut in CutSet.from_shar(in_dir=corpus / split):
            seen[split] += 1
            found = check_cut(cut, cut_off, tally)
            barge_ins += found
            if cut.custom["total_turns"] >= 3:
                long, with_barge_in = long + 1, with_barge_in + bool(found)
    rows = pq.read_table(corpus / "manifest").to_pylist()
    tally("the manifest has the shards' dialogues", Counter(r["split"] for r in rows) == seen, str(seen))
    check_nemo(corpus, tally)
    for promise, number in tally.checked.items():
        wrong = tally.wrong[promise]
        print(f"{'ok   ' if not wrong else 'WRONG'} {promise}: {number - wrong} of {number}", end="")
        print(f", first wrong at {tally.first_wrong[promise]}" if wrong else "")
    latencies = np.array([latency for latency, _ in barge_ins])
    print(f"{dict(seen)}; {with_barge_in} of {long} dialogues with three or more turns have a barge-in")
    if len(latencies):
        print(f"onset → silence over {len(latencies)} barge-ins: mean {latencies.mean():.3f} s", end=", ")
        print(f"minimum {latencies.min():.3f}, maximum {latencies.max():.3f}")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
