"""Requests that a server answers before it takes others, so that the first is quick."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from spp_keras import model_repository


def write_warm_up(folder: Path, model: str, requests: dict[str, dict[str, Any]]) -> None:
    """Writes the requests into the folder of a version, where the server looks for them.

    Args:
        folder: The folder.
        model: Name of the model.
        requests: Arguments by name, for each signature.
    """
    path = folder / "assets.extra" / model_repository.WARM_UP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as records:
        for signature, arguments in requests.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model
            request.model_spec.signature_name = signature
            for name, value in arguments.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            records.write(log.SerializeToString())


def make_request(inputs: Sequence[tf.TensorSpec], side: int) -> dict[str, Any]:
    """Arguments for a signature: one square image, as pixels or as a file, and all of it as box."""
    examples: dict[str, Any] = {
        "images": lambda: np.zeros((1, side, side, 3)),
        "boxes": lambda: np.array([[[0, 0, side, side]]]),
        "image_bytes": lambda: np.array(
            [tf.io.encode_jpeg(np.full((side, side, 3), 128, "uint8")).numpy()], object
        ),
    }
    return {one.name: examples[one.name]().astype(one.dtype.as_numpy_dtype) for one in inputs}
