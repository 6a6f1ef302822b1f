"""Small checkpoints in NeMo's and Hugging Face's file formats, created here, since no hub is available."""

from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

RATE = 16_000


def make_asr(path: Path, changes: dict[str, object] | None = None) -> Path:
    """A streaming FastConformer with a CTC head, as a `.nemo` file: 80 ms frames, causal down-sampling and
    convolutions. `changes` sets other values for keys of its configuration: {"encoder.n_layers": 1}."""
    from nemo.collections.asr.models import EncDecCTCModel

    vocabulary = list("abcdefghijklmnopqrstuvwxyz' ")
    config = {
        "sample_rate": RATE,
        "preprocessor": {
            "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
            "sample_rate": RATE, "normalize": "NA", "window_size": 0.025, "window_stride": 0.01, "window": "hann",
            "features": 80, "n_fft": 512, "log": True, "dither": 1e-5, "pad_to": 0,
        },
        "encoder": {
            "_target_": "nemo.collections.asr.modules.ConformerEncoder",
            "feat_in": 80, "feat_out": -1, "n_layers": 2, "d_model": 64, "subsampling": "dw_striding",
            "subsampling_factor": 8, "subsampling_conv_channels": 32, "causal_downsampling": True,
            "ff_expansion_factor": 2, "self_attention_model": "rel_pos", "n_heads": 4,
            "att_context_size": [70, 1], "att_context_style": "chunked_limited", "conv_kernel_size": 9,
            "conv_norm_type": "layer_norm", "conv_context_size": "causal", "dropout": 0.0,
            "dropout_pre_encoder": 0.0, "dropout_emb": 0.0, "dropout_att": 0.0,
        },
        "decoder": {
            "_target_": "nemo.collections.asr.modules.ConvASRDecoder",
            "feat_in": 64, "num_classes": len(vocabulary), "vocabulary": vocabulary,
        },
        "optim": {"name": "adamw", "lr": 1e-3},
    }  # fmt: skip
    torch.manual_seed(1)
    made = OmegaConf.create(config)
    for key, value in (changes or {}).items():
        OmegaConf.update(made, key, value)
    EncDecCTCModel(cfg=made).save_to(str(path))
    return path


def make_codec(path: Path, encoder_channels: int = 4, decoder_channels: int = 256, causal: bool = False) -> Path:
    """A codec of NanoCodec's geometry as a `.nemo` file: 1 764 samples per frame, 4 × FSQ [9, 8, 8, 7]. With `causal`,
    its decoder is causal, like NanoCodec's. It is untrained: without biases and with its latent scaled to one, its
    codes still differ from frame to frame."""
    from nemo.collections.tts.models import AudioCodecModel

    modules = "nemo.collections.tts.modules.audio_codec_modules"
    config = {
        "sample_rate": 22_050, "samples_per_frame": 1_764,
        "loss_resolutions": [[512, 128, 512]], "mel_loss_dims": [40], "commit_loss_scale": 0.0,
        "audio_encoder": {
            "_target_": f"{modules}.HiFiGANEncoder", "encoded_dim": 16, "down_sample_rates": [2, 2, 3, 3, 7, 7],
            "base_channels": encoder_channels, "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [1],
        },
        "vector_quantizer": {
            "_target_": f"{modules}.GroupFiniteScalarQuantizer", "num_groups": 4, "num_levels_per_group": [9, 8, 8, 7],
        },
        "audio_decoder": {
            "_target_": f"{modules}.{'Causal' * causal}HiFiGANDecoder", "input_dim": 16, "up_sample_rates": [7, 7, 3, 3, 2, 2],
            "base_channels": decoder_channels, "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [1],
        },
        "discriminator": {
            "_target_": f"{modules}.Discriminator",
            "discriminators": [{"_target_": f"{modules}.DiscriminatorSTFT", "filters": 2}],
        },
        "generator_loss": {"_target_": "nemo.collections.tts.losses.audio_codec_loss.GeneratorSquaredLoss"},
        "discriminator_loss": {"_target_": "nemo.collections.tts.losses.audio_codec_loss.DiscriminatorSquaredLoss"},
    }  # fmt: skip
    torch.manual_seed(2)
    codec = AudioCodecModel(cfg=OmegaConf.create(config))
    codec.eval()
    with torch.no_grad():
        for name, parameter in codec.audio_encoder.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
        noise = 0.1 * torch.randn(1, 1_764 * 20)
        latent, _ = codec.encode_audio(audio=noise, audio_len=torch.tensor([noise.shape[1]]))
        gain = codec.audio_encoder.post_conv.conv.parametrizations.weight.original0
        gain.mul_(1 / latent.std())
    codec.save_to(str(path))
    return path


def make_trained_codec(path: Path, speech: np.ndarray, steps: int = 100) -> Path:
    """The codec of `make_codec` with its decoder trained for some seconds on speech (int16 samples at 22 050 Hz), so
    that speech is recognizable. The encoder stays as it is, since a few steps would collapse its latents to one code."""
    from nemo.collections.tts.models import AudioCodecModel

    from salm_duplex_model.codec.losses import SpectralLoss

    codec = AudioCodecModel.restore_from(str(make_codec(path)), map_location="cpu")
    optimizer, criterion = torch.optim.AdamW(codec.audio_decoder.parameters(), lr=2e-3), SpectralLoss(22_050)
    random, length = np.random.default_rng(0), 16 * 1_764
    lengths = torch.full((4,), length)
    for _ in range(steps):
        starts = random.integers(len(speech) - length, size=4)
        crops = torch.from_numpy(np.stack([speech[start : start + length] for start in starts]) / np.float32(32768))
        with torch.no_grad():
            latent, frames = codec.encode_audio(audio=crops, audio_len=lengths)
            quantized, _ = codec.vector_quantizer(inputs=latent, input_len=frames)
        decoded, _ = codec.audio_decoder(inputs=quantized, input_len=frames)
        loss = criterion(decoded, crops)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(codec.audio_decoder.parameters(), 1.0)
        optimizer.step()
    codec.eval().save_to(str(path))
    return path


def make_llm(folder: Path, hidden: int = 64, layers: int = 2) -> Path:
    """A small Llama with our tokenizer as a Hugging Face folder."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer

    tokenizer = TextTokenizer.load(BUNDLED)
    shape = LlamaConfig(
        vocab_size=tokenizer.size, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, bos_token_id=tokenizer.special.bos,
        eos_token_id=tokenizer.special.eos, pad_token_id=tokenizer.special.pad,
    )  # fmt: skip
    torch.manual_seed(3)
    LlamaForCausalLM(shape).save_pretrained(folder)
    tokenizer.save(folder)
    return folder


def nemo_duplex_model(asr: Path, codec: Path, llm: Path):
    """NeMo's own model from these parts, with a small version of its example configuration's adapter."""
    from nemo.collections.speechlm2.models import DuplexS2SModel

    from salm_duplex_model.config import NemoEncoderConfig
    from salm_duplex_model.nemo_encoder import adapter_config

    adapter = adapter_config(NemoEncoderConfig(name="", adapter_layers=1, adapter_width=64, adapter_heads=4), 64)
    torch.manual_seed(4)
    return DuplexS2SModel(
        {
            "pretrained_llm": str(llm), "pretrained_asr": str(asr), "pretrained_audio_codec": str(codec),
            "pretrained_weights": True, "scoring_asr": str(asr), "freeze_params": [], "prevent_freeze_params": [],
            "text_loss_weight": 3, "audio_loss_weight": 4,
            "perception": {
                "target": "nemo.collections.speechlm2.modules.perception.AudioPerceptionModule",
                "modality_adapter": adapter,
            },
        }
    )  # fmt: skip


def copy_weights(nemo, ours) -> None:
    """Copy NeMo's weights into our model: the same parts, with the four code embeddings in one table."""
    ours.encoder.perception.load_state_dict(nemo.perception.state_dict())
    llm = {f"model.{name}": tensor for name, tensor in nemo.llm.state_dict().items()}
    llm |= {"model.embed_tokens.weight": nemo.embed_tokens.weight, "lm_head.weight": nemo.lm_head.weight}
    ours.llm.load_state_dict(llm)
    with torch.no_grad():
        ours.code_embedding.weight.copy_(torch.cat([table.weight for table in nemo.embed_audio_tokens]))
    ours.code_head.load_state_dict(nemo.audio_head.state_dict())
