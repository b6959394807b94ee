"""Warm-up requests, which a server answers before others so that its first answers are quick."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from spp_keras import model_repository


def write_warm_up(folder: Path, model_name: str, requests: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes warm-up requests into the folder of a version, where the server looks for them.

    Args:
        folder: The folder.
        model_name: Name of the model.
        requests: Arguments by name, for each signature.
    """
    path = folder / "assets.extra" / model_repository.WARM_UP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, arguments in requests.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, value in arguments.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def make_request(inputs: Sequence[tf.TensorSpec], size: int) -> dict[str, Any]:
    """Makes the arguments of a signature: one square image, with all of it as its box.

    Args:
        inputs: Inputs of the signature.
        size: Side of the image.
    """
    makers: dict[str, Any] = {
        "images": lambda: np.zeros((1, size, size, 3)),
        "boxes": lambda: np.array([[[0, 0, size, size]]]),
        "image_bytes": lambda: np.array(
            [tf.io.encode_jpeg(np.full((size, size, 3), 128, "uint8")).numpy()], object
        ),
    }
    return {spec.name: makers[spec.name]().astype(spec.dtype.as_numpy_dtype) for spec in inputs}
