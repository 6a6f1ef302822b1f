"""The SALM-Duplex model (arXiv 2505.15670): a text LLM that hears the user and its own speech in every frame.

    user audio ─▶ streaming encoder and adapter ─┐ one vector per frame
    agent's text ─▶ LLM's token embedding ───────┼─ sum ─▶ LLM ─┬─▶ text head  (V)
    agent's codes ─▶ 4 embeddings, summed ───────┘              └─▶ code heads (4, 4 035)

With `user_text` it also predicts what the user says and reads its prediction back, next to the agent's text. The
LLM's own token embedding and text head serve for both, with one linear map each for the user's channel, initially the
identity. (NeMo's `DuplexSTTModel` copies embedding and head, which adds 131 M parameters to TinyLlama; the maps add 8
M.)

With the same weights, its logits and losses equal those of NeMo 3's `DuplexS2SModel`; `tests/salm_duplex_model/
test_nemo_model.py` tests this.
"""

import re
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers import LlamaConfig as HfLlamaConfig

from manifests.errors import RequestError
from manifests.frames import CODEBOOKS
from manifests.text_channel import SpecialTokens
from salm_duplex_model.auxiliary import UNKNOWN, AuxiliaryHeads
from salm_duplex_model.batch import Batch
from salm_duplex_model.channels import SPEECH_DELAY, SPEECH_VOCABULARY, Channels, arrange, text_label_weights
from salm_duplex_model.config import LlamaConfig, LossConfig, ModelConfig, NemoEncoderConfig
from salm_duplex_model.encoder import CausalEncoder, StreamingEncoder
from salm_duplex_model.losses import Errors, linear_cross_entropy, softmax_errors
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer


@dataclass(frozen=True, slots=True)
class LossSums:
    """Cross entropies summed over frames (for codes, over frames and codebooks): divide by the frames of the whole
    batch, of which this may be a part. `text` has weighted labels. `total` is the weighted sum that training
    minimizes, in the same unit. While only the encoder is trained, there are only auxiliary losses."""

    total: Tensor
    text: Tensor | None = None
    codes: Tensor | None = None
    user_text: Tensor | None = None
    auxiliary: dict[str, Tensor] = field(default_factory=dict)

    def summed(self) -> dict[str, Tensor]:
        """The losses by their names in a run's log, in nats per frame (for codes: per frame and codebook)."""
        codes = None if self.codes is None else self.codes / CODEBOOKS
        named = {"loss": self.total.detach(), "text": self.text, "codes": codes, "user_text": self.user_text}
        auxiliary = {f"auxiliary_{name}": value for name, value in self.auxiliary.items()}
        return {name: value for name, value in named.items() if value is not None} | auxiliary


class DuplexModel(nn.Module):
    """Encoder, LLM, code embeddings and heads."""

    def __init__(
        self,
        encoder: StreamingEncoder,
        llm: PreTrainedModel,
        special: SpecialTokens,
        tie_codes: bool = False,
        user_text: bool = False,
    ) -> None:
        super().__init__()
        width = llm.get_input_embeddings().embedding_dim
        self.special = special
        self.encoder = encoder
        self.llm = llm
        # Codebook k's vectors start at row k · 4 035.
        self.code_embedding = nn.Embedding(CODEBOOKS * SPEECH_VOCABULARY, width)
        nn.init.normal_(self.code_embedding.weight, std=0.02)
        self.code_head = nn.Linear(width, CODEBOOKS * SPEECH_VOCABULARY)
        nn.init.normal_(self.code_head.weight, std=0.02)
        nn.init.zeros_(self.code_head.bias)
        self.user_embedding = _identity(width) if user_text else None
        self.user_head = _identity(width) if user_text else None
        self.auxiliary: AuxiliaryHeads | None = None
        self._errors: Errors | None = None
        # Older 5.x releases of transformers use the second name, and ignore the first one silently.
        arguments = signature(llm.base_model.forward).parameters
        self._cache_argument = "cache" if "cache" in arguments else "past_key_values"
        self.tied: set[str] = set()
        """Names of tied parameters, which a checkpoint stores once."""
        if llm.config.tie_word_embeddings:
            self.tied.add("llm.lm_head.weight")
        if tie_codes:
            self.code_head.weight = self.code_embedding.weight
            self.tied.add("code_head.weight")

    def add_auxiliary_heads(self, seed: int) -> None:
        """Add the heads of the auxiliary losses, initialized from `seed`; only training needs them."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.auxiliary = AuxiliaryHeads(self.code_embedding.embedding_dim)

    def forward(self, batch: Batch, loss: LossConfig) -> LossSums:
        """The losses of a batch, as called in training. Where only auxiliary losses have a weight, the LLM does not run."""
        channels, heard = self.channels(batch), self.hear(batch)
        total = heard.new_zeros((), dtype=torch.float32)
        auxiliary: dict[str, Tensor] = {}
        if self.auxiliary is not None and batch.auxiliary is not None:
            # A cut's last frame is no position: whether it counts must not depend on what the cut is batched with.
            labels = batch.auxiliary[:, :-1].masked_fill(~channels.valid[..., None], UNKNOWN)
            auxiliary = self.auxiliary(heard[:, :-1], labels)
            total = total + loss.auxiliary_weight * torch.stack([*auxiliary.values()]).sum()
            auxiliary = {name: value.detach() for name, value in auxiliary.items()}
        if auxiliary and not (loss.text_weight or loss.codes_weight or loss.user_text_weight):
            return LossSums(total, auxiliary=auxiliary)
        hidden = self.hidden(self.fuse(heard, channels)).flatten(0, 1)
        text_labels, code_labels = channels.text_labels.flatten()[:, None], channels.code_labels.flatten(0, 1)
        label_weights = self._label_weights(batch.text, loss)
        user_labels = None if channels.user_labels is None else channels.user_labels.flatten()[:, None]
        user_weights = self._label_weights(batch.user_text, loss)
        if loss.mask_padding and batch.positions < len(hidden):
            # Heads are wide, so they are not computed on padding. The number is known on the host, so nothing waits for the device.
            counted = channels.valid.flatten().nonzero_static(size=batch.positions)[:, 0]
            hidden, text_labels, code_labels = (part[counted] for part in (hidden, text_labels, code_labels))
            label_weights, user_labels, user_weights = (
                None if part is None else part[counted] for part in (label_weights, user_labels, user_weights)
            )
        head = self.llm.get_output_embeddings()
        text = linear_cross_entropy(hidden, head.weight, head.bias, text_labels, self._errors, label_weights)
        codes = linear_cross_entropy(hidden, self.code_head.weight, self.code_head.bias, code_labels, self._errors)
        total = total + loss.text_weight * text + loss.codes_weight * codes / CODEBOOKS
        if self.user_head is None or user_labels is None:
            return LossSums(total, text.detach(), codes.detach(), auxiliary=auxiliary)
        mapped = self.user_head(hidden)
        user = linear_cross_entropy(mapped, head.weight, head.bias, user_labels, self._errors, user_weights)
        total = total + loss.user_text_weight * user
        return LossSums(total, text.detach(), codes.detach(), user.detach(), auxiliary)

    def _label_weights(self, text: Tensor | None, loss: LossConfig) -> Tensor | None:
        weights = None if text is None else text_label_weights(text, self.special, loss.token_weight)
        return None if weights is None else weights[:, 1:].flatten()[:, None]

    def compile_parts(self) -> None:
        """Compile the repeated layers, once for all of them and for batches of any shape."""
        parts = [*getattr(self.llm.base_model, "layers", [self.llm.base_model]), *self.encoder.blocks()]
        for part in parts:
            part.forward = torch.compile(part.forward, dynamic=True)
        self._errors = torch.compile(softmax_errors, dynamic=True)

    def for_inference(self) -> "DuplexModel":
        """Prepare for inference, on the GPU if there is one. There, everything except the encoder is in bf16, since
        the time of a live step is dominated by reading weights."""
        if torch.cuda.is_available():
            self.to("cuda")
        if self.code_head.weight.is_cuda and torch.cuda.is_bf16_supported(including_emulation=False):
            for part in (self.llm, self.code_embedding, self.code_head, self.user_embedding, self.user_head):
                if part is not None:
                    part.to(torch.bfloat16)
        return self.eval().requires_grad_(False)

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Text logits (B, T − 1, V) and code logits (B, T − 1, 4, 4 035) of a batch, with its own channels as input."""
        return self.heads(self.hidden(self.fuse(self.hear(batch), self.channels(batch))))

    def channels(self, batch: Batch) -> Channels:
        if self.has_user_text and batch.user_text is None:
            raise ValueError("the model has the user's text channel, but the batch has none")
        user_text = batch.user_text if self.has_user_text else None
        channels = arrange(batch.text, batch.codes, batch.frames, self.special, user_text)
        if batch.unheard is None:
            return channels
        code_inputs = channels.code_inputs.masked_fill(batch.unheard[:, :-1, None], SPEECH_DELAY)
        user_inputs = channels.user_inputs
        if user_inputs is not None:
            user_inputs = user_inputs.masked_fill(batch.unheard[:, :-1], self.special.pad)
        return replace(channels, code_inputs=code_inputs, user_inputs=user_inputs)

    def hear(self, batch: Batch) -> Tensor:
        """The encoder's output, (B, T, width)."""
        heard: Tensor = self.encoder(batch.audio, frames=batch.frames)[0]
        return heard

    def fuse(self, heard: Tensor, channels: Channels) -> Tensor:
        """Channel fusion: one vector per position, (B, T − 1, width), from the encoder's output (B, T, width)."""
        own = self.embed(channels.text_inputs, channels.code_inputs, channels.user_inputs)
        return own + heard[:, :-1]

    @property
    def has_user_text(self) -> bool:
        return self.user_head is not None

    def embed(self, text: Tensor, codes: Tensor, user_text: Tensor | None = None) -> Tensor:
        """The agent's own text (B, T), its codes (B, T, 4) and the user's text (B, T) as vectors (B, T, width).

        The user's EOS is read as PAD, see `manifests.text_channel.user_text_channel`."""
        rows = codes + torch.arange(CODEBOOKS, device=codes.device) * SPEECH_VOCABULARY
        tokens = self.llm.get_input_embeddings()
        vectors: Tensor = tokens(text)
        own_speech: Tensor = self.code_embedding(rows).sum(-2)
        vectors = vectors + own_speech
        if self.user_embedding is None:
            return vectors
        assert user_text is not None
        known = user_text.masked_fill(user_text == self.special.eos, self.special.pad)
        heard: Tensor = self.user_embedding(tokens(known))
        return vectors + heard

    def hidden(
        self,
        vectors: Tensor,
        cache: Any = None,
        position: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """The LLM's last states (B, T, width); a Hugging Face `cache` continues from its position, or at `position`.

        `attention_mask` (B, 1, T, frames of the cache) is added to the attention's scores, instead of the causal mask.
        """
        kind = vectors.device.type
        # Also with autocast: else the activations between layers would have twice the size.
        autocast = torch.is_autocast_enabled(kind)
        vectors = vectors.to(torch.get_autocast_dtype(kind) if autocast else self.code_head.weight.dtype)
        going_on = (
            {}
            if cache is None
            else {self._cache_argument: cache, "position_ids": position, "attention_mask": attention_mask}
        )
        out = self.llm.base_model(inputs_embeds=vectors, use_cache=cache is not None, return_dict=True, **going_on)
        states: Tensor = out.last_hidden_state
        return states

    def text_head(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.llm.get_output_embeddings()(hidden)
        return logits

    def user_text_head(self, hidden: Tensor) -> Tensor:
        """Logits (…, V) of the user's text; only for a model that has it."""
        assert self.user_head is not None
        return self.text_head(self.user_head(hidden))

    def heads(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return self.text_head(hidden), self.code_head(hidden).unflatten(-1, (CODEBOOKS, SPEECH_VOCABULARY))


def _identity(width: int) -> nn.Linear:
    made = nn.Linear(width, width, bias=False)
    nn.init.eye_(made.weight)
    return made


def build_model(
    config: ModelConfig, seed: int = 0, device: torch.device | str = "cpu"
) -> tuple[DuplexModel, TextTokenizer]:
    """A model with its pre-trained parts loaded and the rest initialized from `seed`, and its tokenizer; an LLM with
    random weights is initialized on `device`, which is much faster for a large one.

    Raises `RequestError` if a part is not available.
    """
    tokenizer = TextTokenizer.load(BUNDLED if isinstance(config.llm, LlamaConfig) else config.llm)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        llm = _llm(config, tokenizer, device)
        width = llm.get_input_embeddings().embedding_dim
        model = DuplexModel(_encoder(config, width), llm, tokenizer.special, config.tie_codes, config.user_text)
    if config.lora is not None:
        _add_lora(llm, config)
    _freeze(model, config.freeze)
    if config.activation_checkpointing:
        llm.gradient_checkpointing_enable({"use_reentrant": False})
    return model, tokenizer


def _encoder(config: ModelConfig, width: int) -> StreamingEncoder:
    if isinstance(config.encoder, NemoEncoderConfig):
        from salm_duplex_model.nemo_encoder import NemoEncoder

        return NemoEncoder(config.encoder, width)
    return CausalEncoder(config.encoder, width)


def _llm(config: ModelConfig, tokenizer: TextTokenizer, device: torch.device | str) -> PreTrainedModel:
    if isinstance(config.llm, LlamaConfig):
        shape = HfLlamaConfig(
            vocab_size=tokenizer.size,
            hidden_size=config.llm.hidden_size,
            num_hidden_layers=config.llm.layers,
            num_attention_heads=config.llm.heads,
            num_key_value_heads=config.llm.heads,
            intermediate_size=config.llm.intermediate_size,
            max_position_embeddings=8_192,
            pad_token_id=tokenizer.special.pad,
            bos_token_id=tokenizer.special.bos,
            eos_token_id=tokenizer.special.eos,
        )
        with torch.device(device):
            made: PreTrainedModel = AutoModelForCausalLM.from_config(shape, dtype=torch.float32)
        return made
    try:
        if config.llm_pretrained:
            # An untrusted pickle could run any code: safetensors only.
            loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
                config.llm, dtype=torch.float32, use_safetensors=True
            )
        else:
            shape = AutoConfig.from_pretrained(config.llm)
            with torch.device(device):
                loaded = AutoModelForCausalLM.from_config(shape, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise RequestError(
            f"The LLM {config.llm} can't be loaded ({reason}); name a folder in Hugging Face's format, or go online."
        ) from None
    loaded.config.use_cache = False
    return loaded


def _add_lora(llm: PreTrainedModel, config: ModelConfig) -> None:
    from peft import LoraConfig as PeftConfig
    from peft import inject_adapter_in_model

    assert config.lora is not None
    for parameter in llm.parameters():
        parameter.requires_grad_(False)
    lora = PeftConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=config.lora.targets,
    )
    try:
        inject_adapter_in_model(lora, llm.base_model)
    except ValueError as error:
        raise RequestError(f"LoRA can't be applied to this LLM: {str(error).splitlines()[0]}.") from None


def _freeze(model: nn.Module, patterns: list[str]) -> None:
    for pattern in patterns:
        try:
            matching = [p for name, p in model.named_parameters() if re.search(pattern, name)]
        except re.error as error:
            raise RequestError(f"model.freeze: '{pattern}' is not a regular expression ({error}).") from None
        if not matching:
            raise RequestError(f"model.freeze: no parameter name matches '{pattern}'; correct the pattern.")
        for parameter in matching:
            parameter.requires_grad_(False)


def parameters_by_part(model: DuplexModel) -> dict[str, tuple[int, int]]:
    """Numbers of (all, trained) parameters of each part."""
    counts: dict[str, tuple[int, int]] = {}
    for name, parameter in model.named_parameters():
        part = name.split(".")[0]
        every, trained = counts.get(part, (0, 0))
        counts[part] = (every + parameter.numel(), trained + parameter.numel() * parameter.requires_grad)
    return counts
