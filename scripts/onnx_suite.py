"""Generates ONNX's tests, and runs them with ONNX Runtime.

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


def load(path):
    return numpy_helper.to_array(onnx.load_tensor(path))


def difference(got, expected):
    """What is wrong, or None. The rule is the engine's: tests/onnx/src/compare.rs."""
    if got.dtype != expected.dtype:
        return f"type {got.dtype}, expected {expected.dtype}"
    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    if got.dtype.kind in "biu":
        return None if (got == expected).all() else "values differ"
    a, b = got.astype(numpy.float64), expected.astype(numpy.float64)
    rtol = 2**-6 if got.dtype.name == "bfloat16" else 1e-3
    return None if numpy.allclose(a, b, rtol=rtol, atol=1e-7, equal_nan=True) else "values differ"


def onnxruntime(suite, listing, words):
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    totals = collections.defaultdict(collections.Counter)
    for name in listing.read_text().split():
        if words and not any(word in name for word in words):
            continue
        sets = sorted((suite / name).glob("test_data_set_*"))
        if not sets:
            continue
        try:
            session = ort.InferenceSession(suite / name / "model.onnx", providers=["CPUExecutionProvider"])
            wrong = None
            for data in sets:
                infos = session.get_inputs()
                inputs = [load(data / f"input_{i}.pb") for i in range(len(list(data.glob("input_*.pb"))))]
                outputs = session.run(None, {info.name: x for info, x in zip(infos, inputs)})
                for i, got in enumerate(outputs):
                    wrong = wrong or difference(numpy.asarray(got), load(data / f"output_{i}.pb"))
            result = "failed" if wrong else "passed"
            reason = wrong
        except Exception as error:
            result, reason = "not supported", str(error).split("\n")[0][:160]
        totals[name.split("/")[0]][result] += 1
        if reason:
            print(f"{result:14} {name}: {reason}")
    for kind, counts in totals.items():
        print(f"{kind:18}", *(f"{counts[r]:5} {r}" for r in ("passed", "failed", "not supported")))


if __name__ == "__main__":
    command, suite, listing = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    if command == "generate":
        generate(suite, listing)
    elif command == "onnxruntime":
        onnxruntime(suite, listing, sys.argv[5].split(",") if sys.argv[4:5] == ["--filter"] else [])
    else:
        sys.exit(f"{command}: no such peer; there is onnxruntime")
