"""What scripts/bench-engine runs: models of scripts/models at a batch size, and what they are given.

A case writes its model's file for a batch, and gives its inputs in the order of the graph.
"""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from bench_models import MODELS as FLOAT
from bench_quantized import QUANTIZED
from models import filled, tensors

ROOT = Path(__file__).resolve().parent.parent
# Differences to ONNX Runtime, of the largest output. Quantised models may differ by a step here and there.
TOLERANCE = {name: 0.05 for name in QUANTIZED}
MODELS = {**FLOAT, **QUANTIZED}
# Positions of the transformers here; their graphs have embeddings of 64.
POSITIONS = 256
SEQUENCE = 128


def light(cache, name):
    """One of ONNX's light models with seeded weights. Their graphs state batch 1, in reshapes too."""

    def make(batch):
        model = onnx.load(cache / f"light-{name}" / "model.onnx")
        graph = model.graph
        known = {t.name: t for t in graph.initializer}
        for info in [*graph.input, *graph.output]:
            if info.name not in known:
                info.type.tensor_type.shape.dim[0].dim_value = batch
        for node in graph.node:
            if node.op_type == "Reshape":
                shape = known[node.input[1]]
                dims = numpy_helper.to_array(shape).copy()
                dims[0] = batch
                shape.CopyFrom(numpy_helper.from_array(dims, shape.name))
        del graph.value_info[:]
        return model

    def inputs(batch):
        return [np.random.default_rng(9).standard_normal((batch, 3, 224, 224), np.float32)]

    return make, inputs


def longer(model):
    """The same transformer with more positions."""
    for name, tensor in tensors(model.graph):
        if name == "places.weight":
            tensor.dims[0] = POSITIONS
        elif name.endswith("causal"):
            causal = np.tril(np.ones((POSITIONS, POSITIONS), bool))[None, None]
            tensor.CopyFrom(numpy_helper.from_array(causal, tensor.name))
        elif name == "position_ids":
            tensor.CopyFrom(numpy_helper.from_array(np.arange(POSITIONS)[None], tensor.name))
    return model


def transformer(name, inputs):
    """One of the transformers that PyTorch exported; dimensions stay open."""

    def make(_batch):
        path = ROOT / f"tests/models/{name}.onnx.gz"
        if "base" in name:
            return filled(path)
        with tempfile.NamedTemporaryFile(suffix=".gz") as file:
            graph = longer(onnx.load_from_string(gzip.decompress(path.read_bytes())))
            file.write(gzip.compress(graph.SerializeToString()))
            file.flush()
            return filled(Path(file.name))

    return make, inputs


def encoder(vocabulary):
    def inputs(batch):
        ids = np.random.default_rng(9).integers(0, vocabulary, (batch, SEQUENCE))
        kinds = (np.arange(SEQUENCE) >= SEQUENCE // 2).astype(np.int64)[None].repeat(batch, 0)
        return [ids, np.ones((batch, SEQUENCE), np.int64), kinds]

    return inputs


def decoder(length, past):
    """Four layers of four heads of 64; the cache has `past` tokens."""

    def inputs(batch):
        rng = np.random.default_rng(9)
        caches = [rng.standard_normal((batch, 4, past, 64), np.float32) for _ in range(8)]
        return [rng.integers(0, 1000, (batch, length)), np.ones((batch, past + length), np.int64), *caches]

    return inputs


def digits():
    def make(batch):
        model = onnx.load(ROOT / "models/digits/digits.onnx")
        for info in [*model.graph.input, *model.graph.output]:
            info.type.tensor_type.shape.dim[0].dim_value = batch
        return model

    def inputs(batch):
        return [np.random.default_rng(9).random((batch, 1, 8, 8), np.float32)]

    return make, inputs


def seeded(name):
    """A graph of bench_models, or one of bench_quantized."""

    def inputs(batch):
        first = FLOAT[name.split("_q")[0]](batch).graph.input[0].type.tensor_type
        return [np.random.default_rng(9).standard_normal([d.dim_value for d in first.shape.dim], np.float32)]

    return MODELS[name], inputs


def cases(cache):
    """All cases by name, and the names of those that docs/benchmarks.md shows."""
    lights = ("resnet50", "densenet121", "squeezenet", "shufflenet", "vgg19", "inception_v2")
    every = {f"light-{name}": light(cache, name) for name in lights}
    every["encoder-128"] = transformer("encoder-opset17", encoder(1000))
    every["bert-base-128"] = transformer("bert-base-opset17", encoder(30522))
    every["decoder-token"] = transformer("decoder-opset17", decoder(1, SEQUENCE - 1))
    every["decoder-prefill"] = transformer("decoder-opset17", decoder(SEQUENCE, 0))
    every["digits"] = digits()
    every["resnet50_qdq"] = seeded("resnet50_qdq")
    default = list(every)
    every.update({name: seeded(name) for name in MODELS})
    return every, default
