"""The number format of a run's arithmetic, on the hardware at hand."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from salm_duplex_model.config import RunConfig


def autocast(config: RunConfig, device: torch.device) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, torch.bfloat16) if runs_in_bf16(config, device) else nullcontext()


def runs_in_bf16(config: RunConfig, device: torch.device) -> bool:
    return config.precision == "bf16" or (config.precision == "auto" and _quick_in_bf16(device))


def _quick_in_bf16(device: torch.device) -> bool:
    """A CPU without bf16 instructions takes ten times as long as in fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
