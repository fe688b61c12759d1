"""Makes whole models for tests and benchmarks, with seeded random weights, and what ONNX Runtime gives for them.

FOLDER/NAME/model.onnx, and in FOLDER/NAME/set_I the tensors input_K.pb and output_K.pb, in the order of the graph.
"""

import gzip
import pathlib
import shutil
import sys
import warnings
import zlib

import numpy
import onnx
import onnxruntime
from onnx import helper, numpy_helper

warnings.filterwarnings("ignore")
onnxruntime.set_default_logger_severity(4)

# Over 100 MB each: only with --large.
LARGE = {"bert-base-opset17", "light-bvlc_alexnet", "light-resnet50", "light-vgg19", "light-zfnet512"}
VOCABULARY = {"encoder": 1000, "decoder": 1000, "encoder-einsum": 300, "encoder-sdpa": 300, "bert-base": 30522}


def tensors(graph):
    """Initialisers, and the tensors of Constant nodes."""
    yield from ((t.name, t) for t in graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield node.output[0], attribute.t


def filled(path):
    """An exported graph with its weights: scripts/models_export.py says in doc strings how they are spread."""
    model = onnx.load_from_string(gzip.decompress(path.read_bytes()))
    for name, tensor in tensors(model.graph):
        if not tensor.doc_string:
            continue
        _, mean, deviation = tensor.doc_string.split()
        rng = numpy.random.default_rng(zlib.crc32(name.encode()))
        values = rng.standard_normal(tuple(tensor.dims), numpy.float32) * numpy.float32(deviation) + numpy.float32(mean)
        tensor.raw_data = values.tobytes()
        tensor.doc_string = ""
    return model


def encoder_sets(vocabulary, sizes):
    for batch, length in sizes:
        rng = numpy.random.default_rng(length)
        mask = numpy.ones((batch, length), numpy.int64)
        for row in range(1, batch):
            mask[row, max(1, length - 2 * row) :] = 0
        yield [
            rng.integers(0, vocabulary, (batch, length)),
            mask,
            (numpy.arange(length) >= length // 2).astype(numpy.int64)[None].repeat(batch, 0),
        ]


def decoder_sets(vocabulary, graph, sizes):
    for batch, length, past in sizes:
        rng = numpy.random.default_rng(length)
        mask = numpy.ones((batch, past + length), numpy.int64)
        mask[1:, :2] = 0
        caches = []
        for info in graph.input[2:]:
            _, heads, _, size = (d.dim_value for d in info.type.tensor_type.shape.dim)
            caches.append(rng.standard_normal((batch, heads, past, size), numpy.float32))
        yield [rng.integers(0, vocabulary, (batch, length)), mask, *caches]


def seeded(light):
    """A light model: the constants that stand for its weights become random, of one magnitude through the whole net."""
    model = onnx.load(light)
    graph = model.graph
    shapes = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    readers = {}
    for node in graph.node:
        for i, name in enumerate(node.input):
            readers.setdefault(name, []).append((node, i))
    rng = numpy.random.default_rng(zlib.crc32(light.name.encode()))
    kept, used = [], set()
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        name, shape = node.output[0], [int(d) for d in shapes[node.input[0]]]
        used.add(node.input[0])
        reader, at = readers[name][0]
        while reader.op_type in ("Unsqueeze", "Reshape"):
            reader, at = readers[reader.output[0]][0]
        normal = rng.standard_normal(shape, numpy.float32)
        if reader.op_type in ("Conv", "Gemm") and at == 1:
            transposed = reader.op_type == "Conv" or any(a.name == "transB" and a.i for a in reader.attribute)
            fan = numpy.prod(shape[1:] if transposed or len(shape) != 2 else shape[:1])
            values = normal * numpy.sqrt(2 / fan)
        elif reader.op_type == "BatchNormalization" and at == 4:
            values = 1 + normal * normal / 2
        elif reader.op_type in ("BatchNormalization", "Mul") and at == 1:
            values = 1 + 0.1 * normal
        else:
            values = 0.1 * normal
        graph.initializer.append(numpy_helper.from_array(values.astype(numpy.float32), name))
    del graph.node[:]
    graph.node.extend(kept)
    unused = [t for t in graph.initializer if t.name in used]
    for tensor in unused:
        graph.initializer.remove(tensor)
    inputs = [i for i in graph.input if i.name not in used]
    del graph.input[:]
    graph.input.extend(inputs)
    return model


def tempered(model, x):
    """The last layer before a Softmax scaled so that its probabilities are neither all alike nor all but one zero."""
    graph = model.graph
    if graph.node[-1].op_type != "Softmax":
        return
    last = next(node for node in reversed(graph.node) if node.op_type in ("Gemm", "Conv"))
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.append(helper.make_empty_tensor_value_info(last.output[0]))
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    deviation = session.run(None, {session.get_inputs()[0].name: x})[0].std()
    for tensor in graph.initializer:
        if tensor.name in last.input[1:]:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) / deviation, tensor.name))


def light_sets(graph):
    known = {t.name for t in graph.initializer}
    info = next(i for i in graph.input if i.name not in known)
    shape = [d.dim_value or 1 for d in info.type.tensor_type.shape.dim]
    yield [numpy.random.default_rng(1).standard_normal(shape, numpy.float32)]


def write(folder, name, model, sets):
    target = folder / name
    fresh = folder / f".{name}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    onnx.save(model, fresh / "model.onnx")
    session = onnxruntime.InferenceSession(fresh / "model.onnx", providers=["CPUExecutionProvider"])
    known = {t.name for t in model.graph.initializer}
    names = [i.name for i in model.graph.input if i.name not in known]
    count = 0
    for count, inputs in enumerate(sets, 1):
        outputs = session.run(None, dict(zip(names, inputs)))
        inner = fresh / f"set_{count - 1}"
        inner.mkdir()
        named = [("input", zip(names, inputs)), ("output", zip((o.name for o in model.graph.output), outputs))]
        for kind, pairs in named:
            for i, (tensor_name, value) in enumerate(pairs):
                proto = numpy_helper.from_array(numpy.ascontiguousarray(value), tensor_name)
                (inner / f"{kind}_{i}.pb").write_bytes(proto.SerializeToString())
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    size = (target / "model.onnx").stat().st_size
    print(f"{name}: {len(model.graph.node)} nodes, {size / 1e6:.1f} MB, {count} sets", flush=True)


def main(folder, graphs, large, words):
    light = pathlib.Path(onnx.__file__).parent / "backend/test/data/light"
    sources = sorted(graphs.glob("*.onnx.gz")) + sorted(light.glob("*.onnx"))
    for path in sources:
        name = path.name.removesuffix(".onnx.gz").removesuffix(".onnx").replace("light_", "light-")
        chosen = any(word in name for word in words) if words else large or name not in LARGE
        if not chosen or (folder / name / "model.onnx").exists():
            continue
        if path.suffix == ".onnx":
            model = seeded(path)
            sets = list(light_sets(model.graph))
            tempered(model, sets[0][0])
        else:
            model = filled(path)
            kind = name.rsplit("-", 1)[0]
            if kind == "decoder":
                sets = decoder_sets(VOCABULARY[kind], model.graph, [(1, 12, 0), (2, 7, 0), (2, 3, 5), (1, 1, 30)])
            elif kind == "bert-base":
                sets = encoder_sets(VOCABULARY[kind], [(1, 8), (2, 128)])
            else:
                sets = encoder_sets(VOCABULARY[kind], [(1, 1), (1, 9), (3, 16), (2, 33)])
        write(folder, name, model, sets)


if __name__ == "__main__":
    arguments = [a for a in sys.argv[3:] if a != "--large"]
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), "--large" in sys.argv, arguments)
