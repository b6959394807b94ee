import functools

import numpy as np
import pytest
import small_detectors
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from small_detectors import FIVE_SCALES, ONE_SCALE, check_equal, in_graph, picture, windows

from spp_keras import export
from spp_keras.export.tflite.detector import export_detector_tflite

pytestmark = pytest.mark.integration

SIZES = [(64, 90), (97, 61), (130, 71)]


@functools.cache
def detector(*arguments, **options):
    return small_detectors.detector(*arguments, **options)


def asked(path):
    """The file as a function: from an image, and its boxes, to the answer for it."""
    runner = Interpreter(str(path)).get_signature_runner()

    def ask(image, boxes=None):
        given = {} if boxes is None else {"boxes": boxes[None]}
        answer = runner(images=image[None], **given)
        assert sorted(answer) == ["boxes", "classes", "count", "scores"]
        return {name: value[0] for name, value in answer.items()}

    return ask


@pytest.mark.parametrize(
    ("scales", "options"),
    [
        pytest.param(ONE_SCALE, {}, id="one scale"),
        pytest.param(
            FIVE_SCALES,
            {"deltas": False},
            id="five scales, no box deltas",
        ),
    ],
)
def test_a_device_finds_in_given_windows_what_python_finds(tmp_path, scales, options):
    model = detector(scales, **options)
    ask, detect = (
        asked(export.export_model(model, tmp_path / "x.tflite")),
        in_graph(model),
    )
    for seed, size in enumerate(SIZES):
        image = picture(*size, seed)
        every = windows(*size, 40, seed)
        # One of zeros; one alone, so that there are none at other scales; many; none.
        for boxes in (every[-1:], every[:1], every, every[:0]):
            expected = detect(image, tf.constant(boxes))
            check_equal(ask(image, boxes), expected)
            some = (boxes[:, 2:] > np.maximum(boxes[:, :2], 0)).all(1).any()
            assert (expected["count"] > 0) == some
        assert detect(image, tf.constant(every))["count"] >= 3


def test_a_device_finds_in_its_own_windows_what_python_finds(tmp_path):
    model = detector((100, 120), rpn=True)
    ask, detect = (
        asked(export.export_model(model, tmp_path / "x.tflite")),
        in_graph(model),
    )
    for seed, size in enumerate(SIZES):
        image = picture(*size, seed)
        expected = detect(tf.constant(image))
        check_equal(ask(image), expected)
        assert expected["count"] >= 3


@pytest.mark.parametrize(("quantization", "close"), [("float16", 1e-2), ("dynamic", 0.1)])
def test_a_smaller_file_finds_almost_the_same_in_windows_apart(tmp_path, quantization, close):
    model = detector(ONE_SCALE, deltas=False)
    path = export.export_model(model, tmp_path / "x.tflite", quantization=quantization)
    weights = 4 * (model.trunk.count_params() + model.head.count_params())
    assert path.stat().st_size < 150_000 + weights * {"float16": 0.5, "dynamic": 0.25}[quantization]
    ask, image = asked(path), picture(150, 200)
    boxes = np.array([[0, 0, 60, 150], [62, 0, 130, 70], [140, 20, 200, 149]], "float32")
    expected, found = model.detect(image, boxes), ask(image, boxes)
    for scores in (expected, found):
        order = np.lexsort((scores["classes"], scores["boxes"][:, 0]))
        for name in ("boxes", "scores", "classes"):
            scores[name] = np.asarray(scores[name])[order]
    check_equal(found, expected, scores=close)


def test_a_proposing_detector_takes_windows_where_it_is_told_to(tmp_path):
    model = detector(ONE_SCALE, rpn=True)
    ask = asked(
        export.export_model(model, tmp_path / "x.tflite", image_size=(64, 90), with_boxes=True)
    )
    image, boxes = picture(64, 90), windows(64, 90, 9)
    check_equal(ask(image, boxes), model.detect(image, boxes))
    assert (tmp_path / "x.labels.txt").read_text().splitlines() == list(small_detectors.LABELS)
    (shape,) = (
        detail["shape"].tolist()
        for detail in Interpreter(str(tmp_path / "x.tflite")).get_input_details()
        if len(detail["shape"]) == 4
    )
    assert shape == [1, 64, 90, 3]


REFUSED = {
    "int8": ({"quantization": "int8"}, "8 bits are too few for its boxes"),
    "another quantization": (
        {"quantization": "int4"},
        "`quantization` must be one of 'none', 'float16', 'dynamic'",
    ),
    "no windows at all": ({"with_boxes": False}, "must be None or True for a detector without"),
    "one side": (
        {"image_size": (64,)},
        r"`image_size` must be None or \(height, width\), ints >= 1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_argument_is_named_and_nothing_is_left(tmp_path, case):
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        export.export_model(detector(), tmp_path / "x.tflite", **options)
    with pytest.raises(ValueError, match=r"ends in \.tflite"):
        export_detector_tflite(detector(), tmp_path / "x.lite")
    assert not list(tmp_path.iterdir())
