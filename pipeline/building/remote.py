"""The code that Ray runs in its workers. This module is pickled by value, and imports the project only in the worker.

Ray puts the driver's working folder at the front of a worker's import path. A user's own `stages.py` in that folder
would shadow our package, so our packages are loaded before any of the user's code is imported or unpickled.
"""

from typing import Any


class ShardWorker:
    """A worker of a pool: neighboring stages of the recipe, set up once, then applied to one shard after another."""

    def __init__(self, pickled: bytes) -> None:
        import pickle

        from salm_duplex import load_packages  # user files are unlikely to have this name

        load_packages()
        self._work = pickle.loads(pickled)

    def __call__(self, table: Any) -> Any:
        return self._work(table)
