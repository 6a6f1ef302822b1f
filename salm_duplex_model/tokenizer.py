"""The agent's text tokens: a Hugging Face tokenizer with the three ids that the text channel needs.

    python -m salm_duplex_model.tokenizer DIALOGUES.jsonl … --out salm_duplex_model/tokenizer_1k

recreates the bundled one, a byte-level BPE with 1 024 tokens trained on the bundled dialogues.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from manifests.errors import RequestError
from manifests.text_channel import SpecialTokens

# Texts are short and come one by one, and the tokenizer's own threads would not survive a fork.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

BUNDLED = Path(__file__).with_name("tokenizer_1k")
BUNDLED_SIZE = 1_024


class TextTokenizer:
    """Text ↔ token ids, without automatically added special tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        if bos is None or eos is None or bos == eos:
            raise RequestError("The LLM's tokenizer needs separate BOS and EOS tokens; choose another LLM.")
        # NeMo takes the PAD token, else UNK, else 0. A PAD that is also EOS could not mark a turn's end, so it is skipped.
        pad = next((i for i in (tokenizer.pad_token_id, tokenizer.unk_token_id, 0) if i not in (None, bos, eos)), None)
        if pad is None:
            raise RequestError(
                "The LLM's tokenizer needs a PAD or UNK token that is neither BOS nor EOS; choose another LLM."
            )
        self.special = SpecialTokens(pad=int(pad), bos=int(bos), eos=int(eos))

    @classmethod
    def load(cls, name: str | Path) -> "TextTokenizer":
        """From a folder or the hub; raises `RequestError` if there is none."""
        try:
            return cls(AutoTokenizer.from_pretrained(name))
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise RequestError(
                f"The tokenizer {name} can't be loaded ({reason}); name a Hugging Face folder, or go online."
            ) from None

    @property
    def size(self) -> int:
        return len(self._tokenizer)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a channel's tokens, without PAD, BOS and EOS."""
        special = (self.special.pad, self.special.bos, self.special.eos)
        return str(self._tokenizer.decode([i for i in ids if i not in special]))

    def save(self, folder: Path) -> None:
        self._tokenizer.save_pretrained(folder)


def train_tokenizer(texts: Sequence[str], out: Path, size: int = BUNDLED_SIZE) -> None:
    """A byte-level BPE in Hugging Face's folder format: it encodes any text, and training is deterministic."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(names.values()), initial_alphabet=alphabet)
    bpe.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=bpe, **names).save_pretrained(out)


def main() -> None:
    from manifests.formats import parse_dialogue
    from manifests.sources import Source, expand

    parser = argparse.ArgumentParser(description="Train the bundled tokenizer.")
    parser.add_argument("inputs", nargs="+", help="dialogue files")
    parser.add_argument("--out", type=Path, default=BUNDLED)
    arguments = parser.parse_args()
    texts = [
        turn.text
        for url in expand(arguments.inputs)
        for position, raw in Source(url).records()
        for turn in parse_dialogue(raw, url, str(position)).turns
    ]
    train_tokenizer(texts, arguments.out)


if __name__ == "__main__":
    main()
