"""Classifies image files by a model on TensorFlow Serving, whatever their sizes.

Over gRPC this needs `pip install tensorflow-serving-api`, over REST nothing but Python.
"""

import argparse
import base64
import http.client
import json
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

EXAMPLES = """examples:
  python client.py cat.jpg dog.png
  python client.py photos/*.jpg --model zf5_spp --server gpu-host:8500
  python client.py photos/*.jpg --rest --server localhost:8501
"""
# Files in a request: as many as a server with our `batching.config` merges into one batch.
MAX_FILES = 16


def main() -> None:
    """Sends the files, some at a time; a failure ends with one line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="file", help="JPEG, PNG, GIF, BMP or WebP")
    parser.add_argument("--model", default="zf5_spp", help="name on the server (%(default)s)")
    parser.add_argument("--server", help="HOST:PORT (localhost:8500, with --rest localhost:8501)")
    parser.add_argument("--rest", action="store_true", help="use REST instead of gRPC")
    parser.add_argument("--timeout", type=float, default=60, help="seconds (%(default)s)")
    options = parser.parse_args()

    predict = predict_by_rest if options.rest else predict_by_grpc
    server = options.server or f"localhost:{8501 if options.rest else 8500}"
    for start in range(0, len(options.files), MAX_FILES):
        files = options.files[start : start + MAX_FILES]
        try:
            images = [read_file(file) for file in files]
            predictions = predict(server, options.model, images, options.timeout)
        except RuntimeError as error:
            sys.exit(describe_refusal(str(error), files, options.model))
        except (OSError, http.client.HTTPException):
            sys.exit(f"no answer from {server}: start it, name it by --server, or raise --timeout")
        for file, prediction in zip(files, predictions, strict=True):
            print(format_line(file, prediction))


def read_file(file: str) -> bytes:
    """The bytes of a file; the server decodes and resizes."""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        sys.exit(f"{file} cannot be read ({error.strerror}): correct its name or leave it out")


def predict_by_grpc(server: str, model: str, images: list[bytes], timeout: float) -> list[dict]:
    """For each image `labels`, `scores` and, if the model reports them, `errors`."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = "bytes"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(images, tf.string))
    with grpc.insecure_channel(server) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            outputs = stub.Predict(request, timeout).outputs
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise OSError from error
            raise RuntimeError(error.details()) from error
    columns = {name: tf.make_ndarray(outputs[name]).tolist() for name in outputs}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def predict_by_rest(server: str, model: str, images: list[bytes], timeout: float) -> list[dict]:
    """The same over HTTP."""
    instances = [{"b64": base64.b64encode(image).decode()} for image in images]
    body = json.dumps({"signature_name": "bytes", "instances": instances}).encode()
    request = urllib.request.Request(f"http://{server}/v1/models/{model}:predict", body)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return json.load(response)["predictions"]
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()) from error


def format_line(file: str, prediction: dict) -> str:
    """The line for a file: labels and scores, the best first, or the reason of a refusal."""
    # Text over REST, bytes in tensors.
    strings = [prediction.get("errors", ""), *prediction["labels"]]
    error, *labels = (text.decode() if isinstance(text, bytes) else text for text in strings)
    if error:
        return f"{file}  refused: it {error}"
    pairs = zip(labels, prediction["scores"], strict=True)
    return f"{file}  " + ", ".join(f"{label} {score:.6f}" for label, score in pairs)


def describe_refusal(refusal: str, files: list[str], model: str) -> str:
    """The server's message, with the name of the file if the message has its index."""
    match = re.search(r"`image_bytes` (\d+) ([^\]]*)", refusal)
    # A server that merges requests counts the images of others too.
    if match and int(match[1]) < len(files):
        return f"{files[int(match[1])]} {match[2]}: leave it out or repair it"
    if "Servable not found" in refusal:
        return f"the server has no model {model!r}: name one that it has by --model"
    return f"the server refused: {refusal.splitlines()[0]}"


if __name__ == "__main__":
    main()
