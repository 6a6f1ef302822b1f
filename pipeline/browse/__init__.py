"""`salm-duplex browse`: a corpus of any size in the browser, read from its tables and shards on demand.

`catalog.py` filters and pages the manifest, `server.py` has the pages; dialogues use the report's templates.
"""

from pipeline.browse.server import browse

__all__ = ["browse"]
