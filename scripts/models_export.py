"""Exports the graphs of scripts/models from PyTorch, without their weights.

The modules are written as the well-known ones are (BERT's encoder, GPT-2's decoder with its cache), so that their graphs are what users
bring. What is exported is the graph; of each weight only shape, mean and deviation are kept, for scripts/models.py to make it anew.
"""

import gzip
import math
import pathlib
import sys
import warnings

import numpy
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

warnings.filterwarnings("ignore")

# Weights with fewer elements, and those that are no floats, stay in the graph.
SMALL = 65
# The newest operator set that this PyTorch exports and this ONNX Runtime runs.
NEWEST = 24


class Config:
    def __init__(self, layers, hidden, heads, vocabulary, positions, **kind):
        self.layers, self.hidden, self.heads = layers, hidden, heads
        self.vocabulary, self.positions, self.kind = vocabulary, positions, kind


class SelfAttention(nn.Module):
    """BERT's: three projections, an additive mask."""

    def __init__(self, c):
        super().__init__()
        self.heads, self.size, self.form = c.heads, c.hidden // c.heads, c.kind.get("attention", "matmul")
        self.query, self.key, self.value = (nn.Linear(c.hidden, c.hidden) for _ in range(3))

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, self.size)

    def forward(self, x, mask):
        q, k, v = (self.split(p(x)) for p in (self.query, self.key, self.value))
        if self.form == "einsum":
            scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(self.size) + mask
            y = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v)
        elif self.form == "sdpa":
            q, k, v = (t.transpose(1, 2) for t in (q, k, v))
            mask = mask.expand(q.shape[0], 1, q.shape[2], k.shape[2])
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)
        else:
            q, k, v = (t.permute(0, 2, 1, 3) for t in (q, k, v))
            scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(self.size) + mask
            y = torch.matmul(scores.softmax(-1), v).permute(0, 2, 1, 3).contiguous()
        return y.reshape(x.shape)


class EncoderLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention, self.out = SelfAttention(c), nn.Linear(c.hidden, c.hidden)
        self.norm1, self.norm2 = nn.LayerNorm(c.hidden, eps=1e-12), nn.LayerNorm(c.hidden, eps=1e-12)
        self.up, self.down = nn.Linear(c.hidden, 4 * c.hidden), nn.Linear(4 * c.hidden, c.hidden)

    def forward(self, x, mask):
        x = self.norm1(x + self.out(self.attention(x, mask)))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Encoder(nn.Module):
    """BERT: embeddings, layers, the pooled first token."""

    def __init__(self, c):
        super().__init__()
        self.words = nn.Embedding(c.vocabulary, c.hidden)
        self.places = nn.Embedding(c.positions, c.hidden)
        self.types = nn.Embedding(2, c.hidden)
        self.norm = nn.LayerNorm(c.hidden, eps=1e-12)
        self.layers = nn.ModuleList(EncoderLayer(c) for _ in range(c.layers))
        self.pooler = nn.Linear(c.hidden, c.hidden)
        self.register_buffer("position_ids", torch.arange(c.positions).expand((1, -1)))

    def forward(self, input_ids, attention_mask, token_type_ids):
        places = self.position_ids[:, : input_ids.shape[1]]
        x = self.norm(self.words(input_ids) + self.types(token_type_ids) + self.places(places))
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for layer in self.layers:
            x = layer(x, mask)
        return x, torch.tanh(self.pooler(x[:, 0]))


class DecoderLayer(nn.Module):
    """GPT-2's: one projection to query, key and value; causal by Where; GELU by tanh."""

    def __init__(self, c):
        super().__init__()
        self.heads, self.hidden = c.heads, c.hidden
        self.norm1, self.norm2 = nn.LayerNorm(c.hidden), nn.LayerNorm(c.hidden)
        self.qkv, self.out = nn.Linear(c.hidden, 3 * c.hidden), nn.Linear(c.hidden, c.hidden)
        self.up, self.down = nn.Linear(c.hidden, 4 * c.hidden), nn.Linear(4 * c.hidden, c.hidden)
        self.register_buffer("causal", torch.tril(torch.ones(c.positions, c.positions, dtype=torch.bool))[None, None])

    def forward(self, x, mask, past_key, past_value):
        batch, length, hidden = x.shape
        parts = self.qkv(self.norm1(x)).split(self.hidden, dim=2)
        q, k, v = (p.view(batch, length, self.heads, hidden // self.heads).permute(0, 2, 1, 3) for p in parts)
        k, v = torch.cat((past_key, k), dim=-2), torch.cat((past_value, v), dim=-2)
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(hidden // self.heads)
        total = k.shape[-2]
        causal = self.causal[:, :, total - length : total, :total]
        scores = torch.where(causal, scores, torch.full([], torch.finfo(x.dtype).min, dtype=x.dtype)) + mask
        y = torch.matmul(scores.softmax(-1), v).permute(0, 2, 1, 3).reshape(batch, length, hidden)
        x = x + self.out(y)
        h = self.up(self.norm2(x))
        h = 0.5 * h * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (h + 0.044715 * torch.pow(h, 3.0))))
        return x + self.down(h), k, v


class Decoder(nn.Module):
    """GPT-2 with a key/value cache: `past` has what earlier calls gave as `present`; at first it is empty."""

    def __init__(self, c):
        super().__init__()
        self.words, self.places = nn.Embedding(c.vocabulary, c.hidden), nn.Embedding(c.positions, c.hidden)
        self.layers = nn.ModuleList(DecoderLayer(c) for _ in range(c.layers))
        self.norm = nn.LayerNorm(c.hidden)
        self.head = nn.Linear(c.hidden, c.vocabulary, bias=False)

    def forward(self, input_ids, attention_mask, *past):
        length, before = input_ids.shape[1], past[0].shape[2]
        places = torch.arange(before, before + length, dtype=torch.long, device=input_ids.device)
        x = self.words(input_ids) + self.places(places.unsqueeze(0))
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        present = []
        for i, layer in enumerate(self.layers):
            x, k, v = layer(x, mask, past[2 * i], past[2 * i + 1])
            present += [k, v]
        return self.head(self.norm(x)), *present


def inputs_of(module, c):
    if isinstance(module, Encoder):
        ids = torch.arange(2 * 7).reshape(2, 7)
        names = {n: {0: "batch", 1: "sequence"} for n in ("input_ids", "attention_mask", "token_type_ids")}
        return (ids, torch.ones_like(ids), ids % 2), names, ["last_hidden_state", "pooler_output"]
    ids = torch.arange(2 * 3).reshape(2, 3)
    names = {"input_ids": {0: "batch", 1: "sequence"}, "attention_mask": {0: "batch", 1: "total"}}
    past, outputs = [], ["logits"]
    for i in range(c.layers):
        for part in ("key", "value"):
            past.append(torch.randn(2, c.heads, 5, c.hidden // c.heads))
            names[f"past.{i}.{part}"] = {0: "batch", 2: "past"}
            outputs.append(f"present.{i}.{part}")
    return (ids, torch.ones(2, 8, dtype=torch.long), *past), names, outputs


def without_weights(model):
    """Of each large weight: shape, mean and deviation, in its doc string."""
    def tensors(graph):
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
    for tensor in tensors(model.graph):
        values = numpy_helper.to_array(tensor)
        tensor.doc_string = ""
        if values.size < SMALL or values.dtype != numpy.float32 or not numpy.isfinite(values).all():
            continue
        if values.min() == values.max():
            mean, deviation = float(values.flat[0]), 0.02
        else:
            mean, deviation = 0.0, float(values.std())
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.doc_string = f"normal {mean:g} {deviation:.3g}"
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output]:
        value.doc_string = ""
        del value.metadata_props[:]
    del model.graph.value_info[:], model.metadata_props[:], model.graph.metadata_props[:]
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:], function.value_info[:]
        for node in function.node:
            node.doc_string = ""
            del node.metadata_props[:]
    return model


def export(name, module, c, opset, dynamo, folder):
    torch.manual_seed(7)
    module = module(c).eval()
    args, names, outputs = inputs_of(module, c)
    path = folder / f"{name}.tmp.onnx"
    if dynamo:
        dims = {n: torch.export.Dim(n, min=1) for n in ("batch", "sequence")}
        dims["past"] = torch.export.Dim("past")
        axes = [{a: torch.export.Dim.DYNAMIC for a in named} for named in names.values()]
        shapes = tuple(axes[:2] + [tuple(axes[2:])]) if isinstance(module, Decoder) else tuple(axes)
        program = torch.onnx.export(
            module, args, dynamo=True, opset_version=opset, dynamic_shapes=shapes, input_names=list(names), output_names=outputs
        )
        program.save(path, external_data=False)
    else:
        for output in outputs:
            names[output] = {0: "batch", 1: "sequence"} if output != "pooler_output" else {0: "batch"}
            if output.startswith("present"):
                names[output] = {0: "batch", 2: "total"}
        inputs = [n for n in names if n not in outputs]
        torch.onnx.export(
            module, args, str(path), dynamo=False, opset_version=opset, input_names=inputs, output_names=outputs, dynamic_axes=names
        )
    model = onnx.load(path)
    path.unlink()
    data = without_weights(model).SerializeToString(deterministic=True)
    out = folder / f"{name}.onnx.gz"
    out.write_bytes(gzip.compress(data, 9, mtime=0))
    version = [o.version for o in model.opset_import if o.domain == ""][0]
    print(f"{name}: operator set {version}, {len(model.graph.node)} nodes, {len(data)} bytes, {out.stat().st_size} compressed", flush=True)


def main(folder, words):
    small = dict(layers=4, hidden=256, heads=4, vocabulary=1000, positions=64)
    tiny = dict(layers=2, hidden=64, heads=4, vocabulary=300, positions=64)
    base = dict(layers=12, hidden=768, heads=12, vocabulary=30522, positions=512)
    # name: module, configuration, operator set, the exporter through torch.export or the older one
    graphs = {
        "encoder-opset17": (Encoder, Config(**small), 17, False),
        "encoder-newest": (Encoder, Config(**small), NEWEST, True),
        "encoder-einsum-opset17": (Encoder, Config(**tiny, attention="einsum"), 17, False),
        "encoder-einsum-newest": (Encoder, Config(**tiny, attention="einsum"), NEWEST, True),
        "encoder-sdpa-opset17": (Encoder, Config(**tiny, attention="sdpa"), 17, False),
        "encoder-sdpa-newest": (Encoder, Config(**tiny, attention="sdpa"), NEWEST, True),
        "decoder-opset17": (Decoder, Config(**small), 17, False),
        "decoder-newest": (Decoder, Config(**small), NEWEST, True),
        "bert-base-opset17": (Encoder, Config(**base), 17, False),
    }
    for name, (module, config, opset, dynamo) in graphs.items():
        if not words or any(word in name for word in words):
            export(name, module, config, opset, dynamo, folder)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
