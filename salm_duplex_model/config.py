"""The configuration of a training run: model, data, optimization; all values are checked before any work.

A preset is a YAML file of these settings, as in `presets/`; a run stores its complete configuration in
`RUN/config.yaml`.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from manifests.text_channel import Alignment

PRESETS = Path(__file__).with_name("presets")


class Section(BaseModel):
    """A part of the configuration; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class CausalEncoderConfig(Section):
    """Our own small streaming encoder, see `encoder.py`."""

    kind: Literal["causal"] = "causal"
    mels: int = Field(default=64, ge=1, le=128)
    channels: int = Field(default=96, ge=8, description="width at 100 Hz")
    hop_blocks: int = Field(default=2, ge=0)
    width: int = Field(default=256, ge=8, description="width at 12.5 Hz")
    frame_blocks: int = Field(default=3, ge=0)


class NemoEncoderConfig(Section):
    """NeMo's streaming FastConformer with a modality adapter, see `nemo_encoder.py`."""

    kind: Literal["nemo"] = "nemo"
    name: str = Field(description="a `.nemo` file, or the hub name of a model")
    pretrained: bool = Field(default=True, description="false: the checkpoint's shapes with random weights")
    context: tuple[int, int] | None = Field(
        default=(70, 0), description="attention context in frames, past and future; null: the checkpoint's own"
    )
    adapter_layers: int = Field(default=2, ge=0, description="causal Conformer layers of the modality adapter")
    adapter_width: int = Field(default=512, ge=8)
    adapter_heads: int = Field(default=8, ge=1)

    @model_validator(mode="after")
    def _past_is_whole_chunks(self) -> "NemoEncoderConfig":
        past, future = self.context or (1, 0)
        if future < 0 or past < 1 or past % (future + 1):
            raise ValueError("'context' [past, future]: past must be a multiple of future + 1, and not 0")
        return self


class LlamaConfig(Section):
    """A small Llama trained from scratch, with the bundled tokenizer."""

    hidden_size: int = Field(default=192, ge=8)
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    intermediate_size: int = Field(default=512, ge=8)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "LlamaConfig":
        if self.hidden_size % (2 * self.heads):
            raise ValueError("'hidden_size' must be a multiple of twice 'heads'")
        return self


class LoraConfig(Section):
    """Low-rank adapters on the LLM, by `peft`; the rest of the LLM is then frozen."""

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: list[str] = Field(default=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])


class ModelConfig(Section):
    encoder: CausalEncoderConfig | NemoEncoderConfig = Field(default=CausalEncoderConfig(), discriminator="kind")
    llm: str | LlamaConfig = Field(
        default=LlamaConfig(), description="a Hugging Face causal LM by name or folder, or a small Llama's shape"
    )
    llm_pretrained: bool = Field(default=True, description="false: the named LLM's shape with random weights")
    tie_codes: bool = Field(
        default=False, description="one table of codes for embedding and head, as in small LLMs for text"
    )
    user_text: bool = Field(
        default=False,
        description="a second text channel, of what the user says, predicted and read back, as in NeMo's DuplexSTTModel",
    )
    lora: LoraConfig | None = None
    freeze: list[str] = Field(default=[], description="regular expressions; parameters whose name matches are fixed")
    activation_checkpointing: bool = False


class TokenWeights(Section):
    """Weights of the text channel's labels in the training loss: NeMo's `token_loss_weight`, with PAD of two kinds.

    A heavier BOS is predicted more often: calibrate the run with `salm-duplex tune` before evaluating it.
    """

    pad: float = Field(default=1, ge=0, description="PAD while the agent is silent")
    inside: float = Field(default=1, ge=0, description="PAD between BOS and EOS, mostly after the text has run out")
    bos: float = Field(default=1, ge=0)
    eos: float = Field(default=1, ge=0)
    text: float = Field(default=1, ge=0)


class LossConfig(Section):
    """The paper's 3 : 1 per codebook. The loss of codes is averaged over the 4 codebooks, so that is 3 and 4, as in
    NeMo."""

    text_weight: float = Field(default=3.0, ge=0)
    codes_weight: float = Field(default=4.0, ge=0)
    token_weight: TokenWeights = Field(
        default=TokenWeights(),
        description="weights of the text channel's labels in training; validation losses are unweighted",
    )
    user_text_weight: float = Field(default=3.0, ge=0, description="with model.user_text: weight of the user's text")
    auxiliary_weight: float = Field(
        default=0, ge=0, description="weight of the auxiliary losses on the encoder's output, see `auxiliary.py`"
    )
    mask_padding: bool = Field(
        default=True, description="false: padding frames count too, as in NeMo 3's DuplexS2SModel"
    )


class AugmentConfig(Section):
    """Changes to the user's audio when a cut is loaded for training, see `augment.py`; none by default."""

    level_db: tuple[float, float] = Field(default=(0, 0), description="range of the gain, drawn for each cut")
    noise_share: float = Field(default=0, ge=0, le=1, description="share of cuts with noise added")
    noise_snr_db: tuple[float, float] = Field(
        default=(5, 30), description="range of speech above noise, drawn for each"
    )

    @model_validator(mode="after")
    def _from_low_to_high(self) -> "AugmentConfig":
        for name in ("level_db", "noise_snr_db"):
            low, high = getattr(self, name)
            if not -100 <= low <= high <= 100:
                raise ValueError(f"'{name}' must go from low to high, within ±100 dB")
        return self


class DataConfig(Section):
    batch_seconds: float = Field(
        default=160, gt=0, description="audio per step in seconds, over all processes, including padding"
    )
    accumulate: int = Field(
        default=1, ge=1, description="number of parts into which each process divides its share of a batch"
    )
    buckets: int = Field(default=4, ge=1, description="duration buckets; each batch is from one bucket")
    shuffle_buffer: int = Field(default=2_000, ge=1, description="size of the shuffle buffer in cuts")
    loaders: int = Field(default=2, ge=1, description="processes that read and decode, at most one per core")
    weights: list[float] | None = Field(default=None, description="sampling weight of each corpus; default: its hours")
    text: Alignment = Field(
        default="turn",
        description="the agent's text: from the start of its turn, or each word from the time it is heard",
    )
    user_text_delay: int = Field(
        default=1,
        ge=0,
        description="with model.user_text: frames from the end of a user's word to its tokens",
    )
    augment: AugmentConfig = AugmentConfig()
    code_dropout: float = Field(
        default=0,
        ge=0,
        le=1,
        description="maximum share of the model's own past codes (and, with model.user_text, of the user's text) that are "
        "dropped from its input; each cut's share is drawn below it",
    )


class OptimizerConfig(Section):
    steps: int = Field(default=400, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_steps: int = Field(default=40, ge=0)
    encoder_steps: int = Field(
        default=0, ge=0, description="first steps, which train only the encoder, on the auxiliary losses"
    )
    schedule: Literal["cosine", "inverse_sqrt", "constant"] = "cosine"
    final_share: float = Field(
        default=0.05, ge=0, le=1, description="final fraction of the learning rate in a cosine schedule"
    )
    clip: float = Field(default=1.0, gt=0, description="maximum gradient norm")


class RunConfig(Section):
    """Everything about a training run except its corpora."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    codec: str = Field(default="bundled", description="the codec of the corpora; set by `train`")
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    data: DataConfig = DataConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    precision: Literal["fp32", "bf16", "auto"] = Field(
        default="fp32", description="auto: bf16 if the hardware has native support, else fp32"
    )
    compile: bool = Field(default=False, description="torch.compile the LLM")
    validate_every: int = Field(default=100, ge=1, description="steps")
    validation_seconds: float = Field(default=600, gt=0, description="maximum validation audio in seconds")
    checkpoint_every: int = Field(default=100, ge=1, description="steps")
    keep_checkpoints: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _encoder_steps_have_a_loss(self) -> "RunConfig":
        if self.optimizer.encoder_steps and not self.loss.auxiliary_weight:
            raise ValueError("'optimizer.encoder_steps' train on auxiliary losses; set 'loss.auxiliary_weight' too")
        return self

    def at(self, step: int) -> "RunConfig":
        """The configuration of a step, counted from 0: while only the encoder is trained, the other losses have zero
        weight, and are not computed."""
        if step >= self.optimizer.encoder_steps:
            return self
        alone = {"text_weight": 0.0, "codes_weight": 0.0, "user_text_weight": 0.0}
        return self.model_copy(update={"loss": self.loss.model_copy(update=alone)})

    @property
    def user_text_delay(self) -> int | None:
        """None if the model does not have the user's text channel."""
        return self.data.user_text_delay if self.model.user_text else None


def preset_names() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))
