"""Whether a run's streamed answers equal its offline answers.

    python tests/benchmarks/streaming_equals_offline.py RUN CORPUS [--split test] [--dialogues 20]

Each dialogue's user channel is played to a separate session, whose output is compared with two offline results: greedy
decoding of the whole recording, and the most likely tokens and codes of a single pass over the session's output
channels.
"""

import argparse
from itertools import islice
from pathlib import Path

import torch

from manifests.corpus import open_corpus
from manifests.frames import SOURCE_FRAME
from salm_duplex_model.channels import SPEECH_DELAY
from salm_duplex_model.checkpoint import load_run
from salm_duplex_model.codec import Codec
from salm_duplex_model.generate import greedy
from salm_duplex_model.session import Session


@torch.inference_mode()
def main(run: Path, corpus: Path, split: str, dialogues: int) -> int:
    model, tokenizer = load_run(run)
    codec = Codec.bundled()
    equal = total = frames = passes = choices = 0
    for cut in islice(open_corpus(corpus).cuts(split), dialogues):
        audio = torch.from_numpy(cut.load_audio())
        session = Session(model, codec)
        text, codes, user = [session.text], [torch.full((1, 4), SPEECH_DELAY)], [session.user_text]
        for frame in audio.split(SOURCE_FRAME, dim=1):
            session.think(frame)
            text.append(session.text)
            codes.append(session.codes)
            user.append(session.user_text)
        read = torch.stack(user[:-1], 1) if model.has_user_text else None
        said, played = torch.stack(text, 1), torch.stack(codes, 1)
        offline = greedy(model, audio)
        same = torch.equal(said[:, :-1], offline.text) and torch.equal(played[:, 1:], offline.codes)
        heard, _ = model.encoder(audio)
        text_logits, code_logits = model.heads(model.hidden(model.embed(said[:, :-1], played[:, :-1], read) + heard))
        agree = (text_logits.argmax(-1) == said[:, 1:]).sum() + (code_logits.argmax(-1) == played[:, 1:]).sum()
        passes, choices = passes + int(agree), choices + 5 * heard.shape[1]
        equal, total, frames = equal + same, total + 1, frames + heard.shape[1]
        turns = int((said == tokenizer.special.bos).sum())
        print(f"{cut.id}: {heard.shape[1]} frames, {turns} agent turns, {'equal' if same else 'DIFFERENT'}")
    print(f"{equal} of {total} dialogues equal, {frames} frames; one pass agrees on {passes} of {choices} choices")
    return equal < total or passes < choices


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--dialogues", type=int, default=20)
    arguments = parser.parse_args()
    raise SystemExit(main(arguments.run, arguments.corpus, arguments.split, arguments.dialogues))
