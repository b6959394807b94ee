"""Exported models in TensorFlow's C++ by ctypes, as TensorFlow Serving loads them.

It shows what a Python process cannot: C++ does not compare the shapes of a request, so a bad one
could end the server; and only operations that TensorFlow registers itself are there.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import served_detectors
from served_alone import by_the_c_api
from served_classifiers import MODELS, TEXT, check_answer, check_answers, requests
from served_detectors import MESSAGES, REQUESTS, WRONG
from small_detectors import check_equal
from tensorflow.core.protobuf import saved_model_pb2

pytestmark = pytest.mark.integration

every_model = pytest.mark.parametrize("name", MODELS)
every_detector = pytest.mark.parametrize("name", REQUESTS)


@pytest.fixture(scope="module")
def classifiers(exported, tmp_path_factory):
    beside = tmp_path_factory.mktemp("c_api")
    with ThreadPoolExecutor(2) as threads:
        answers = threads.map(
            lambda name: by_the_c_api(exported[name].folder, requests(name), beside / name), MODELS
        )
        return dict(zip(MODELS, answers, strict=True))


@pytest.fixture(scope="module")
def detectors(exported_detectors, tmp_path_factory):
    beside = tmp_path_factory.mktemp("c_api")
    answers = {}
    for name, exported in exported_detectors.items():
        wrong = [("detect", request) for request in WRONG.values()]
        # The first again at last: the process has survived the wrong ones.
        sent = [*REQUESTS[name], *wrong, REQUESTS[name][0]]
        answers[name] = by_the_c_api(exported.folder, sent, beside / name)
    return answers


def operations_of(folder):
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    (graph,) = (meta.graph_def for meta in saved.meta_graphs)
    functions = graph.library.function
    nodes = [*graph.node, *(node for function in functions for node in function.node_def)]
    return {node.op for node in nodes}


@every_model
def test_every_signature_of_a_classifier_answers_as_keras_does(exported, classifiers, name):
    assert isinstance(classifiers[name], dict), f"ended by signal {classifiers[name]}"
    check_answers(name, exported[name].model, classifiers[name]["answers"])


WRONG_SHAPES = {
    "too small": (1, 5, 5, 3),
    "one image and no batch": (224, 224, 3),
    "two channels more": (1, 224, 224, 6),
    "a dimension more": (1, 1, 224, 224, 3),
    "a number": (),
}


@pytest.mark.parametrize("name", ["one_size", "backbone", "any_size"])
def test_pixels_of_a_wrong_shape_are_refused_and_end_no_server(exported, tmp_path, name):
    # The server hands on whatever shape it is sent: Python's session alone compares it.
    shapes = list(WRONG_SHAPES.values())[1 if name == "backbone" else 0 :]
    asked = [("serving_default", {"images": np.zeros(shape, "float32")}) for shape in shapes]
    files_in_rows = ("bytes", {"image_bytes": [[TEXT, TEXT]]})
    good = requests(name)[0]
    done = by_the_c_api(exported[name].folder, [*asked, files_in_rows, good], tmp_path / "beside")
    assert isinstance(done, dict), f"ended by signal {done}"
    *refused, answered = done["answers"]
    assert all(isinstance(answer, str) for answer in refused), refused
    check_answer(name, exported[name].model, *good, answered)


@every_detector
def test_every_signature_of_a_detector_answers_as_in_process(exported_detectors, detectors, name):
    assert isinstance(detectors[name], dict), f"ended by signal {detectors[name]}"
    call = exported_detectors[name].call
    for (signature, request), answer in zip(
        REQUESTS[name], detectors[name]["answers"], strict=False
    ):
        assert isinstance(answer, dict), answer
        expected = call(signature, request)
        assert sorted(answer) == sorted(expected)
        for row, expected_row in zip(*map(served_detectors.rows, (answer, expected)), strict=True):
            check_equal(row, expected_row)


@every_detector
def test_a_request_of_a_wrong_shape_is_refused_and_ends_no_server(detectors, name):
    first, *_ = answers = detectors[name]["answers"]
    for case, answer in zip(WRONG, answers[len(REQUESTS[name]) :], strict=False):
        assert isinstance(answer, str), case
        assert MESSAGES.get(case, "") in answer, (case, answer)
    np.testing.assert_array_equal(answers[-1]["boxes"], first["boxes"])


def test_every_operation_is_one_that_tensorflow_registers_itself(
    exported, classifiers, exported_detectors, detectors
):
    for models, done in ((exported, classifiers), (exported_detectors, detectors)):
        for name in done:
            assert operations_of(models[name].folder) <= done[name]["registered"]
