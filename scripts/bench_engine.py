"""Times the engine's kernels beside ONNX Runtime. See scripts/bench-engine."""

import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import numpy_helper

from bench_cases import TOLERANCE, cases

# Runs of a burst take about so long, so that a small model runs warm on both sides.
BURST = 0.03


class Process:
    """A program that runs a model as often as each line says that it is sent: the engine's example `bench`, or `assay-tract bench`."""

    def __init__(self, command, folder, model, inputs, threads):
        given = folder / "inputs"
        # What another model left there is not this one's.
        shutil.rmtree(given, ignore_errors=True)
        given.mkdir()
        for i, x in enumerate(inputs):
            (given / f"{i}.pb").write_bytes(numpy_helper.from_array(np.ascontiguousarray(x)).SerializeToString())
        arguments = [*command, model, given, folder / "output", str(threads)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline().strip()
        if not self.ready:
            sys.exit(f"{model}: no plan")
        self.output = np.frombuffer((folder / "output").read_bytes(), np.float32)

    def run(self, times=1):
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        return [float(x) for x in self.process.stdout.readline().split()]

    def profile(self):
        self.process.stdin.write("profile\n")
        self.process.stdin.flush()
        return list(iter(lambda: self.process.stdout.readline().rstrip(), ""))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Theirs:
    """ONNX Runtime with inputs bound: what is timed is its run, not the conversion of Python's arrays."""

    def __init__(self, model, inputs, threads, profile=None):
        options = ort.SessionOptions()
        if profile:
            options.enable_profiling, options.profile_file_prefix = True, str(profile)
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        # Threads that wait in a loop would take the processors from the other side between two runs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        for given, x in zip(self.session.get_inputs(), inputs):
            self.binding.bind_cpu_input(given.name, x)
        for output in self.session.get_outputs():
            self.binding.bind_output(output.name)

    def run(self, times=1):
        out = []
        for _ in range(times):
            start = time.perf_counter()
            self.session.run_with_iobinding(self.binding)
            out.append((time.perf_counter() - start) * 1e6)
        return out

    def output(self):
        self.run()
        return self.binding.copy_outputs_to_cpu()[0].ravel()

    def close(self):
        pass


def minima(ours, path, folder, inputs, threads, rounds):
    """The shortest time of each step or node, added up: what a run takes while nobody else is there. In microseconds."""
    theirs = Theirs(path, inputs, threads, folder / "profile")
    best = {}
    for _ in range(rounds):
        theirs.run(10)
        for line in ours.profile():
            step = re.match(r" *([0-9.]+) (%[0-9]+) ", line)
            best[step[2]] = min(best.get(step[2], math.inf), float(step[1]))
    file = Path(theirs.session.end_profiling())
    nodes = {}
    for event in json.loads(file.read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            nodes[event["name"]] = min(nodes.get(event["name"], math.inf), event["dur"])
    file.unlink()
    return sum(nodes.values()), sum(best.values()), nodes


def is_quiet():
    """Whether nobody else uses the processors right now."""

    def times():
        numbers = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        return sum(numbers), numbers[3]

    before = times()
    time.sleep(0.05)
    after = times()
    return after[1] - before[1] > 0.85 * (after[0] - before[0])


def measure(theirs, ours, rounds, seconds, quiet):
    """Times of interleaved bursts of runs; with `quiet`, of those before and after which nobody else ran, if there are any."""
    theirs.run(3)
    first = ours.run(3)
    burst = max(1, min(50, int(BURST * 1e6 / max(1.0, min(first)))))
    a, b, undisturbed, end = [], [], 0, time.monotonic() + seconds
    while len(a) < rounds * burst and (len(a) < 3 or time.monotonic() < end):
        if quiet and not is_quiet() and time.monotonic() < end:
            continue
        x, y = theirs.run(burst), ours.run(burst)
        if quiet and not is_quiet() and time.monotonic() < end:
            continue
        undisturbed += quiet and time.monotonic() < end
        a += x
        b += y
    return a, b, undisturbed


def main():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "assay/models"
    every, default = cases(cache)
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", choices=["onnxruntime", "tract"], default="onnxruntime")
    parser.add_argument("--peer-binary", help=argparse.SUPPRESS)
    parser.add_argument("--models", default=",".join(default), help=f"of {', '.join(every)}")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=20, help="per model, at most")
    parser.add_argument("--steps", type=int, default=0, help="compare sums of each step's shortest time, so many rounds")
    parser.add_argument("--quiet", action="store_true", help="wait for moments in which nobody else uses the processors")
    parser.add_argument("--profile", action="store_true", help="print steps and nodes")
    args = parser.parse_args()
    if args.peer == "tract" and args.steps:
        sys.exit("--steps needs the times of single nodes, which tract does not tell")
    args.folder.mkdir(parents=True, exist_ok=True)
    ratios = []
    print(f"model           batch threads {args.peer:>14s}     ours    ratio  (median ms of interleaved runs; minima)")
    for name in args.models.split(","):
        make, given = every[name]
        for batch in map(int, args.batches.split(",")):
            path = args.folder / f"{name}-{batch}.onnx"
            if not path.exists():
                path.with_suffix(".part").write_bytes(make(batch).SerializeToString())
                path.with_suffix(".part").rename(path)
            inputs = given(batch)
            for threads in map(int, args.threads.split(",")):
                peer = Theirs(path, inputs, threads)
                expected = peer.output()
                if args.peer == "tract":
                    peer = Process([args.peer_binary, "bench"], args.folder, path, inputs, threads)
                    if not np.abs(peer.output - expected).max() / np.abs(expected).max() < TOLERANCE.get(name, 1e-3):
                        sys.exit(f"{name}: tract's outputs are others")
                ours = Process([args.binary], args.folder, path, inputs, threads)
                error = np.abs(ours.output - expected).max() / np.abs(expected).max()
                if not error < TOLERANCE.get(name, 1e-3):
                    sys.exit(f"{name}: outputs differ by {error}")
                head = f"{name:15s} {batch:5d} {threads:7d}"
                if args.steps:
                    a, b, nodes = minima(ours, path, args.folder, inputs, threads, args.steps)
                    ratios.append(a / b)
                    print(f"{head} {a / 1e3:14.3f} {b / 1e3:8.3f} {a / b:8.3f}  (by step)", flush=True)
                    if args.profile:
                        for node, duration in nodes.items():
                            print(f"{duration:9.1f} {node}")
                else:
                    a, b, undisturbed = measure(peer, ours, args.rounds, args.seconds, args.quiet)
                    ratio = statistics.median(a) / statistics.median(b)
                    ratios.append(ratio)
                    print(
                        f"{head} {statistics.median(a) / 1e3:14.3f} "
                        f"{statistics.median(b) / 1e3:8.3f} {ratio:8.3f}  ({min(a) / 1e3:.3f} {min(b) / 1e3:.3f} "
                        f"{min(a) / min(b):.3f})  {ours.ready}, error {error:.1e}"
                        + (f", {undisturbed} quiet bursts" if args.quiet else ""),
                        flush=True,
                    )
                if args.profile:
                    print("\n".join(ours.profile()))
                ours.close()
                peer.close()
    print(f"geometric mean {math.exp(statistics.mean(map(math.log, ratios))):.3f}, least {min(ratios):.3f}")


main()
