"""Peak memory of the engine and of ONNX Runtime. See scripts/bench-memory."""

import json
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request

import onnx
from onnx import numpy_helper

NAMES = {"float32": "FP32", "int64": "INT64", "int32": "INT32", "bool": "BOOL"}


def peak(arguments):
    """Runs a program; its peak memory in MiB, how long it took, and what it printed."""
    start = time.monotonic()
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    # Of children that have ended, the largest so far: so each is measured in a process of its own (see `child`).
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, time.monotonic() - start, done.stdout


def child(*arguments):
    """`peak` in a fresh process."""
    text = subprocess.run([sys.executable, __file__, "peak", *map(str, arguments)], check=True, capture_output=True, text=True)
    return json.loads(text.stdout)


def load(folder):
    return [numpy_helper.to_array(onnx.load_tensor(folder / f"input_{i}.pb")) for i in range(len(list(folder.glob("input_*.pb"))))]


def theirs(model, folder):
    """One inference by ONNX Runtime."""
    import onnxruntime as ort

    if model == "none":
        return
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    session.run(None, {info.name: x for info, x in zip(session.get_inputs(), load(pathlib.Path(folder)))})


def ours(binary, store, name, names, inputs):
    """One inference by the server: its peak memory, and how long it took, the model's loading included."""
    command = [binary, "serve", "--store", str(store), "--listen", "127.0.0.1:0", "--max-body-bytes", str(1 << 28)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    high = lambda: int(re.search(r"VmHWM:\s*(\d+)", pathlib.Path(f"/proc/{server.pid}/status").read_text())[1]) / 1024
    try:
        address = re.search(r"http://\S+", server.stderr.readline())[0]
        head = json.dumps({
            "inputs": [
                {
                    "name": given,
                    "shape": list(x.shape),
                    "datatype": NAMES[x.dtype.name],
                    "parameters": {"binary_data_size": x.nbytes},
                }
                for given, x in zip(names, inputs)
            ],
            "parameters": {"binary_data_output": True},
        }).encode()
        body = head + b"".join(x.tobytes() for x in inputs)
        request = urllib.request.Request(f"{address}/v2/models/{name}/infer", body)
        request.add_header("Inference-Header-Content-Length", str(len(head)))
        start = time.monotonic()
        urllib.request.urlopen(request).read()
        return high(), time.monotonic() - start
    finally:
        server.terminate()
        server.wait()


def main(binary, models, words):
    base, _, _ = child(sys.executable, __file__, "theirs", "none", "none")
    print(f"MiB at most; of ONNX Runtime without the {base:.0f} that Python takes with it and no model")
    print(f"{'model':24} {'file':>6} {'import':>7} {'load and run':>13} {'ONNX Runtime':>13} {'ratio':>6}   {'import s':>8} {'first answer s':>14}")
    for folder in sorted(path.parent for path in pathlib.Path(models).glob("*/model.onnx")):
        if not any(word in folder.name for word in words):
            continue
        model = folder / "model.onnx"
        graph = onnx.load(model, load_external_data=False).graph
        known = {tensor.name for tensor in graph.initializer}
        names = [info.name for info in graph.input if info.name not in known]
        inputs = load(folder / "set_0")
        types = [f"--input={n}={NAMES[x.dtype.name]}[{','.join(map(str, x.shape))}]" for n, x in zip(names, inputs)]
        del graph
        with tempfile.TemporaryDirectory() as store:
            importing, seconds, printed = child(binary, "import", model, "--store", store, *types)
            running, answered = ours(binary, store, printed.strip(), names, inputs)
        other, _, _ = child(sys.executable, __file__, "theirs", model, folder / "set_0")
        size = model.stat().st_size / 2**20
        print(
            f"{folder.name:24} {size:6.0f} {importing:7.0f} {running:13.0f} {other - base:13.0f} {running / (other - base):6.2f}   "
            f"{seconds:8.2f} {answered:14.2f}",
            flush=True,
        )


if sys.argv[1] == "peak":
    print(json.dumps(peak(sys.argv[2:])))
elif sys.argv[1] == "theirs":
    theirs(*sys.argv[2:4])
else:
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
