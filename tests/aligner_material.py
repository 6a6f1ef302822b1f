"""A small Wav2Vec2ForCTC in Hugging Face's format that recognizes words of an alphabet of tones."""

import json
from pathlib import Path

import numpy as np
import torch

RATE = 16_000
HERTZ = dict(zip("abcde", (300, 600, 1_000, 1_700, 2_800), strict=True))
LETTER = RATE // 10


def tones(words: list[str], seed: int, scale: float = 1) -> tuple[np.ndarray, list[int]]:
    """The words as int16 tones with silences between them, and the sample at which each starts."""
    random = np.random.default_rng(seed)
    pieces, starts, at = [], [], 0
    for word in words:
        silence = np.zeros(int(random.integers(RATE // 10, RATE // 2)))
        at += len(silence)
        starts.append(at)
        sound = [np.sin(2 * np.pi * HERTZ[letter] * np.arange(LETTER) / RATE) for letter in word]
        pieces += [silence, *sound]
        at += LETTER * len(word)
    audio = np.concatenate([*pieces, np.zeros(RATE // 10)]) + 0.001 * random.standard_normal(at + RATE // 10)
    return (audio * 8_000 * scale).astype(np.int16), starts


def make_aligner(folder: Path) -> Path:
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {"<pad>": 0, "<unk>": 1, "|": 2} | {letter.upper(): n for n, letter in enumerate(HERTZ, 3)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), pad_token="<pad>", unk_token="<unk>")
    extractor = Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=True)
    torch.manual_seed(5)
    model = Wav2Vec2ForCTC(
        Wav2Vec2Config(
            vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
            conv_dim=(64, 32), conv_kernel=(160, 4), conv_stride=(80, 4), num_feat_extract_layers=2, pad_token_id=0,
            num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, apply_spec_augment=False,
            layerdrop=0.0, hidden_dropout=0.0, attention_dropout=0.0, feat_proj_dropout=0.0, final_dropout=0.0,
        )
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    random = np.random.default_rng(6)
    for step in range(80):
        words = ["".join(random.permutation(list(HERTZ))[: random.integers(2, 5)]) for _ in range(4)]
        audio, starts = tones(words, step, random.uniform(0.3, 1))
        logits = model(extractor(audio / 32768, sampling_rate=RATE, return_tensors="pt").input_values.float()).logits[0]
        frame = len(audio) / len(logits)
        labels = torch.zeros(len(logits), dtype=torch.long)
        for word, start in zip(words, starts, strict=True):
            for n, letter in enumerate(word):
                labels[round((start + n * LETTER) / frame) : round((start + (n + 1) * LETTER) / frame)] = vocabulary[
                    letter.upper()
                ]
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)
    return folder
