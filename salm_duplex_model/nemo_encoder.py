"""NeMo's cache-aware streaming FastConformer as the encoder, with the modality adapter of NeMo's own duplex model.

This runs `AudioPerceptionModule` (nemo.collections.speechlm2, 3.0) itself, with its module names and shapes, so
weights of its checkpoints fit unchanged. A complete recording takes NeMo's own forward pass; in a session, the
encoder continues from its caches, like NeMo's cache-aware models, and so do the spectrum before it and the adapter
after it."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from manifests.errors import RequestError
from manifests.frames import SOURCE_FRAME, SOURCE_RATE
from salm_duplex_model.config import NemoEncoderConfig
from salm_duplex_model.encoder import StreamingEncoder
from salm_duplex_model.nemo_files import load_nemo


class NemoEncoder(StreamingEncoder):
    """A FastConformer and its adapter, with the same vectors for a recording offline and frame by frame.

    Vector t sees audio up to half a spectral window into frame t. With a look-ahead of R frames (`context[1]`),
    vectors come in chunks of R + 1, and all vectors of a chunk see audio up to its end. To have each vector once its
    frame has arrived, the user's audio is delayed, in training and in sessions, by the missing amount: nothing with R
    = 0, 12.5 ms with the paper's R = 1, and 80 ms more for each further frame."""

    def __init__(self, config: NemoEncoderConfig, output_width: int) -> None:
        super().__init__()
        self.perception: Any = _perception(config, output_width)
        self.output_width = output_width
        encoder, spectrum = self.perception.encoder, self.perception.preprocessor.featurizer
        self.chunk = 1 + encoder.att_context_size[1]
        reach = -(-spectrum.win_length // 2)
        lacking = reach - SOURCE_FRAME * (2 - self.chunk)
        self.late = max(0, lacking)
        """Delay of the user's audio in samples."""
        self._unheard = max(0, -lacking)
        # A chunk's hops, preceded by a few that absorb the effects of the audio's edge.
        self._hops = self.chunk * encoder.subsampling_factor
        self._spoilt = -(-(reach + 1) // spectrum.hop_length)
        self._window = (self._spoilt + self._hops - 1) * spectrum.hop_length + reach + self._unheard

    def initial_state(self, batch: int) -> list[Tensor]:
        """Number of frames heard; audio; hops of the spectrum; caches of encoder and adapter; vectors of the current
        chunk."""
        like = next(self.parameters())
        encoder, mels = self.perception.encoder, self.perception.preprocessor.featurizer.nfilt
        caches = [cache for part in self._conformers() for cache in part.get_initial_cache_state(batch, like.dtype)]
        return [
            torch.zeros(batch, dtype=torch.long, device=like.device),
            torch.zeros(batch, self._window, device=like.device),
            like.new_zeros(batch, mels, encoder.streaming_cfg.pre_encode_cache_size[1]),
            *(
                cache if cache.ndim == 1 else cache.transpose(0, 1) for cache in caches
            ),  # NeMo has the layer dimension before the batch dimension
            like.new_zeros(batch, self.chunk, self.output_width),
        ]

    def forward(
        self, audio: Tensor, state: list[Tensor] | None = None, frames: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        if state is None:
            return self._whole(audio, frames), []
        vectors = []
        for frame in torch.split(audio, SOURCE_FRAME, dim=1):
            vector, state = self._step(frame, state)
            vectors.append(vector)
        return torch.stack(vectors, dim=1), state

    def _whole(self, audio: Tensor, frames: Tensor | None) -> Tensor:
        """NeMo's own forward pass over recordings."""
        longest = audio.shape[1] // SOURCE_FRAME
        lengths = SOURCE_FRAME * (frames if frames is not None else torch.full((len(audio),), longest)).to(audio.device)
        features, lengths = self._spectrum(F.pad(audio, (self.late, 0)), lengths + self.late)
        vectors, _ = self.perception(processed_signal=features, processed_signal_length=lengths)
        # Subsampling rounds up: the vectors after the last frame are needed only by its chunk.
        return F.pad(vectors, (0, 0, 0, max(0, longest - vectors.shape[1])))[:, :longest]

    def _step(self, audio: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """One frame (B, 1 280) of each row → (B, width). At the first frame of a chunk, a row computes all of the chunk's
        vectors. Rows that joined at different times have their chunks at different times."""
        heard, sound, *rest = state
        sound = torch.cat([sound[:, SOURCE_FRAME:], audio], dim=1)
        place = heard % self.chunk
        due = (place == 0).nonzero()[:, 0]
        if len(due):
            made = self._make_chunk(heard[due], sound[due], *(part[due] for part in rest[:-1]))
            rest = [part.index_copy(0, due, new) for part, new in zip(rest, made, strict=True)]
        vectors = rest[-1][torch.arange(len(place), device=place.device), place]
        return vectors, [heard + 1, sound, *rest]

    def _make_chunk(self, heard: Tensor, sound: Tensor, past: Tensor, *caches: Tensor) -> list[Tensor]:
        """The hops and caches to keep, and the vectors (B, chunk, width)."""
        sound = sound[:, : sound.shape[1] - self._unheard]
        features, _ = self._spectrum(sound, torch.full((len(sound),), sound.shape[1], device=sound.device))
        hops = torch.cat([past, features[:, :, self._spoilt : self._spoilt + self._hops]], dim=2)
        made, kept = self._subsample(heard, hops), list[Tensor]()
        for i, part in enumerate(self._conformers()):
            channel, time, length = caches[3 * i : 3 * i + 3]
            out = part(
                audio_signal=made if i == 0 else part.pre_encode(made),
                length=torch.full((len(made),), self.chunk, device=made.device),
                cache_last_channel=channel.transpose(0, 1),
                cache_last_time=time.transpose(0, 1),
                cache_last_channel_len=length,
                bypass_pre_encode=True,
            )
            vectors, _, channel, time, length = part.streaming_post_process(out)
            made = vectors.transpose(1, 2)
            kept += [channel.transpose(0, 1), time.transpose(0, 1), length]
        return [hops[:, :, -past.shape[2] :], *kept, self.perception.proj(made)]

    def _subsample(self, heard: Tensor, hops: Tensor) -> Tensor:
        """The chunk's hops, and those before it, as (B, chunk, encoder's width).

        There is no hop before the first one, which convolutions treat differently from a silent hop. So a row in its
        first frames gets only the existing hops.
        """
        encoder = self.perception.encoder
        factor, extra = encoder.subsampling_factor, encoder.streaming_cfg.drop_extra_pre_encoded
        vectors = hops.new_empty(len(hops), self.chunk, encoder.d_model)
        ages = heard.clamp(max=extra)
        for age in sorted(set(ages.tolist())):
            rows = ages == age
            given = hops[rows, :, -(factor * (age + self.chunk - 1) + 1) :].transpose(1, 2)
            lengths = torch.full((len(given),), given.shape[1], device=given.device)
            vectors[rows] = encoder.pre_encode(x=given, lengths=lengths)[0][:, age:]
        return vectors

    def _spectrum(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(audio.device.type, enabled=False):  # the spectrum wants float32
            features: tuple[Tensor, Tensor] = self.perception.preprocessor(input_signal=audio, length=lengths)
        return features

    def _conformers(self) -> list[Any]:
        """The modules with caches: the encoder, and the adapter if there is one."""
        adapter = self.perception.modality_adapter
        return [self.perception.encoder] + ([adapter] if hasattr(adapter, "get_initial_cache_state") else [])


def _perception(config: NemoEncoderConfig, output_width: int) -> Any:
    try:
        from nemo.collections.speechlm2.modules import AudioPerceptionModule
        from omegaconf import OmegaConf
    except ImportError as error:
        raise RequestError(f"A NeMo encoder needs {error.name}: pip install '.[nemo]'.") from None
    asr = load_nemo("ASRModel", config.name)
    encoder: Any = OmegaConf.to_container(asr.cfg.encoder, resolve=True)
    if config.context is not None:
        encoder = encoder | {"att_context_size": list(config.context), "att_context_style": "chunked_limited"}
    elif isinstance((contexts := encoder["att_context_size"])[0], list):  # of several, the first one is used
        encoder = encoder | {"att_context_size": contexts[0], "att_context_probs": None}
    if (rate := asr.cfg.preprocessor.get("sample_rate", SOURCE_RATE)) != SOURCE_RATE:
        raise RequestError(f"The encoder {config.name} takes {rate} Hz audio; name one for {SOURCE_RATE} Hz.")
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
        raise RequestError(f"The encoder {config.name} has a frame of {milliseconds} ms; name one with 80 ms.")
    if reason := _looks_ahead(perception):
        raise RequestError(
            f"The encoder {config.name} does not stream: {reason}; name a cache-aware streaming FastConformer."
        )
    if config.pretrained:
        perception.load_state_dict(asr.state_dict(), strict=False)
    return perception


def _looks_ahead(perception: Any) -> str:
    """Why the encoder can't run frame by frame; empty if it can."""
    encoder, spectrum = perception.encoder, perception.preprocessor.featurizer
    past, future = encoder.att_context_size
    chunked, norm = encoder.att_context_style == "chunked_limited", encoder.layers[0].conv.norm_type
    reasons = {
        "its spectrum is normalized over the recording": spectrum.normalize in ("per_feature", "all_features"),
        "its spectral windows start with the audio": spectrum.exact_pad,
        "its downsampling is not causal": not getattr(encoder.pre_encode, "is_causal", False),
        "its convolutions are not causal": encoder.conv_context_size[1] > 0,
        "its attention has unlimited left context": past < 1,
        "its attention looks ahead in every layer, not in chunks": future != 0 and not chunked,
        "its attention has no relative positions": encoder.self_attention_model != "rel_pos",
        "its convolutions are normalized over time": norm not in ("layer_norm", "batch_norm"),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


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
