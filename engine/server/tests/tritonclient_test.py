"""Talks to a running engine through tritonclient. Usage: tritonclient_test.py ADDRESS MODEL CASES

CASES is a folder of files N.in (FP32[1,1,8,8], raw) and N.out (FP32[1,10], raw, the only right answer).
"""

import asyncio
import pathlib
import sys

import numpy
import tritonclient.http as http
import tritonclient.http.aio as aio
from tritonclient.utils import InferenceServerException

ADDRESS, MODEL, FOLDER = sys.argv[1:]


def cases():
    for path in sorted(pathlib.Path(FOLDER).glob("*.in")):
        image = numpy.fromfile(path, dtype="<f4").reshape(1, 1, 8, 8)
        yield image, path.with_suffix(".out").read_bytes()


def inputs(image, binary, module=http):
    tensor = module.InferInput("image", list(image.shape), "FP32")
    tensor.set_data_from_numpy(image, binary_data=binary)
    return [tensor]


def outputs(binary, module=http):
    return [module.InferRequestedOutput("probabilities", binary_data=binary)]


def refused(words, f, *args, **kwargs):
    try:
        f(*args, **kwargs)
    except InferenceServerException as error:
        assert words in error.message(), error.message()
        return error.status()
    raise AssertionError(f"nothing was refused with {words!r}")


def metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(MODEL) and client.is_model_ready(MODEL, "1")
    assert not client.is_model_ready(MODEL, "2") and not client.is_model_ready("0" * 64)
    server = client.get_server_metadata()
    assert server["name"] == "assay-engine" and "binary_tensor_data" in server["extensions"], server
    model = client.get_model_metadata(MODEL, "1")
    assert model == client.get_model_metadata(MODEL)
    assert model["name"] == MODEL and model["versions"] == ["1"], model
    assert model["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [1, 1, 8, 8]}], model
    assert model["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [1, 10]}], model


def inference(client):
    for i, (image, right) in enumerate(cases()):
        for binary_in in (True, False):
            for asked in (outputs(True), outputs(False), None):
                result = client.infer(
                    MODEL, inputs(image, binary_in), outputs=asked, request_id=f"case-{i}", model_version="1"
                )
                response = result.get_response()
                assert response["id"] == f"case-{i}" and response["model_name"] == MODEL, response
                assert response["model_version"] == "1", response
                got = result.as_numpy("probabilities")
                assert got.shape == (1, 10) and got.dtype == numpy.float32, got
                assert got.tobytes() == right, (image, got)
                assert result.get_output("probabilities")["datatype"] == "FP32"
                assert result.as_numpy("logits") is None
    # What the client can send beside it changes nothing.
    image, right = next(cases())
    result = client.infer(
        MODEL, inputs(image, True), sequence_id=7, sequence_start=True, priority=2, timeout=30_000_000,
        headers={"x-anything": "1"}, query_params={"a": 1}, parameters={"note": "hello", "n": 1},
    )
    assert result.as_numpy("probabilities").tobytes() == right


def at_once(client):
    todo = list(cases()) * 4
    asked = [(client.async_infer(MODEL, inputs(image, True), outputs=outputs(True)), right) for image, right in todo]
    for request, right in asked:
        assert request.get_result().as_numpy("probabilities").tobytes() == right


def mistakes(client):
    image, _ = next(cases())
    refused("not in the store", client.infer, "0" * 64, inputs(image, True))
    refused("no model", client.infer, "digits", inputs(image, True))
    refused("has no version", client.infer, MODEL, inputs(image, True), model_version="7")
    refused("the shape is", client.infer, MODEL, inputs(image.reshape(1, 64), True))
    refused("no output", client.infer, MODEL, inputs(image, True), outputs=[http.InferRequestedOutput("logits")])
    refused("classification", client.infer, MODEL, inputs(image, True),
            outputs=[http.InferRequestedOutput("probabilities", class_count=3)])
    refused("takes 1 inputs", client.infer, MODEL, inputs(image, True) * 2)
    other = http.InferInput("image", [1, 1, 8, 8], "INT32")
    other.set_data_from_numpy(numpy.zeros((1, 1, 8, 8), dtype=numpy.int32))
    refused("the datatype is INT32", client.infer, MODEL, [other])
    shared = http.InferInput("image", [1, 1, 8, 8], "FP32")
    shared.set_shared_memory("region", 256)
    refused("shared memory", client.infer, MODEL, [shared])
    refused("compressed", client.infer, MODEL, inputs(image, True), request_compression_algorithm="gzip")
    # What we do not have is nowhere to be found, rather than half there.
    for missing in (client.get_model_config, client.load_model, client.unload_model):
        refused("nothing at this address", missing, MODEL)
    assert client.infer(MODEL, inputs(image, True), response_compression_algorithm="gzip") is not None


async def asynchronous():
    async with aio.InferenceServerClient(ADDRESS) as client:
        assert await client.is_server_ready() and await client.is_model_ready(MODEL)
        todo = [(client.infer(MODEL, inputs(i, b, aio), outputs=outputs(b, aio)), r) for i, r in cases() for b in (True, False)]
        results = await asyncio.gather(*(request for request, _ in todo))
        for result, (_, right) in zip(results, todo):
            assert result.as_numpy("probabilities").tobytes() == right


with http.InferenceServerClient(ADDRESS, concurrency=4) as client:
    for part in (metadata, inference, at_once, mistakes):
        part(client)
        print(f"{part.__name__}: ok")
asyncio.run(asynchronous())
print("asynchronous: ok")
