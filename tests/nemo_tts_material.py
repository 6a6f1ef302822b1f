"""Small FastPitch and HiFi-GAN checkpoints as `.nemo` files, with small versions of NeMo's example configurations. They
are untrained: their speech is noise with a different color for every phoneme, and loud enough to count as speech."""

from pathlib import Path

import torch
from omegaconf import OmegaConf

RATE, HOP, BANDS = 22_050, 256, 80

DICTIONARY = {
    "can": "K AE1 N", "you": "Y UW1", "hear": "HH IY1 R", "me": "M IY1", "good": "G UH1 D", "morning": "M AO1 R N IH0 NG",
    "how": "HH AW1", "are": "AA1 R", "fine": "F AY1 N", "yes": "Y EH1 S", "well": "W EH1 L", "known": "N OW1 N",
}  # fmt: skip


IPA = "HELLO  həˈɫoʊ\nYES  ˈjɛs\nGOOD  ˈɡʊd\nMORNING  ˈmɔɹnɪŋ\nHOW  ˈhaʊ\nARE  ˈɑɹ\nYOU  ˈju\nFINE  ˈfaɪn\n"


def make_fastpitch(path: Path, speakers: int = 1, changes: dict[str, object] | None = None) -> Path:
    """English in ARPABET, like the published models, with 2 to 12 frames per phoneme."""
    from nemo.collections.tts.models import FastPitchModel

    lexicon, heteronyms = path.with_suffix(".dict"), path.with_suffix(".heteronyms")
    lexicon.write_text("".join(f"{word.upper()}  {sounds}\n" for word, sounds in DICTIONARY.items()))
    heteronyms.write_text("lead\nread\n")
    width, conditions = 32, ["add"] if speakers > 1 else []
    transformer = {
        "n_layer": 1, "n_head": 1, "d_model": width, "d_head": 16, "d_inner": 64, "kernel_size": 3,
        "dropout": 0.1, "dropatt": 0.1, "dropemb": 0.0, "condition_types": conditions,
    }  # fmt: skip
    predictor = {
        "_target_": "nemo.collections.tts.modules.fastpitch.TemporalPredictor",
        "input_size": width, "kernel_size": 3, "filter_size": 32, "dropout": 0.1, "n_layers": 2,
        "condition_types": conditions,
    }  # fmt: skip
    tokenizers = "nemo.collections.common.tokenizers.text_to_speech.tts_tokenizers"
    config = {
        "learn_alignment": True, "n_speakers": speakers, "max_token_duration": 75, "symbols_embedding_dim": width,
        "pitch_embedding_kernel_size": 3, "n_mel_channels": BANDS,
        "text_normalizer": {
            "_target_": "nemo_text_processing.text_normalization.normalize.Normalizer", "lang": "en",
            "input_case": "cased",
        },
        "text_normalizer_call_kwargs": {"verbose": False, "punct_pre_process": True, "punct_post_process": True},
        "text_tokenizer": {
            "_target_": f"{tokenizers}.EnglishPhonemesTokenizer",
            "punct": True, "stresses": True, "chars": True, "apostrophe": True, "pad_with_space": True,
            "g2p": {
                "_target_": "nemo.collections.tts.g2p.models.en_us_arpabet.EnglishG2p",
                "phoneme_dict": str(lexicon), "heteronyms": str(heteronyms), "phoneme_probability": 0.5,
            },
        },
        "train_ds": {"defer_setup": True, "dataset": {"_target_": "nemo.collections.tts.data.dataset.TTSDataset"}},
        "preprocessor": {
            "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
            "features": BANDS, "lowfreq": 0, "highfreq": 8000, "n_fft": 1024, "n_window_size": 1024, "window_size": False,
            "n_window_stride": HOP, "window_stride": False, "pad_to": 1, "pad_value": 0, "sample_rate": RATE,
            "window": "hann", "normalize": None, "preemph": None, "dither": 0.0, "frame_splicing": 1, "log": True,
            "log_zero_guard_type": "add", "log_zero_guard_value": 1e-05, "mag_power": 1.0,
        },
        "input_fft": {
            "_target_": "nemo.collections.tts.modules.transformer.FFTransformerEncoder", "d_embed": width, **transformer,
        },
        "output_fft": {"_target_": "nemo.collections.tts.modules.transformer.FFTransformerDecoder", **transformer},
        "alignment_module": {
            "_target_": "nemo.collections.tts.modules.aligner.AlignmentEncoder", "n_text_channels": width,
        },
        "duration_predictor": predictor,
        "pitch_predictor": predictor,
        "optim": {"name": "adamw", "lr": 1e-3},
    }  # fmt: skip
    torch.manual_seed(5)
    made = OmegaConf.create(config)
    for key, value in (changes or {}).items():
        OmegaConf.update(made, key, value)
    # The normalizer takes a minute to build, and the weights don't need it.
    model = FastPitchModel(cfg=OmegaConf.masked_copy(made, [key for key in made if not key.startswith("text_normal")]))
    with torch.no_grad():
        last = model.fastpitch.duration_predictor.fc
        last.weight.mul_(2)
        last.bias.fill_(1.9)  # about 6 frames, since a duration is exp(x) - 1
    OmegaConf.set_struct(model.cfg, False)
    model.cfg.text_normalizer = made.text_normalizer
    model.cfg.text_normalizer_call_kwargs = made.text_normalizer_call_kwargs
    model.save_to(str(path))
    return path


def make_hifigan(path: Path, rate: int = RATE) -> Path:
    """The examples' generator V3, an eighth as wide."""
    from nemo.collections.tts.models import HifiGanModel

    config = {
        "debug": True,  # small discriminators, needed only for training
        "train_ds": {"defer_setup": True, "dataset": {"_target_": "nemo.collections.tts.data.dataset.VocoderDataset"}},
        "preprocessor": {
            "_target_": "nemo.collections.asr.parts.preprocessing.features.FilterbankFeatures",
            "nfilt": BANDS, "lowfreq": 0, "highfreq": 8000, "n_fft": 1024, "n_window_size": 1024, "n_window_stride": HOP,
            "pad_to": 0, "pad_value": -11.52, "sample_rate": rate, "window": "hann", "normalize": None, "preemph": None,
            "dither": 0.0, "frame_splicing": 1, "log": True, "log_zero_guard_type": "clamp",
            "log_zero_guard_value": 1e-05, "mag_power": 1.0, "use_grads": False, "exact_pad": True,
        },
        "generator": {
            "_target_": "nemo.collections.tts.modules.hifigan_modules.Generator",
            "resblock": 2, "upsample_rates": [8, 8, 4], "upsample_kernel_sizes": [16, 16, 8],
            "upsample_initial_channel": 32, "resblock_kernel_sizes": [3, 5], "resblock_dilation_sizes": [[1, 2], [2, 6]],
        },
        "optim": {"_target_": "torch.optim.AdamW", "lr": 0.0002},
    }  # fmt: skip
    torch.manual_seed(6)
    model = HifiGanModel(cfg=OmegaConf.create(config)).eval()
    with torch.no_grad():
        for up in model.generator.ups:
            up.weight_g.mul_(20)  # the initial weights are nearly silent
        last = model.generator.conv_post
        last.weight_v.sub_(last.weight_v.mean(dim=2, keepdim=True))  # no constant part
        last.bias.zero_()
        while model(spec=torch.randn(1, BANDS, 100)).std() > 0.2:
            last.weight_g.mul_(0.7)
    model.save_to(str(path))
    return path


def make_magpie(
    path: Path, codec: Path, speakers: int = 0, tokenizers: dict[str, tuple[str, str]] | None = None
) -> Path:
    """MagpieTTS of the published kind (context encoder, local transformer) with NanoCodec's codes, about 10 frames per
    turn. With `speakers`, their voices are baked in, as in the published model; otherwise, it takes a recording.
    `tokenizers` are {name: (locale, pronunciations)}, by default one for English."""
    from nemo.collections.tts.models import MagpieTTSModel

    width = 32
    layers = {
        "n_layers": 1, "d_model": width, "d_ffn": 64, "sa_n_heads": 2, "kernel_size": 3, "p_dropout": 0.1,
        "p_dropout_out": 0.0, "is_causal": True, "apply_norm_out": True, "max_length_causal_mask": 512,
        "use_learnable_pos_emb": True,
    }  # fmt: skip
    config = {
        "model_type": "decoder_ce", "codecmodel_path": str(codec), "embedding_dim": width, "hidden_dim": width,
        "sample_rate": RATE, "use_text_conditioning_encoder": False, "context_duration_min": 1.0,
        "context_duration_max": 1.0, "prior_scaling_factor": None, "prior_end_step": 0, "prior_scaledown_start_step": 0,
        "local_transformer_type": "autoregressive", "local_transformer_n_layers": 1, "local_transformer_n_heads": 1,
        "local_transformer_hidden_dim": width,
        "inference_parameters": {"max_decoder_steps": 60, "topk": 80},
        "text_tokenizers": {
            name: _ipa_tokenizer(path.with_suffix(f".{name}"), locale, words)
            for name, (locale, words) in (tokenizers or {"english_phoneme": ("en-US", IPA)}).items()
        },
        "encoder": {**layers, "has_xattn": False},
        "context_encoder": {**layers, "has_xattn": False},
        "decoder": {
            **layers, "has_xattn": True, "xa_d_memory": width, "xa_n_heads": 1, "apply_norm_to_cond": True,
        },
        "optim": {"_target_": "torch.optim.Adam", "lr": 2e-4},
    }  # fmt: skip
    torch.manual_seed(7)
    model = MagpieTTSModel(cfg=OmegaConf.create(config)).eval()
    with torch.no_grad():
        # Logits depend on text and voice, and speech may end in any frame.
        for head in model.local_transformer_out_projections:
            head.weight.mul_(4)
            head.weight[model.audio_eos_id], head.bias[model.audio_eos_id] = 0, 5.5
        if speakers:
            frames = 6
            model.baked_context_embedding = torch.nn.Embedding(speakers, frames * width)
            model._baked_embedding_T, model._baked_embedding_D = torch.tensor(frames), torch.tensor(width)
            model.baked_context_embedding_len = torch.full((speakers,), frames)
    model.save_to(str(path))
    return path


def _ipa_tokenizer(lexicon: Path, locale: str, words: str) -> dict[str, object]:
    lexicon.write_text(words, "utf-8")
    return {
        "_target_": "nemo.collections.common.tokenizers.text_to_speech.tts_tokenizers.IPATokenizer",
        "locale": locale, "punct": True, "apostrophe": True, "pad_with_space": False,
        "g2p": {
            "_target_": "nemo.collections.tts.g2p.models.i18n_ipa.IpaG2p", "locale": locale,
            "phoneme_dict": str(lexicon), "phoneme_probability": 0.8, "ignore_ambiguous_words": False,
            "use_chars": True, "use_stresses": True,
        },
    }  # fmt: skip


def make_loud_codec(path: Path) -> Path:
    """The untrained codec of `make_codec` with a louder decoder, which would otherwise be nearly silent."""
    from nemo.collections.tts.models import AudioCodecModel
    from nemo_material import make_codec

    codec = AudioCodecModel.restore_from(str(make_codec(path, decoder_channels=64)), map_location="cpu").eval()
    codes, length = torch.randint(0, 4_032, (1, 4, 20)), torch.tensor([20])
    gain = codec.audio_decoder.post_conv.conv.parametrizations.weight.original0
    with torch.no_grad():
        for name, parameter in codec.audio_decoder.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()  # otherwise, all codes sound alike
        while codec.decode(tokens=codes, tokens_len=length)[0].std() < 0.1:
            gain.mul_(1.5)
    codec.save_to(str(path))
    return path
