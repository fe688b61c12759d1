"""Generates ONNX's tests.

Of the node tests that onnx generates, those are kept that are about inference on tensors of numbers: no training, strings,
sequences, maps, optionals and random operators; no types below 8 bits and no 8-bit floats; no image files and no ai.onnx.ml.
"""

import collections
import pathlib
import shutil
import sys
import warnings

import numpy
import onnx
from onnx import TensorProto, numpy_helper

warnings.filterwarnings("ignore")

RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
TEXT = {"TfIdfVectorizer", "StringConcat", "StringSplit", "StringNormalizer", "RegexFullMatch"}
SEQUENCE = {
    *"SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength SequenceMap".split(),
    *"SplitToSequence ConcatFromSequence".split(),
}
OPTIONAL = {"Optional", "OptionalGetElement", "OptionalHasElement"}
NARROW = {
    getattr(TensorProto, name)
    for name in (
        "FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2 FLOAT8E5M2FNUZ FLOAT8E8M0 FLOAT4E2M1 UINT4 INT4 UINT2 INT2".split()
    )
}
DATA = ["simple", "pytorch-converted", "pytorch-operator", "light"]


def nodes(graph):
    """All nodes, those of inner graphs too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from nodes(inner)


def types(proto, found):
    """The element types, and the kinds of what is no dense tensor."""
    kind = proto.WhichOneof("value")
    if kind == "tensor_type":
        found.add(proto.tensor_type.elem_type)
    else:
        found.add(kind)


def is_selected(name, model):
    found = set()
    graph = model.graph
    for value in [*graph.input, *graph.output, *graph.value_info]:
        types(value.type, found)
    found.update(tensor.data_type for tensor in graph.initializer)
    all_nodes = [node for part in [graph, *model.functions] for node in nodes(part)]
    for node in all_nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                found.add(attribute.t.data_type)
            if attribute.name == "to":
                found.add(attribute.i)
    operators = {node.op_type for node in all_nodes}
    domains = {node.domain for node in all_nodes}
    return not (
        "training" in name
        or any("training" in domain for domain in domains)
        or "ai.onnx.ml" in domains
        or TensorProto.STRING in found
        or any(isinstance(kind, str) for kind in found)
        or found & NARROW
        or operators & (RANDOM | TEXT | SEQUENCE | OPTIONAL | {"ImageDecoder"})
    )


def write(path, model, data_set):
    inner = path / "test_data_set_0"
    inner.mkdir(parents=True)
    (path / "model.onnx").write_bytes(model.SerializeToString())
    for kind, values, infos in [("input", data_set[0], model.graph.input), ("output", data_set[1], model.graph.output)]:
        for i, value in enumerate(values):
            name = infos[i].name if i < len(infos) else ""
            tensor = value if isinstance(value, TensorProto) else numpy_helper.from_array(numpy.asarray(value), name)
            (inner / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())


def write_light_data(path, target):
    """The input is onnx's own dummy data, the output is beside the model. All weights are 0.02."""
    graph = onnx.load(path).graph
    (target / "test_data_set_0").mkdir()
    known = {tensor.name for tensor in graph.initializer}
    info = next(value for value in graph.input if value.name not in known)
    shape = [dim.dim_value or 1 for dim in info.type.tensor_type.shape.dim]
    n = int(numpy.prod(shape))
    x = (numpy.arange(n).reshape(shape) / n).astype(numpy.float32)
    (target / "test_data_set_0/input_0.pb").write_bytes(numpy_helper.from_array(x, info.name).SerializeToString())
    shutil.copy(path.with_name(f"{path.stem}_output_0.pb"), target / "test_data_set_0/output_0.pb")


def generate(suite, listing):
    from onnx.backend.test.case.node import collect_testcases

    fresh = suite.with_name(suite.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    names = []
    for case in collect_testcases(None):
        if is_selected(case.name, case.model):
            write(fresh / "node" / case.name, case.model, case.data_sets[0])
            names.append(f"node/{case.name}")
    data = pathlib.Path(onnx.__file__).parent / "backend/test/data"
    for kind in DATA:
        for path in sorted((data / kind).iterdir()):
            model = path / "model.onnx" if path.is_dir() else path
            if model.suffix != ".onnx" or not is_selected(path.stem, onnx.load(model)):
                continue
            name = path.name if path.is_dir() else path.stem
            target = fresh / kind / name
            if path.is_dir():
                shutil.copytree(path, target)
            else:
                target.mkdir(parents=True)
                shutil.copy(path, target / "model.onnx")
                write_light_data(path, target)
            names.append(f"{kind}/{name}")
    names.sort()
    text = "".join(name + "\n" for name in names)
    if not listing.exists():
        listing.write_text(text)
    expected = listing.read_text().split()
    if names != expected:
        missing, new = sorted(set(expected) - set(names)), sorted(set(names) - set(expected))
        sys.exit(f"the generated tests are not those of {listing}\n  missing: {missing[:9]}\n  new: {new[:9]}")
    shutil.rmtree(suite, ignore_errors=True)
    fresh.rename(suite)
    counts = collections.Counter(name.split("/")[0] for name in names)
    print("generated " + ", ".join(f"{n} {kind}" for kind, n in counts.items()), file=sys.stderr)


if __name__ == "__main__":
    generate(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
