"""Times the engine's kernels beside ONNX Runtime. See scripts/bench-engine."""

import argparse
import json
import math
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

from bench_models import MODELS
from bench_quantized import QUANTIZED

MODELS = {**MODELS, **QUANTIZED}
# Of the largest output. Quantised models may differ by a step here and there.
TOLERANCE = {name: 0.05 for name in QUANTIZED}


class Ours:
    def __init__(self, binary, folder, model, x, threads):
        (folder / "input").write_bytes(np.ascontiguousarray(x).tobytes())
        arguments = [binary, model, folder / "input", folder / "output", str(threads)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline().strip()
        self.output = np.frombuffer((folder / "output").read_bytes(), np.float32)

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def profile(self):
        self.process.stdin.write("profile\n")
        self.process.stdin.flush()
        return list(iter(lambda: self.process.stdout.readline().rstrip(), ""))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def theirs(model, threads, profile=None):
    options = ort.SessionOptions()
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that wait in a loop would take the processors from the other side between two runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def minima(ours, path, folder, x, threads, rounds):
    """The shortest time of each step or node, added up: what a run takes while nobody else is there. In microseconds."""
    session = theirs(path, threads, folder / "profile")
    given, best = session.get_inputs()[0].name, {}
    for _ in range(rounds):
        for _ in range(10):
            session.run(None, {given: x})
        for line in ours.profile():
            step = re.match(r" *([0-9.]+) (%[0-9]+) ", line)
            best[step[2]] = min(best.get(step[2], math.inf), float(step[1]))
    file = Path(session.end_profiling())
    nodes = {}
    for event in json.loads(file.read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            nodes[event["name"]] = min(nodes.get(event["name"], math.inf), event["dur"])
    file.unlink()
    return sum(nodes.values()), sum(best.values())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=20, help="per model, at most")
    parser.add_argument("--steps", type=int, default=0, help="compare sums of each step's shortest time, so many rounds")
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    ratios = []
    print("model          batch threads   ONNX Runtime     ours    ratio  (median ms of interleaved runs; minima)")
    for name in args.models.split(","):
        for batch in map(int, args.batches.split(",")):
            path = args.folder / f"{name}-{batch}.onnx"
            if not path.exists():
                path.write_bytes(MODELS[name](batch).SerializeToString())
            for threads in map(int, args.threads.split(",")):
                session = theirs(path, threads)
                given = session.get_inputs()[0]
                x = np.random.default_rng(9).normal(0, 1, given.shape).astype(np.float32)
                ours = Ours(args.binary, args.folder, path, x, threads)
                expected = session.run(None, {given.name: x})[0].ravel()
                error = np.abs(ours.output - expected).max() / np.abs(expected).max()
                if not error < TOLERANCE.get(name, 1e-3):
                    sys.exit(f"{name}: outputs differ by {error}")
                if args.steps:
                    a, b = minima(ours, path, args.folder, x, threads, args.steps)
                    ratios.append(a / b)
                    print(f"{name:14s} {batch:5d} {threads:7d} {a / 1e3:14.2f} {b / 1e3:8.2f} {a / b:8.3f}  (by step)", flush=True)
                    ours.close()
                    continue
                for _ in range(3):
                    ours.run()
                    session.run(None, {given.name: x})
                a, b, end = [], [], time.monotonic() + args.seconds
                while len(a) < args.rounds and (len(a) < 3 or time.monotonic() < end):
                    start = time.perf_counter()
                    session.run(None, {given.name: x})
                    a.append((time.perf_counter() - start) * 1e6)
                    b.append(ours.run())
                ratio = statistics.median(a) / statistics.median(b)
                ratios.append(ratio)
                print(
                    f"{name:14s} {batch:5d} {threads:7d} {statistics.median(a) / 1e3:14.2f} "
                    f"{statistics.median(b) / 1e3:8.2f} {ratio:8.3f}  ({min(a) / 1e3:.2f} {min(b) / 1e3:.2f} "
                    f"{min(a) / min(b):.3f})  {ours.ready}, error {error:.1e}",
                    flush=True,
                )
                if args.profile:
                    print("\n".join(ours.profile()))
                ours.close()
    print(f"geometric mean {math.exp(statistics.mean(map(math.log, ratios))):.3f}, least {min(ratios):.3f}")


main()
