"""`salm-duplex serve`: a trained model to talk to from a browser, or from any program over a WebSocket.

`engine.py` is the clock and the batch, `server.py` the protocol and its bounds, `live.html.j2` the page.
"""

from pipeline.serve.server import serve

__all__ = ["serve"]
