"""What Ray runs in its workers. This module travels to them by value, and imports the project only there.

Ray puts the driver's working folder at the front of a worker's import path. A `stages.py` of the user's own in that folder
would stand in for our package, so our packages are loaded before anything of theirs is looked for or unpickled.
"""

from typing import Any


class ShardWorker:
    """A worker of a pool: some neighboring stages of the recipe, set up once, then one shard after the other."""

    def __init__(self, pickled: bytes) -> None:
        import pickle

        from salm_duplex import load_packages  # no file of the user's is likely to have this name

        load_packages()
        self._work = pickle.loads(pickled)

    def __call__(self, table: Any) -> Any:
        return self._work(table)
