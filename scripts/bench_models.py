"""Models for scripts/bench-engine: well-known graphs with seeded random weights, in the operators that import supports.

Weights are scaled so that values stay of one magnitude through the whole net (He), as in a trained one.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    def __init__(self, name, batch, channels, size, seed):
        self.rng = np.random.default_rng(seed)
        self.name, self.nodes, self.weights, self.count = name, [], [], 0
        self.dims = {"x": [batch, channels, size, size]}
        self.first = self.dims["x"]

    def node(self, op, inputs, dims, **attributes):
        self.count += 1
        out = f"v{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
        self.dims[out] = dims
        return out

    def weight(self, array):
        self.count += 1
        name = f"w{self.count}"
        self.weights.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def conv(self, x, out, kernel, stride=1, pad=None, group=1, relu=True, bias=True, gain=2.0):
        n, c, h, w = self.dims[x]
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        ph, pw = (kh // 2, kw // 2) if pad is None else (pad, pad) if isinstance(pad, int) else pad
        fan = c // group * kh * kw
        inputs = [x, self.weight(self.rng.normal(0, (gain / fan) ** 0.5, (out, c // group, kh, kw)))]
        if bias:
            inputs.append(self.weight(self.rng.normal(0, 0.1, out)))
        dims = [n, out, (h + 2 * ph - kh) // stride + 1, (w + 2 * pw - kw) // stride + 1]
        v = self.node("Conv", inputs, dims, kernel_shape=[kh, kw], strides=[stride] * 2, pads=[ph, pw] * 2, group=group)
        return self.relu(v) if relu else v

    def relu(self, x):
        return self.node("Relu", [x], self.dims[x])

    def norm(self, x, relu=True):
        c = self.dims[x][1]
        ws = [self.rng.normal(1, 0.1, c), self.rng.normal(0, 0.1, c), self.rng.normal(0, 0.1, c), 1 + self.rng.random(c)]
        v = self.node("BatchNormalization", [x] + [self.weight(w) for w in ws], self.dims[x])
        return self.relu(v) if relu else v

    def add(self, a, b):
        return self.node("Add", [a, b], self.dims[a])

    def concat(self, *xs):
        n, _, h, w = self.dims[xs[0]]
        return self.node("Concat", list(xs), [n, sum(self.dims[x][1] for x in xs), h, w], axis=1)

    def pool(self, op, x, kernel, stride, pad=0):
        n, c, h, w = self.dims[x]
        dims = [n, c, (h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1]
        return self.node(op, [x], dims, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def gap(self, x):
        n, c, _, _ = self.dims[x]
        return self.node("GlobalAveragePool", [x], [n, c, 1, 1])

    def flatten(self, x):
        n, *rest = self.dims[x]
        return self.node("Flatten", [x], [n, int(np.prod(rest))], axis=1)

    def fc(self, x, out, relu=False):
        n, c = self.dims[x]
        ws = [self.weight(self.rng.normal(0, c**-0.5, (out, c))), self.weight(self.rng.normal(0, 0.1, out))]
        v = self.node("Gemm", [x] + ws, [n, out], transB=1)
        return self.relu(v) if relu else v

    def model(self, out):
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [value("x", TensorProto.FLOAT, self.first)],
            [value(out, TensorProto.FLOAT, self.dims[out])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model


def resnet50(batch):
    net = Net("resnet50", batch, 3, 224, 1)
    x = net.pool("MaxPool", net.conv("x", 64, 7, 2), 3, 2, 1)
    for stage, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            y = net.conv(net.conv(x, width, 1), width, 3, stride)
            y = net.conv(y, 4 * width, 1, relu=False, gain=1.0)
            side = net.conv(x, 4 * width, 1, stride, relu=False, gain=1.0) if block == 0 else x
            x = net.relu(net.add(y, side))
    return net.model(net.fc(net.flatten(net.gap(x)), 1000))


def vgg19(batch):
    net = Net("vgg19", batch, 3, 224, 2)
    x = "x"
    for width, count in [(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)]:
        for _ in range(count):
            x = net.conv(x, width, 3)
        x = net.pool("MaxPool", x, 2, 2)
    x = net.flatten(x)
    return net.model(net.fc(net.fc(net.fc(x, 4096, relu=True), 4096, relu=True), 1000))


def densenet121(batch):
    net = Net("densenet121", batch, 3, 224, 3)
    x = net.pool("MaxPool", net.conv("x", 64, 7, 2), 3, 2, 1)
    for stage, blocks in enumerate([6, 12, 24, 16]):
        for _ in range(blocks):
            y = net.conv(net.norm(x), 128, 1, relu=False, bias=False)
            y = net.conv(net.norm(y), 32, 3, relu=False, bias=False)
            x = net.concat(x, y)
        if stage < 3:
            x = net.conv(net.norm(x), net.dims[x][1] // 2, 1, relu=False, bias=False)
            x = net.pool("AveragePool", x, 2, 2)
    return net.model(net.fc(net.flatten(net.gap(net.norm(x))), 1000))


def squeezenet(batch):
    net = Net("squeezenet", batch, 3, 224, 4)
    x = net.pool("MaxPool", net.conv("x", 64, 3, 2, 0), 3, 2)
    for i, (s, e) in enumerate([(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]):
        x = net.conv(x, s, 1)
        x = net.concat(net.conv(x, e, 1), net.conv(x, e, 3))
        if i in (1, 3):
            x = net.pool("MaxPool", x, 3, 2)
    return net.model(net.gap(net.conv(x, 1000, 1)))


def inception(batch):
    """Blocks of Inception v2: 1x1, 3x3, double 3x3, pool and 1x1, joined."""
    net = Net("inception_v2", batch, 3, 224, 5)
    x = net.pool("MaxPool", net.conv("x", 64, 7, 2), 3, 2, 1)
    x = net.pool("MaxPool", net.conv(net.conv(x, 64, 1), 192, 3), 3, 2, 1)

    def block(x, a, b, c, d, op="AveragePool"):
        parts = [
            net.conv(x, a, 1),
            net.conv(net.conv(x, b[0], 1), b[1], 3),
            net.conv(net.conv(net.conv(x, c[0], 1), c[1], 3), c[1], 3),
            net.conv(net.pool(op, x, 3, 1, 1), d, 1),
        ]
        return net.concat(*parts)

    def reduce(x, b, c):
        return net.concat(
            net.conv(net.conv(x, b[0], 1), b[1], 3, 2),
            net.conv(net.conv(net.conv(x, c[0], 1), c[1], 3), c[1], 3, 2),
            net.pool("MaxPool", x, 3, 2, 1),
        )

    x = block(block(x, 64, (64, 64), (64, 96), 32), 64, (64, 96), (64, 96), 64)
    x = reduce(x, (128, 160), (64, 96))
    for a, b, c, d in [
        (224, (64, 96), (96, 128), 128),
        (192, (96, 128), (96, 128), 128),
        (160, (128, 160), (128, 160), 96),
        (96, (128, 192), (160, 192), 96),
    ]:
        x = block(x, a, b, c, d)
    x = reduce(x, (128, 192), (192, 256))
    x = block(block(x, 352, (192, 320), (160, 224), 128), 352, (192, 320), (192, 224), 128, "MaxPool")
    return net.model(net.fc(net.flatten(net.gap(x)), 1000))


def mobilenet(batch):
    """Depthwise separable convolutions as in MobileNet v1."""
    net = Net("mobilenet_v1", batch, 3, 224, 6)
    x = net.conv("x", 32, 3, 2)
    for out, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + 5 * [(512, 1)] + [(1024, 2), (1024, 1)]:
        x = net.conv(x, net.dims[x][1], 3, stride, group=net.dims[x][1])
        x = net.conv(x, out, 1)
    return net.model(net.fc(net.flatten(net.gap(x)), 1000))


MODELS = {
    "resnet50": resnet50,
    "vgg19": vgg19,
    "densenet121": densenet121,
    "squeezenet": squeezenet,
    "inception_v2": inception,
    "mobilenet_v1": mobilenet,
}
