"""Converted networks as SavedModels and TFLite files, run without Keras and this package."""

import pickle
import subprocess
import sys

import any_size_cases
import numpy as np
import pytest
import small_networks
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from photographs import encoded, photograph

from spp_keras import any_size, export_model, zoo

pytestmark = pytest.mark.integration

LABELS = ["arc", "bar", "cup"]
SIZES = ((40, 58), (62, 34), (50, 50))
# Loads a SavedModel, and calls one of its signatures for each request of a file.
PLAIN = """
import pickle, sys
sys.modules["keras"] = sys.modules["spp_keras"] = None
import tensorflow as tf
folder, name, path = sys.argv[1:]
function = tf.saved_model.load(folder).signatures[name]
specs = function.structured_input_signature[1]
answers = []
for request in pickle.load(open(path, "rb")):
    tensors = {key: tf.constant(value, specs[key].dtype) for key, value in request.items()}
    answers.append({key: value.numpy() for key, value in function(**tensors).items()})
pickle.dump(answers, open(path, "wb"))
"""


@pytest.fixture(scope="module")
def original():
    return any_size_cases.randomize(small_networks.every_rule())


@pytest.fixture(scope="module")
def images():
    return any_size_cases.make_images(SIZES)


def ask(folder, signature, requests, tmp_path):
    """What a signature answers to each request in a process of its own."""
    path = tmp_path / "requests"
    path.write_bytes(pickle.dumps(requests))
    command = [sys.executable, "-c", PLAIN, str(folder), signature, str(path)]
    done = subprocess.run(command, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return pickle.loads(path.read_bytes())


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_saved_model_answers_images_of_any_size(original, images, tmp_path):
    any_size(original).export(tmp_path / "model", verbose=False)
    requests = [{"images": image[None]} for image in images]
    answers = ask(tmp_path / "model", "serving_default", requests, tmp_path)
    for answer, image in zip(answers, images, strict=True):
        assert_close(next(iter(answer.values())), np.asarray(original(image[None])))


def test_a_saved_model_answers_padded_images_with_their_sizes(original, images, tmp_path):
    zoo.with_sizes(any_size(original)).export(tmp_path / "model", verbose=False)
    request = any_size_cases.pad(images)
    [answer] = ask(tmp_path / "model", "serving_default", [request], tmp_path)
    expected = np.concatenate([np.asarray(original(image[None])) for image in images])
    assert_close(next(iter(answer.values())), expected)


def test_a_served_model_answers_image_files_of_any_size(original, tmp_path):
    version = export_model(any_size(original), tmp_path / "models" / "shapes", labels=LABELS)
    pictures = [photograph(*size, seed) for seed, size in enumerate(SIZES)]
    request = {"image_bytes": [encoded(picture) for picture in pictures]}
    [answer] = ask(version, "bytes", [request], tmp_path)
    expected = [np.asarray(original(picture[None].astype("float32")))[0] for picture in pictures]
    scores = np.take_along_axis(np.stack(expected), answer["indices"], axis=1)
    assert_close(answer["scores"], scores)
    assert (np.diff(answer["scores"], axis=1) <= 0).all()
    named = [[label.decode() for label in row] for row in answer["labels"]]
    assert named == [[LABELS[index] for index in row] for row in answer["indices"]]


def test_a_tflite_file_of_built_in_operations_answers_one_image_of_any_size(
    original, images, tmp_path
):
    path = export_model(any_size(original), tmp_path / "shapes.tflite", labels=LABELS)
    interpreter = Interpreter(str(path))
    [argument], [result] = interpreter.get_input_details(), interpreter.get_output_details()
    for image in images:
        interpreter.resize_tensor_input(argument["index"], (1, *image.shape))
        interpreter.allocate_tensors()
        interpreter.set_tensor(argument["index"], image[None])
        interpreter.invoke()
        assert_close(interpreter.get_tensor(result["index"]), np.asarray(original(image[None])))
    content = schema.Model.GetRootAs(path.read_bytes())
    codes = [content.OperatorCodes(i) for i in range(content.OperatorCodesLength())]
    assert len(codes) > 5
    assert all(code.CustomCode() is None for code in codes)
