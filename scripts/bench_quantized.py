"""Quantised models for scripts/bench-engine: the float models, calibrated on seeded images and quantised to 8 bits by ONNX Runtime's own tool."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from bench_models import mobilenet, resnet50

IMAGES = 2


class Images(CalibrationDataReader):
    def __init__(self, dims):
        rng = np.random.default_rng(7)
        self.left = [{"x": rng.normal(0, 1, dims).astype(np.float32)} for _ in range(IMAGES)]

    def get_next(self):
        return self.left.pop() if self.left else None


def quantized(model, form):
    """Activations u8, weights i8 by channel, as the tool does it by default for processors with VNNI."""
    dims = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "float.onnx"), Path(folder, "quantized.onnx")
        onnx.save(model, source)
        quantize_static(
            str(source),
            str(result),
            Images(dims),
            quant_format=form,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(result)


QUANTIZED = {
    "resnet50_qdq": lambda batch: quantized(resnet50(batch), QuantFormat.QDQ),
    "resnet50_qop": lambda batch: quantized(resnet50(batch), QuantFormat.QOperator),
    "mobilenet_qdq": lambda batch: quantized(mobilenet(batch), QuantFormat.QDQ),
    "mobilenet_qop": lambda batch: quantized(mobilenet(batch), QuantFormat.QOperator),
}
