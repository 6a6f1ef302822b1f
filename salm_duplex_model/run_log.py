"""A training run's logs."""

from pathlib import Path
from typing import Any

from salm_duplex_model import checkpoint


class RunLog:
    """A run's logs: `log.jsonl`, which is reproducible, and TensorBoard, which also has the speed. With `rank` above 0,
    nothing is written."""

    def __init__(self, run: Path, rank: int, first: int) -> None:
        self.run, self.writer = run, None
        if rank == 0:
            from torch.utils.tensorboard import SummaryWriter

            checkpoint.rewind_log(run, first)
            self.writer = SummaryWriter(str(run / "tensorboard"), purge_step=first + 1)

    def write(self, row: dict[str, Any], **measured: float) -> None:
        """Log a step; what is `measured`, and not reproducible, goes to TensorBoard only."""
        if self.writer is None:
            return
        checkpoint.append_log(self.run, row)
        for name, value in (row | measured).items():
            if name != "step":
                self.writer.add_scalar(name, value, row["step"])

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
