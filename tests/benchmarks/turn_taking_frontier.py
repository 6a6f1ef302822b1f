"""How a run trades quickness against patience: its scenes played with starts or ends of turns made less likely.

    PYTHONPATH=. python tests/benchmarks/turn_taking_frontier.py RUN CORPUS… [--bos 0 -1 -2] [--eos 0 -2] [--limit 60]

A number is added to the text logit of BOS (an agent that is slower to start waits longer in a user's pauses) or of EOS
(an agent that is slower to stop talks through a backchannel). Each line is one setting over all corpora; together they
trace the trade-off.
"""

import argparse
from pathlib import Path

import torch

from manifests.corpus import open_corpus
from salm_duplex_model.checkpoint import load_run, read_config
from salm_duplex_model.codec.nemo import load_codec
from salm_duplex_model.evaluation.play import batches, play
from salm_duplex_model.evaluation.scores import score, summarize
from salm_duplex_model.session import Decoding

SHOWN = (
    "pause_take_over_rate",
    "turn_taken_rate",
    "first_response_latency_s",
    "interruption_taken_rate",
    "false_alarm_rate",
    "false_stop_rate",
    "chance_stop_rate",
    "barge_in_success_rate",
    "barge_in_latency_s",
)


def main(run: Path, corpora: list[Path], bos: list[float], eos: list[float], limit: int) -> None:
    model, tokenizer = load_run(run)
    codec, plain = load_codec(read_config(run).codec), model.heads
    cuts = [cut for path in corpora for cut in list(open_corpus(path).cuts("test"))[:limit]]
    print("  BOS   EOS  " + "  ".join(SHOWN))
    for added_bos, added_eos in dict.fromkeys([*((value, 0.0) for value in bos), *((0.0, value) for value in eos)]):

        def biased(
            hidden: torch.Tensor, added_bos: float = added_bos, added_eos: float = added_eos
        ) -> tuple[torch.Tensor, torch.Tensor]:
            text, codes = plain(hidden)
            text[..., tokenizer.special.bos] += added_bos
            text[..., tokenizer.special.eos] += added_eos
            return text, codes

        model.heads = biased  # type: ignore[method-assign]
        scores = [
            score(played.cut, played.audio, played.tokens, tokenizer)
            for batch in batches(cuts, 40)
            for played in play(model, codec, batch, Decoding(0, 0.8, 0))
        ]
        figures = summarize(scores)
        cells = [
            f"{'-' if figures[name].value is None else format(figures[name].value, '.3f')} ({figures[name].n})".rjust(
                len(name)
            )
            for name in SHOWN
        ]
        print(f"{added_bos:5.1f} {added_eos:5.1f}  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("corpora", type=Path, nargs="+")
    parser.add_argument("--bos", type=float, nargs="+", default=[0, -1, -2, -4])
    parser.add_argument("--eos", type=float, nargs="+", default=[0, -2])
    parser.add_argument("--limit", type=int, default=60)
    arguments = parser.parse_args()
    main(arguments.run, arguments.corpora, arguments.bos, arguments.eos, arguments.limit)
