"""The speech codec, the SALM-Duplex model, its training, streaming sessions and evaluation."""
