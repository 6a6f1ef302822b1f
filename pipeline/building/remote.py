"""What Ray runs in its workers. This module travels to them by value, and imports the project only there.

Ray puts the driver's working folder at the front of a worker's import path. A `stages.py` of the user's own in that folder
would stand in for our package, so the path is put in order before anything of ours is imported or unpickled.
"""

from typing import Any


class ShardWorker:
    """A worker of a pool: some neighboring stages of the recipe, set up once, then one shard after the other."""

    def __init__(self, pickled: bytes) -> None:
        import importlib.util
        import pickle
        import sys
        from pathlib import Path

        # Of our packages this one's name is taken by nobody else: where it is, the others are.
        spec = importlib.util.find_spec("salm_duplex_model")
        if spec and spec.origin:
            sys.path.insert(0, str(Path(spec.origin).parents[1]))
        self._work = pickle.loads(pickled)

    def __call__(self, table: Any) -> Any:
        return self._work(table)
