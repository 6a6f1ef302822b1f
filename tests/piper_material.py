"""Small voices in Piper's own format, created here: a tone for each phoneme, so that the requested phonemes are
audible."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RATE, HOP = 22_050, 1_024
SYMBOLS = "_^$ abcdefghijklmnopqrstuvwxyzæðŋɐɑɔəɚɛɜɡɪɹʃʊʌʒˈˌːθᵻ.,?!"


def make_voice(folder: Path, name: str, speakers: int = 1, pitch: float = 1.0) -> Path:
    """NAME.onnx and NAME.onnx.json: inputs, output and noise as Piper's exporter makes them."""
    time = np.arange(HOP) / RATE
    hertz = (120 + 20 * np.arange(len(SYMBOLS)))[:, None] * pitch * np.array([1, 1.1, 1.2, 1.3])[:speakers, None, None]
    table = (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
    table[:, 0] = 0  # the padding between phonemes is silent
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, ["batch", "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    constants = {"table": table, "shape": np.array([1, 1, 1, -1]), "zero": np.array(0), "speaker": np.array([0])}
    if speakers > 1:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, ["batch"]))
    nodes = [
        helper.make_node("Gather", ["table", "sid" if speakers > 1 else "speaker"], ["own"], axis=0),
        helper.make_node("Gather", ["own", "input"], ["tones"], axis=1),
        helper.make_node("RandomNormalLike", ["tones"], ["noise"]),
        helper.make_node("Gather", ["scales", "zero"], ["noise_scale"]),
        helper.make_node("Mul", ["noise", "noise_scale"], ["scaled"]),
        helper.make_node("Add", ["tones", "scaled"], ["noisy"]),
        helper.make_node("Reshape", ["noisy", "shape"], ["output"]),
    ]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1, 1, "time"])
    graph = helper.make_graph(
        nodes, name, inputs, [output], [numpy_helper.from_array(v, k) for k, v in constants.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(model)
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    config = {
        "audio": {"sample_rate": RATE, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "phoneme_type": "espeak",
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "num_symbols": len(SYMBOLS),
        "num_speakers": speakers,
        "speaker_id_map": {f"s{n}": n for n in range(speakers)} if speakers > 1 else {},
        "phoneme_id_map": {symbol: [number] for number, symbol in enumerate(SYMBOLS)},
        "piper_version": "1.0.0",
    }
    path.with_name(f"{name}.onnx.json").write_text(json.dumps(config), "utf-8")
    return path
