"""Runs ONNX's tests with ONNX Runtime, and prints what several engines gave beside each other. See scripts/onnx-suite."""

import argparse
import collections
import pathlib

import numpy
import onnx
from onnx import numpy_helper

OUTCOMES = ("passed", "failed", "not supported")


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


def onnxruntime(suite, listing, words, results):
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    totals = collections.defaultdict(collections.Counter)
    lines = []
    for name in listing.read_text().split():
        # As tests/onnx/src/report.rs chooses.
        if not any(word in name for word in words) if words else name.startswith("light/"):
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
        lines.append(f"{name}\t{result}\t{' '.join((reason or '').split())}\n")
        if reason:
            print(f"{result:14} {name}: {reason}")
    for kind, counts in totals.items():
        print(f"{kind:18}", *(f"{counts[r]:5} {r}" for r in OUTCOMES))
    if results:
        results.write_text("".join(lines))


def table(files):
    """One line for each engine and kind of tests. The name of an engine is that of its file."""
    print(f"{'tests':18} {'engine':14} {'passed':>7} {'failed':>7} {'not supported':>14}")
    counts = {file.stem: collections.defaultdict(collections.Counter) for file in files}
    for file in files:
        for line in file.read_text().splitlines():
            name, result, _ = line.split("\t")
            counts[file.stem][name.split("/")[0]][result] += 1
    for kind in sorted({kind for of_kind in counts.values() for kind in of_kind}):
        for engine, of_kind in counts.items():
            print(f"{kind:18} {engine:14} {of_kind[kind]['passed']:7} {of_kind[kind]['failed']:7} {of_kind[kind]['not supported']:14}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("onnxruntime")
    command.add_argument("suite", type=pathlib.Path)
    command.add_argument("listing", type=pathlib.Path)
    command.add_argument("--filter", default="")
    command.add_argument("--results", type=pathlib.Path)
    commands.add_parser("table").add_argument("files", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    if args.command == "onnxruntime":
        onnxruntime(args.suite, args.listing, list(filter(None, args.filter.split(","))), args.results)
    else:
        table(args.files)
