"""NeMo's cache-aware streaming FastConformer as the encoder, with the modality adapter of NeMo's own duplex model.

Module names and shapes are those of `AudioPerceptionModule` (nemo.collections.speechlm2, 3.0), which is what runs here: so
its checkpoints' weights fit as they are.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from manifests.errors import RequestError
from manifests.frames import SOURCE_FRAME, SOURCE_RATE
from salm_duplex_model.config import NemoEncoderConfig
from salm_duplex_model.encoder import StreamingEncoder


class NemoEncoder(StreamingEncoder):
    """A FastConformer and its adapter. `config.context[1]` frames of audio after a frame are heard for it: with 0 the
    encoder is causal; with 1, the 80 ms of the paper, each vector waits for one frame more."""

    def __init__(self, config: NemoEncoderConfig, output_width: int) -> None:
        super().__init__()
        self.perception: Any = _perception(config, output_width)

    def initial_state(self, batch: int) -> list[Tensor]:
        """None is kept: audio is heard whole."""
        return []

    def forward(self, audio: Tensor, state: list[Tensor], frames: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """The whole of the audio at once; see `encoder.py` for the shapes."""
        longest = audio.shape[1] // SOURCE_FRAME
        lengths = SOURCE_FRAME * (frames if frames is not None else torch.full((len(audio),), longest)).to(audio.device)
        with torch.autocast(audio.device.type, enabled=False):  # the spectrum wants float32
            features, lengths = self.perception.preprocessor(input_signal=audio, length=lengths)
        vectors, _ = self.perception(processed_signal=features, processed_signal_length=lengths)
        # Subsampling rounds up: it gives one vector more than there are frames, never fewer than one less.
        return F.pad(vectors, (0, 0, 0, max(0, longest - vectors.shape[1])))[:, :longest], state


def _perception(config: NemoEncoderConfig, output_width: int) -> Any:
    try:
        from nemo.collections.asr.models import ASRModel
        from nemo.collections.speechlm2.modules import AudioPerceptionModule
        from omegaconf import OmegaConf
    except ImportError as error:
        raise RequestError(f"A NeMo encoder needs {error.name}: pip install '.[nemo]'.") from None
    asr = load_nemo(ASRModel, config.name)
    encoder: Any = OmegaConf.to_container(asr.cfg.encoder, resolve=True)
    if config.context is not None:
        encoder = encoder | {"att_context_size": list(config.context), "att_context_style": "chunked_limited"}
    if (rate := asr.cfg.preprocessor.get("sample_rate", SOURCE_RATE)) != SOURCE_RATE:
        raise RequestError(f"The encoder {config.name} hears {rate} Hz; one of {SOURCE_RATE} Hz is needed.")
    perception = AudioPerceptionModule(
        OmegaConf.create(
            {
                "preprocessor": asr.cfg.preprocessor,
                "encoder": encoder,
                "modality_adapter": adapter_config(config, int(encoder["d_model"])),
                "output_dim": output_width,
            }
        )
    )
    milliseconds = round(1000 * perception.token_equivalent_duration)
    if milliseconds != 80:
        raise RequestError(
            f"The encoder {config.name} gives a vector each {milliseconds} ms; one each 80 ms is needed."
        )
    if config.pretrained:
        perception.load_state_dict(asr.state_dict(), strict=False)
    return perception


def adapter_config(config: NemoEncoderConfig, width: int) -> dict[str, Any]:
    """The causal Conformer of NeMo's example configuration for duplex models."""
    if config.adapter_layers == 0:
        return {"_target_": "nemo.collections.speechlm2.modules.perception.IdentityConnector", "d_model": width}
    return {
        "_target_": "nemo.collections.asr.modules.ConformerEncoder",
        "feat_in": width, "feat_out": -1, "n_layers": config.adapter_layers, "d_model": config.adapter_width,
        "subsampling": "dw_striding", "subsampling_factor": 1, "subsampling_conv_channels": 256,
        "causal_downsampling": True, "ff_expansion_factor": 4, "self_attention_model": "rel_pos",
        "n_heads": config.adapter_heads, "att_context_size": [70, 0], "att_context_style": "chunked_limited",
        "conv_kernel_size": 9, "conv_norm_type": "layer_norm", "conv_context_size": "causal",
        "dropout": 0.0, "dropout_pre_encoder": 0.0, "dropout_emb": 0.0, "dropout_att": 0.0, "reduction": None,
    }  # fmt: skip


def load_nemo(kind: Any, name: str) -> Any:
    """A NeMo model from a `.nemo` file or the hub; raises `RequestError` where there is none."""
    if name.endswith(".nemo") and not Path(name).is_file():
        raise RequestError(f"The NeMo checkpoint {name} does not exist; check the path.")
    try:
        load = kind.restore_from if name.endswith(".nemo") else kind.from_pretrained
        return load(name, map_location="cpu").eval()
    except Exception as error:  # NeMo raises whatever its parts raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise RequestError(
            f"The NeMo model {name} can't be loaded ({reason}); name a .nemo file, or a model of the hub while online."
        ) from None
