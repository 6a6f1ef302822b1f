import pytest
import torch

from manifests.errors import WorkError
from salm_duplex_model.memory import limited_memory


def test_memory_that_can_not_be_allocated_is_reported_with_the_remedy():
    with (
        pytest.raises(WorkError, match=r"^Out of memory while playing; lower --batch\.$"),
        limited_memory("playing", "lower --batch"),
    ):
        torch.empty(2**60, dtype=torch.uint8)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_every_form_of_a_lack_of_memory_is_recognized(error):
    with pytest.raises(WorkError, match="lower it"), limited_memory("training", "lower it"):
        raise error


def test_another_error_passes_unchanged():
    with pytest.raises(RuntimeError, match="shapes"), limited_memory("training", "lower it"):
        raise RuntimeError("The shapes differ.")
