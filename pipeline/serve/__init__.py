"""`salm-duplex serve`: talk to a trained model from a browser, or from any program over a WebSocket.

`engine.py` has the clock and the batch, `server.py` the protocol and its limits, `live.html.j2` the page.
"""

from pipeline.serve.server import serve

__all__ = ["serve"]
