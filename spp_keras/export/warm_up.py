"""Requests that a server answers before it takes others, so that the first is quick."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from spp_keras import repository


def write(folder: Path, model: str, requests: dict[str, dict[str, Any]]) -> None:
    """Writes the requests into the folder of a version, where the server looks for them.

    Args:
        folder: The folder.
        model: Name of the model.
        requests: Arguments by name, for each signature.
    """
    path = folder / "assets.extra" / repository.WARM_UP
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
