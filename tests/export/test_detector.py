import exif_files
import numpy as np
import pytest
import small_detectors
import tensorflow as tf
from image_files import REFUSAL
from photographs import decoded, photograph
from served_alone import by_the_c_api
from small_detectors import check_equal, in_graph, picture, windows
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from spp_keras import data, export
from spp_keras.data import safe_decoding as decoding
from spp_keras.export.tf_serving import detector_signatures

TEXT = b"<html>Not found</html>"
# Of files: the last one is scaled down.
LONGEST_SIDE = 200
SIZES = [(64, 90), (97, 61), (150, 260)]
# The second lies on its side.
FILES = [
    exif_files.file(photograph(*size, seed), "PNG", 8 if seed == 1 else 1)
    for seed, size in enumerate(SIZES)
]
WINDOWS = np.stack([windows(*size, 9, seed) for seed, size in enumerate(SIZES)])
OUTPUTS = ["boxes", "classes", "count", "labels", "scores"]
SIGNATURES = {
    "proposing": ["bytes", "bytes_with_boxes", "detect", "serving_default"],
    "given": ["bytes_with_boxes", "detect", "serving_default"],
}

both = pytest.mark.parametrize("name", SIGNATURES)


def of_pixels(size, boxes=None, images=2, signature="detect"):
    request = {"images": np.stack([picture(*size, seed) for seed in range(images)])}
    if boxes is not None:
        request["boxes"] = np.stack([windows(*size, boxes, seed) for seed in range(images)])
    return signature, request


def of_files(which, with_boxes):
    request = {"image_bytes": [FILES[i] for i in which]}
    if with_boxes:
        request["boxes"] = WINDOWS[list(which)]
    return ("bytes_with_boxes" if with_boxes else "bytes"), request


REQUESTS = {
    "proposing": [
        of_pixels((64, 90), 7),
        of_pixels((120, 51), signature="serving_default"),
        of_files((0, 1, 2), True),
        of_files((0, 1, 2), False),
        *(of_files((i,), with_boxes) for with_boxes in (True, False) for i in range(3)),
    ],
    "given": [
        of_pixels((64, 90), 7),
        of_pixels((120, 51), 3, signature="serving_default"),
        of_files((0, 1, 2), True),
        of_files((1,), True),
    ],
}
BROKEN = {
    "image_bytes": [FILES[0], TEXT, FILES[2]],
    "boxes": WINDOWS,
}
ONE = np.array([[[0, 0, 50, 40]]], "float32")
WRONG = {
    "one image and no batch": {"images": picture(64, 90), "boxes": ONE},
    "a dimension more": {"images": picture(64, 90)[None, None], "boxes": ONE},
    "two channels more": {"images": np.zeros((1, 64, 90, 5)), "boxes": ONE},
    "a number": {"images": np.zeros(()), "boxes": ONE},
    "an image of nothing": {"images": np.zeros((1, 0, 90, 3)), "boxes": ONE},
    "no image": {"images": np.zeros((0, 64, 90, 3)), "boxes": np.zeros((0, 1, 4))},
    "an image too large": {"images": np.zeros((1, 201, 200, 3)), "boxes": ONE},
    "boxes without a batch": {"images": picture(64, 90)[None], "boxes": ONE[0]},
    "boxes of five": {"images": picture(64, 90)[None], "boxes": np.zeros((1, 2, 5))},
    "boxes of other images": {"images": picture(64, 90)[None], "boxes": np.zeros((2, 2, 4))},
    "fewer boxes than images": {"images": np.zeros((2, 64, 90, 3)), "boxes": ONE},
    "boxes of no number": {"images": picture(64, 90)[None], "boxes": ONE * np.nan},
    "a box from right to left": {"images": picture(64, 90)[None], "boxes": ONE[..., [2, 1, 0, 3]]},
    "too many boxes": {
        "images": picture(64, 90)[None],
        "boxes": np.zeros((1, detector_signatures.MAX_BOXES + 1, 4)),
    },
}
SAID = {
    "no image": "`images` must hold one image or more",
    "an image of nothing": "`images` must have one pixel or more each",
    "an image too large": "`images` has 201x200 pixels an image, more than 40000",
    "boxes of other images": "`boxes` must have one row for each of `images`. Received: 2 for 1",
    "fewer boxes than images": "`boxes` must have one row for each of `images`. Received: 1 for 2",
    "boxes of no number": "`boxes` must be finite",
    "a box from right to left": "with left <= right",
    "too many boxes": "`boxes` has 20001 boxes an image, more than 20000: send the best",
}


def many(count):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 40, (1, count, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 50, (1, count, 2))], axis=2)
    return {"images": picture(64, 90)[None], "boxes": boxes}


COUNTS = (0, 1, detector_signatures.MAX_BOXES)


@pytest.fixture(scope="module")
def detectors():
    """One that answers by all there is, and one by as little as there can be."""
    return {
        "proposing": small_detectors.detector(small_detectors.THREE_SCALES, rpn=True),
        "given": small_detectors.detector(deltas=False),
    }


@pytest.fixture(scope="module")
def python(detectors):
    """By name, and by whether boxes are given."""
    return {
        (name, given): in_graph(detector, given)
        for name, detector in detectors.items()
        for given in ((True, False) if detector.rpn else (True,))
    }


@pytest.fixture(scope="module")
def folders(detectors, tmp_path_factory):
    home = tmp_path_factory.mktemp("repository")
    errors = {"proposing": "raise", "given": "report"}
    return {
        name: export.export_detector(
            detector, home / name, errors=errors[name], longest_side=LONGEST_SIDE
        )
        for name, detector in detectors.items()
    }


def warm_up(folder):
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(path)):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        arguments = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        yield request.model_spec.signature_name, arguments


@pytest.fixture(scope="module")
def served(folders, tmp_path_factory):
    """What C++ answers, where there is neither Python's TensorFlow nor this package."""
    beside = tmp_path_factory.mktemp("c_api")
    found = {}
    for name, folder in folders.items():
        asked = {
            "requests": REQUESTS[name],
            "broken": [("bytes_with_boxes", BROKEN)],
            "warm_up": list(warm_up(folder)),
            "wrong": [("detect", WRONG[case]) for case in WRONG] if name == "given" else [],
            "many": [("detect", many(count)) for count in COUNTS] if name == "given" else [],
            "at last": REQUESTS[name][:1],
        }
        done = by_the_c_api(folder, [one for some in asked.values() for one in some], beside / name)
        assert isinstance(done, dict), f"ended by signal {done}"
        answers = iter(done["answers"])
        found[name] = {key: [next(answers) for _ in some] for key, some in asked.items()} | {
            "registered": done["registered"]
        }
    return found


def answers_of_python(detect, request):
    """Of the images one by one, from pixels or from files as the view has them."""
    boxes = (
        [[its] for its in request["boxes"].astype("float32")] if "boxes" in request else [[]] * 9
    )
    if "images" in request:
        for image, its in zip(request["images"], boxes, strict=False):
            yield detect(image, *its)
        return
    for file, its in zip(request["image_bytes"], boxes, strict=False):
        pixels = decoding.decode_safely(file, data.Whole(longest_side=LONGEST_SIDE)).pixels
        size = decoded(file).shape[:2]
        factors = np.array(size, "float32") / pixels.shape[:2]
        factors = factors[[1, 0, 1, 0]].astype("float32")
        found = detect(tf.cast(pixels, tf.float32), *(one / factors for one in its))
        yield {**found, "boxes": found["boxes"] * factors}


def rows(answer):
    return [dict(zip(answer, parts, strict=True)) for parts in zip(*answer.values(), strict=True)]


@both
def test_every_signature_answers_as_python_does(python, served, name):
    labels = np.array([*small_detectors.LABELS, ""])
    for (signature, request), answer in zip(REQUESTS[name], served[name]["requests"], strict=True):
        assert isinstance(answer, dict), answer
        reported = ["error_codes", "errors"] if name == "given" and "bytes" in signature else []
        assert sorted(answer) == sorted([*OUTPUTS, *reported])
        expected = list(answers_of_python(python[name, "boxes" in request], request))
        assert len(expected) == len(answer["count"])
        for found, its in zip(rows(answer), expected, strict=True):
            check_equal(found, its)
            said = [label.decode() for label in found["labels"]]
            assert said == labels[found["classes"]].tolist()
            assert not np.any(found.get("error_codes", 0))


@both
def test_images_of_these_tests_differ_in_their_answers_by_more_than_is_tolerated(served, name):
    for answer in served[name]["requests"][:3]:
        assert answer["count"].min() >= 2
        assert np.abs(answer["scores"][0] - answer["scores"][1]).max() > 1e-2
        assert len(set(answer["classes"][answer["classes"] >= 0])) >= 2


def test_boxes_of_a_file_that_was_scaled_down_are_in_its_own_pixels(served):
    for answer in served["proposing"]["requests"][2:4]:
        assert answer["boxes"][2, :, 2].max() > LONGEST_SIDE
        assert (answer["boxes"][2] <= [260, 150, 260, 150]).all()


def test_an_answer_does_not_depend_on_what_else_is_asked(served):
    together, alone = served["proposing"]["requests"][2:4], served["proposing"]["requests"][4:]
    together = [row for answer in together for row in rows(answer)]
    for found, answer in zip(together, alone, strict=True):
        check_equal(found, rows(answer)[0], scores=1e-6, boxes=1e-3)


def test_a_broken_file_refuses_its_request_and_is_named(served):
    (answer,) = served["proposing"]["broken"]
    assert "`image_bytes` 1 is no JPEG, PNG, GIF, BMP or WebP image" in answer


def test_a_broken_file_is_reported_beside_the_answers_for_the_others(served):
    (answer,) = served["given"]["broken"]
    assert answer["error_codes"].tolist() == [0, decoding.NOT_AN_IMAGE, 0]
    assert answer["errors"][1].decode() == REFUSAL
    found, good = rows(answer), rows(served["given"]["requests"][2])
    for i in (0, 2):
        check_equal(found[i], good[i])
    assert (found[1]["count"], set(found[1]["classes"]), set(found[1]["labels"])) == (
        0,
        {-1},
        {b""},
    )
    assert not found[1]["boxes"].any()
    assert not found[1]["scores"].any()


def test_what_is_no_request_is_refused_and_ends_no_server(served):
    for case, answer in zip(WRONG, served["given"]["wrong"], strict=True):
        assert isinstance(answer, str), case
        assert SAID.get(case, "") in answer, (case, answer)
    np.testing.assert_array_equal(
        served["given"]["at last"][0]["boxes"], served["given"]["requests"][0]["boxes"]
    )


def test_no_box_one_and_very_many_are_answered(python, served):
    none, *others = served["given"]["many"]
    assert none["count"].tolist() == [0]
    for count, answer in zip(COUNTS[1:], others, strict=True):
        (expected,) = answers_of_python(python["given", True], many(count))
        assert expected["count"] >= 1
        check_equal(rows(answer)[0], expected)


@both
def test_what_is_exported_is_operations_of_tensorflow_and_no_python(folders, served, name):
    saved = saved_model_pb2.SavedModel.FromString((folders[name] / "saved_model.pb").read_bytes())
    (graph,) = (meta.graph_def for meta in saved.meta_graphs)
    nodes = [*graph.node, *(node for one in graph.library.function for node in one.node_def)]
    operations = {node.op for node in nodes}
    assert operations <= served[name]["registered"]
    assert not operations & {"PyFunc", "PyFuncStateless", "EagerPyFunc", "NumpyFunction"}


@both
def test_the_warm_up_asks_every_signature_and_is_answered(folders, served, name):
    assert sorted(signature for signature, _ in warm_up(folders[name])) == SIGNATURES[name]
    for answer in served[name]["warm_up"]:
        assert isinstance(answer, dict), answer
        assert {len(value) for value in answer.values()} == {1}


@both
def test_a_version_has_labels_and_a_batch_of_any_length(folders, name):
    labels = (folders[name] / "assets" / "labels.txt").read_text().splitlines()
    assert tuple(labels) == small_detectors.LABELS
    assert f'name: "{name}"' in (folders[name].parents[1] / "models.config").read_text()
    saved = saved_model_pb2.SavedModel.FromString((folders[name] / "saved_model.pb").read_bytes())
    signatures = dict(saved.meta_graphs[0].signature_def)
    signatures.pop("__saved_model_init_op")
    assert sorted(signatures) == SIGNATURES[name]
    for definition in signatures.values():
        for tensor in (*definition.inputs.values(), *definition.outputs.values()):
            assert tensor.tensor_shape.dim[0].size == -1


REFUSED = {
    "another word for errors": ({"errors": "ignore"}, "`errors` must be one of 'raise', 'report'"),
    "no side": ({"longest_side": 0}, "`longest_side` must be an int >= 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_argument_is_named_and_nothing_is_left(detectors, tmp_path, case):
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        export.export_detector(detectors["given"], tmp_path / "m" / "x", **options)
    assert not list(tmp_path.iterdir())


def test_what_is_no_detector_is_refused(detectors, tmp_path):
    for save, to in ((export.export_detector, "m/x"), (export.export_detector_tflite, "x.tflite")):
        with pytest.raises(ValueError, match="`detector` must be a `spp_keras"):
            save(detectors["given"].trunk, tmp_path / to)
    assert not list(tmp_path.iterdir())
