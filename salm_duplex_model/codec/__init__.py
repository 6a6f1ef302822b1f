"""The speech codec: network, checkpoint, training and scoring."""

from salm_duplex_model.codec.codec import Codec, CodecStream

__all__ = ["Codec", "CodecStream"]
