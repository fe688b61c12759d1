"""Trains a small network that reads handwritten digits, in plain numpy, and writes it as ONNX.

Data: scikit-learn's `load_digits`, 1,797 images of 8x8 pixels with values 0 to 16. A fifth, stratified, is held out and
used for nothing but the figures printed at the end. What the network sees is what a PNG of the image holds: the pixel
v becomes the byte p = round(v * 255 / 16), and the input is p / 255 as f32, shape [1, 1, 8, 8].
"""

import json
import shutil
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 20
EPOCHS = 60
BATCH = 32
RATE = 2e-3
DECAY = 1e-4
SIDE = 8


# --- Layers: each forward returns what its backward needs ----------------------------------------------------------------


def patches(x):
    """[n, c, h, w] to [n * h * w, c * 9]: the 3x3 neighbourhood of every pixel, zero outside the image."""
    n, c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.ascontiguousarray(windows.transpose(0, 2, 3, 1, 4, 5)).reshape(n * h * w, c * 9)


def conv(x, weight, bias):
    n, _, h, w = x.shape
    columns = patches(x)
    y = columns @ weight.reshape(len(weight), -1).T + bias
    return np.ascontiguousarray(y.reshape(n, h, w, -1).transpose(0, 3, 1, 2)), columns


def conv_back(dy, columns, weight, x_shape):
    n, c, h, w = x_shape
    rows = np.ascontiguousarray(dy.transpose(0, 2, 3, 1)).reshape(n * h * w, -1)
    dweight = (rows.T @ columns).reshape(weight.shape)
    dcolumns = (rows @ weight.reshape(len(weight), -1)).reshape(n, h, w, c, 3, 3)
    dpadded = np.zeros((n, c, h + 2, w + 2), np.float32)
    for i in range(3):
        for j in range(3):
            dpadded[:, :, i : i + h, j : j + w] += dcolumns[..., i, j].transpose(0, 3, 1, 2)
    return dpadded[:, :, 1:-1, 1:-1], dweight, rows.sum(0)


def pool(x):
    n, c, h, w = x.shape
    cells = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
    return cells.max(-1), cells.argmax(-1)


def pool_back(dy, winner):
    n, c, h, w = dy.shape
    cells = (np.arange(4) == winner[..., None]) * dy[..., None]
    return cells.reshape(n, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h * 2, w * 2)


def forward(p, x):
    a1, columns1 = conv(x, p["conv1.weight"], p["conv1.bias"])
    h1, winner1 = pool(np.maximum(a1, 0))
    a2, columns2 = conv(h1, p["conv2.weight"], p["conv2.bias"])
    h2, winner2 = pool(np.maximum(a2, 0))
    flat = h2.reshape(len(x), -1)
    a3 = flat @ p["hidden.weight"].T + p["hidden.bias"]
    h3 = np.maximum(a3, 0)
    logits = h3 @ p["output.weight"].T + p["output.bias"]
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True), (x, columns1, a1, winner1, h1, columns2, a2, winner2, h2, flat, a3, h3)


def backward(p, kept, dlogits):
    x, columns1, a1, winner1, h1, columns2, a2, winner2, h2, flat, a3, h3 = kept
    g = {"output.weight": dlogits.T @ h3, "output.bias": dlogits.sum(0)}
    da3 = (dlogits @ p["output.weight"]) * (a3 > 0)
    g |= {"hidden.weight": da3.T @ flat, "hidden.bias": da3.sum(0)}
    da2 = pool_back((da3 @ p["hidden.weight"]).reshape(h2.shape), winner2) * (a2 > 0)
    dh1, g["conv2.weight"], g["conv2.bias"] = conv_back(da2, columns2, p["conv2.weight"], h1.shape)
    da1 = pool_back(dh1, winner1) * (a1 > 0)
    _, g["conv1.weight"], g["conv1.bias"] = conv_back(da1, columns1, p["conv1.weight"], x.shape)
    return g


# --- Training --------------------------------------------------------------------------------------------------------


def shifted(x, rng):
    """Moves each image by at most one pixel each way; what enters is background."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    moves = rng.integers(0, 3, (len(x), 2))
    return np.stack([image[:, i : i + SIDE, j : j + SIDE] for image, (i, j) in zip(padded, moves)])


def train(x, labels, rng):
    shapes = {"conv1": (16, 1, 3, 3), "conv2": (32, 16, 3, 3), "hidden": (64, 128), "output": (10, 64)}
    p = {}
    for name, shape in shapes.items():
        spread = np.sqrt(2 / np.prod(shape[1:]))
        p[f"{name}.weight"] = (rng.standard_normal(shape) * spread).astype(np.float32)
        p[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    first = {k: np.zeros_like(v) for k, v in p.items()}
    second = {k: np.zeros_like(v) for k, v in p.items()}
    total, step = EPOCHS * -(-len(x) // BATCH), 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH):
            pick = order[start : start + BATCH]
            probabilities, kept = forward(p, shifted(x[pick], rng))
            # Adam with decoupled decay; the rate falls to nothing along half a cosine.
            g = backward(p, kept, (probabilities - np.eye(10, dtype=np.float32)[labels[pick]]) / np.float32(len(pick)))
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / total))
            step += 1
            for k in p:
                first[k] = np.float32(0.9) * first[k] + np.float32(0.1) * g[k]
                second[k] = np.float32(0.999) * second[k] + np.float32(0.001) * g[k] ** 2
                move = (first[k] / (1 - 0.9**step)) / (np.sqrt(second[k] / (1 - 0.999**step)) + 1e-8)
                p[k] = (p[k] - rate * (move + DECAY * p[k])).astype(np.float32)
    return p


# --- What is written -------------------------------------------------------------------------------------------------


def as_onnx(p):
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "conv1.weight", "conv1.bias"], ["conv1"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["conv1"], ["relu1"]),
        node("MaxPool", ["relu1"], ["pool1"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["pool1", "conv2.weight", "conv2.bias"], ["conv2"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["conv2"], ["relu2"]),
        node("MaxPool", ["relu2"], ["pool2"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["pool2"], ["flat"], axis=1),
        node("Gemm", ["flat", "hidden.weight", "hidden.bias"], ["hidden"], transB=1),
        node("Relu", ["hidden"], ["relu3"]),
        node("Gemm", ["relu3", "output.weight", "output.bias"], ["logits"], transB=1),
        node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(value, name) for name, value in p.items()],
    )
    # Named versions, so that another release of the onnx package writes the same file.
    model = helper.make_model(
        graph, producer_name="assay/train-digits", opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def as_png(pixels):
    """8-bit greyscale, stored without compression: no zlib version can change the bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    stored = b"\x78\x01\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows
    stored += struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stored) + chunk(b"IEND", b"")


def main(out):
    digits = load_digits()
    pixels = np.rint(digits.images * 255 / 16).astype(np.uint8)
    x = (pixels.astype(np.float32) / np.float32(255))[:, None]
    learned, held_out = train_test_split(
        np.arange(len(x)), test_size=0.2, stratify=digits.target, random_state=SEED, shuffle=True
    )
    held_out.sort()
    p = train(x[learned], digits.target[learned], np.random.Generator(np.random.PCG64(SEED)))

    model = as_onnx(p)
    out.mkdir(parents=True, exist_ok=True)
    (out / "digits.onnx").write_bytes(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    shutil.rmtree(out / "images", ignore_errors=True)
    (out / "images").mkdir()
    lines, right = [], 0
    for i in held_out:
        label = int(digits.target[i])
        probabilities = session.run(["probabilities"], {"image": x[i : i + 1]})[0][0]
        predicted = int(probabilities.argmax())
        right += predicted == label
        image = f"{i:04}-label-{label}.png"
        (out / "images" / image).write_bytes(as_png(pixels[i]))
        # Seven decimals are more than another build of ONNX Runtime would agree on.
        rounded = [round(float(value), 7) for value in probabilities]
        lines.append(
            json.dumps({"image": image, "label": label, "predicted": predicted, "probabilities": rounded})
        )
    (out / "expected.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")

    trained_right = (forward(p, x[learned])[0].argmax(1) == digits.target[learned]).sum()
    print(f"trained on {len(learned)} images: {trained_right / len(learned):.2%} of them right")
    print(f"held out {len(held_out)} images: {right} right, {right / len(held_out):.2%}")
    print(f"{len(model)} bytes of ONNX")
    if right < 0.98 * len(held_out):
        sys.exit("train-digits: fewer than 98 % right on the held-out images")


main(Path(sys.argv[1]))
