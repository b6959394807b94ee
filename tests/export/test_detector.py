"""Exported detectors, loaded in this process, against the Keras model."""

import numpy as np
import pytest
import served_detectors
import small_detectors
import tensorflow as tf
from image_files import REFUSAL
from photographs import decoded
from served_detectors import BROKEN, LONGEST_SIDE, MESSAGES, REQUESTS, SIGNATURES, WRONG, rows
from small_detectors import check_equal, in_graph
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from spp_keras import data, export
from spp_keras.data import image_rules, safe_decoding
from spp_keras.export.tf_serving import detector_signatures
from spp_keras.export.tf_serving.detector import export_detector
from spp_keras.export.tflite.detector import export_detector_tflite

pytestmark = pytest.mark.integration

OUTPUTS = ["boxes", "classes", "count", "labels", "scores"]
COUNTS = (0, 1, detector_signatures.MAX_BOXES)

both = pytest.mark.parametrize("name", SIGNATURES)


@pytest.fixture(scope="module")
def python(exported_detectors):
    """`detect` by name of the detector, and by whether boxes are given."""
    return {
        (name, given): in_graph(exported.model, given)
        for name, exported in exported_detectors.items()
        for given in ((True, False) if exported.model.rpn else (True,))
    }


@pytest.fixture(scope="module")
def answers(exported_detectors):
    """The answers to all requests, by name."""
    return {
        name: [exported_detectors[name].call(*request) for request in REQUESTS[name]]
        for name in REQUESTS
    }


def warm_up(folder):
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(path)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        arguments = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        yield request.model_spec.signature_name, arguments


def read_saved_model(folder):
    return saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())


def answers_of_python(detect, request):
    """Of the images one by one, from pixels or from files as the size policy has them."""
    boxes = request["boxes"].astype("float32")[:, None] if "boxes" in request else [[]] * 9
    if "images" in request:
        for image, given in zip(request["images"], boxes, strict=False):
            yield detect(image, *given)
        return
    for file, given in zip(request["image_bytes"], boxes, strict=False):
        policy = data.Whole(longest_side=LONGEST_SIDE)
        pixels = safe_decoding.decode_safely(file, policy).pixels
        factors = np.array(decoded(file).shape[:2], "float32") / pixels.shape[:2]
        factors = factors[[1, 0, 1, 0]].astype("float32")
        detections = detect(tf.cast(pixels, tf.float32), *(rows / factors for rows in given))
        yield {**detections, "boxes": detections["boxes"] * factors}


@both
def test_every_signature_answers_as_python_does(python, answers, name):
    labels = np.array([*small_detectors.LABELS, ""])
    for (signature, request), answer in zip(REQUESTS[name], answers[name], strict=True):
        reported = ["error_codes", "errors"] if name == "given" and "bytes" in signature else []
        assert sorted(answer) == sorted([*OUTPUTS, *reported])
        expected = list(answers_of_python(python[name, "boxes" in request], request))
        assert len(expected) == len(answer["count"])
        for row, expected_row in zip(rows(answer), expected, strict=True):
            check_equal(row, expected_row)
            assert [label.decode() for label in row["labels"]] == labels[row["classes"]].tolist()
            assert not np.any(row.get("error_codes", 0))


@both
def test_images_of_these_tests_differ_in_their_answers_by_more_than_is_tolerated(answers, name):
    for answer in answers[name][:3]:
        assert answer["count"].min() >= 2
        assert np.abs(answer["scores"][0] - answer["scores"][1]).max() > 1e-2
        assert len(set(answer["classes"][answer["classes"] >= 0])) >= 2


def test_boxes_of_a_file_that_was_scaled_down_are_in_its_own_pixels(answers):
    for answer in answers["proposing"][2:4]:
        assert answer["boxes"][2, :, 2].max() > LONGEST_SIDE
        assert (answer["boxes"][2] <= [260, 150, 260, 150]).all()


def test_an_answer_does_not_depend_on_the_rest_of_the_batch(answers):
    batches, alone = answers["proposing"][2:4], answers["proposing"][4:]
    batched = [row for answer in batches for row in rows(answer)]
    for row, answer in zip(batched, alone, strict=True):
        check_equal(row, rows(answer)[0], scores=1e-6, boxes=1e-3)


def test_a_broken_file_refuses_its_request_and_is_named(exported_detectors):
    message = "`image_bytes` 1 is no JPEG, PNG, GIF, BMP or WebP image"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        exported_detectors["proposing"].call("bytes_with_boxes", BROKEN)


def test_a_broken_file_is_reported_beside_the_answers_for_the_others(exported_detectors, answers):
    answer = exported_detectors["given"].call("bytes_with_boxes", BROKEN)
    assert answer["error_codes"].tolist() == [0, image_rules.NOT_AN_IMAGE, 0]
    assert answer["errors"][1].decode() == REFUSAL
    reported, good = rows(answer), rows(answers["given"][2])
    for i in (0, 2):
        check_equal(reported[i], good[i])
    broken = reported[1]
    assert (broken["count"], set(broken["classes"]), set(broken["labels"])) == (0, {-1}, {b""})
    assert not broken["boxes"].any()
    assert not broken["scores"].any()


@pytest.mark.parametrize("case", MESSAGES)
def test_a_wrong_request_is_refused_and_says_why(exported_detectors, case):
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        exported_detectors["given"].call("detect", WRONG[case])
    assert MESSAGES[case] in str(error.value)


def test_no_box_one_and_very_many_are_answered(exported_detectors, python):
    none, *others = (
        exported_detectors["given"].call("detect", served_detectors.many(count)) for count in COUNTS
    )
    assert none["count"].tolist() == [0]
    for count, answer in zip(COUNTS[1:], others, strict=True):
        request = served_detectors.many(count)
        (expected,) = answers_of_python(python["given", True], request)
        assert expected["count"] >= 1
        check_equal(rows(answer)[0], expected)


@both
def test_the_graph_has_no_operation_of_python(exported_detectors, name):
    (graph,) = (
        meta.graph_def for meta in read_saved_model(exported_detectors[name].folder).meta_graphs
    )
    functions = graph.library.function
    nodes = [*graph.node, *(node for function in functions for node in function.node_def)]
    operations = {node.op for node in nodes}
    assert len(operations) > 20
    assert not operations & {"PyFunc", "PyFuncStateless", "EagerPyFunc", "NumpyFunction"}


@both
def test_the_warm_up_asks_every_signature_and_is_answered(exported_detectors, name):
    exported = exported_detectors[name]
    requests = dict(warm_up(exported.folder))
    assert sorted(requests) == SIGNATURES[name]
    for signature, arguments in requests.items():
        answer = exported.call(signature, arguments)
        assert {len(value) for value in answer.values()} == {1}


@both
def test_a_version_has_labels_and_a_batch_of_any_length(exported_detectors, name):
    folder = exported_detectors[name].folder
    labels = (folder / "assets" / "labels.txt").read_text().splitlines()
    assert tuple(labels) == small_detectors.LABELS
    assert f'name: "{name}"' in (folder.parents[1] / "models.config").read_text()
    signatures = dict(read_saved_model(folder).meta_graphs[0].signature_def)
    signatures.pop("__saved_model_init_op")
    assert sorted(signatures) == SIGNATURES[name]
    for definition in signatures.values():
        for tensor in (*definition.inputs.values(), *definition.outputs.values()):
            assert tensor.tensor_shape.dim[0].size == -1


REFUSED = {
    "another word for on_error": (
        {"on_error": "ignore"},
        "`on_error` must be one of 'fail', 'report'",
    ),
    "no side": ({"longest_side": 0}, "`longest_side` must be an int >= 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_argument_is_named_and_nothing_is_left(exported_detectors, tmp_path, case):
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        export.export_model(exported_detectors["given"].model, tmp_path / "m" / "x", **options)
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_no_detector_is_refused(exported_detectors, tmp_path):
    trunk = exported_detectors["given"].model.trunk
    for export_it, output in ((export_detector, "m/x"), (export_detector_tflite, "x.tflite")):
        with pytest.raises(ValueError, match="`model` must be a `spp_keras"):
            export_it(trunk, tmp_path / output)
    assert not list(tmp_path.iterdir())
