"""Running out of memory, on a GPU or on the machine, as an error that names the remedy."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from manifests.errors import WorkError


@contextmanager
def limited_memory(work: str, remedy: str) -> Iterator[None]:
    """Turn a lack of memory into a `WorkError`: `work` completes "Out of memory while ...", `remedy` says what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        raise WorkError(f"Out of memory while {work}; {remedy}.") from error


def _is_lack_of_memory(error: Exception) -> bool:
    # PyTorch has a type of its own for its GPU allocator alone. On the CPU it says "DefaultCPUAllocator: can't allocate
    # memory", its C++ libraries say "std::bad_alloc", and cuBLAS says "CUBLAS_STATUS_ALLOC_FAILED".
    signs = ("out of memory", "allocate memory", "bad_alloc", "ALLOC_FAILED")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in str(error) for sign in signs)
