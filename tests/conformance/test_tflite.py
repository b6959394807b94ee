import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from conformance.subjects import EXPORTED, answer, to_export

pytestmark = pytest.mark.integration


def from_saved_model(model, folder):
    model.export(folder, verbose=False)
    return tf.lite.TFLiteConverter.from_saved_model(str(folder))


def from_keras_model(model, folder):
    return tf.lite.TFLiteConverter.from_keras_model(model)


def run(interpreter, request):
    details = {argument_of(detail): detail for detail in interpreter.get_input_details()}
    if len(request) == 1:
        details = dict(zip(request, details.values(), strict=True))
    for name, array in request.items():
        interpreter.resize_tensor_input(details[name]["index"], array.shape)
    interpreter.allocate_tensors()
    for name, array in request.items():
        interpreter.set_tensor(details[name]["index"], array)
    interpreter.invoke()
    (output,) = interpreter.get_output_details()
    return interpreter.get_tensor(output["index"])


def argument_of(detail):
    return detail["name"].removeprefix("serving_default_").partition(":")[0]


# TensorFlow's converter hands a model with named inputs a list of them.
@pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match")
@pytest.mark.parametrize(
    ("route", "name"),
    [
        *((from_saved_model, name) for name in EXPORTED),
        # The other way to the same graph.
        *((from_keras_model, name) for name in EXPORTED),
    ],
)
def test_a_device_gives_the_answers_of_keras_at_every_size(name, route, tmp_path):
    model, requests = to_export(name)
    converter = route(model, tmp_path / "model")
    # Built-in operations alone: anything else fails here.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = Interpreter(model_content=converter.convert())
    for request in requests:
        expected = answer(model, request)
        found = run(interpreter, request)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
