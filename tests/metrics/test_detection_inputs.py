import numpy as np
import pytest
from small_detections import (
    CATS,
    DETECTIONS,
    coco,
    make_detections,
    make_objects,
    voc,
)

NAN = float("nan")


@pytest.mark.parametrize("score", [voc, coco])
@pytest.mark.parametrize(
    ("detections", "objects", "classes", "message"),
    [
        (
            [DETECTIONS[0], make_detections((0, 0, 9, 9, 0, 0.5), (0, 0, 9, 9, 0, NAN))],
            CATS,
            ("cat",),
            r"`detections` must have finite.*Received: detections\[1\]\.scores\[1\]=nan",
        ),
        (
            [make_detections((0, 0, NAN, 9, 0, 0.5)), DETECTIONS[1]],
            CATS,
            ("cat",),
            r"finite.*Received: detections\[0\]\.boxes\[0\]=\[0.0, 0.0, nan, 9.0\]",
        ),
        (
            [DETECTIONS[0], DETECTIONS[1]._replace(scores=np.zeros(3))],
            CATS,
            ("cat",),
            r"boxes \(n, 4\).*Received: detections\[1\] with boxes \(2, 4\), scores \(3,\)",
        ),
        (DETECTIONS, CATS[:1], ("cat",), r"an entry for each image. Received: 2, 1 and 2 of them"),
        (
            [make_detections((0, 0, 9, 9, 2, 0.5))] * 2,
            CATS,
            ("cat", "dog"),
            r"`detections\[0\]\.classes`.* 0 to 1",
        ),
        (
            DETECTIONS,
            [make_objects((0, 0, 9, 9, -1))] * 2,
            ("cat",),
            r"`ground_truth\[0\]\.labels`.*Received: -1",
        ),
        (
            DETECTIONS,
            [make_objects()] * 2,
            ("cat",),
            r"an object that is not difficult.*none in 2 images",
        ),
        (
            DETECTIONS,
            CATS,
            ("cat", "cat"),
            r"`classes` must be names that all differ.*'cat', 'cat'",
        ),
        (
            DETECTIONS,
            CATS,
            "cat",
            r"`classes` must be names that all differ.*Received: classes='cat'",
        ),
    ],
)
def test_invalid_inputs_are_named(score, detections, objects, classes, message):
    with pytest.raises(ValueError, match=message):
        score(detections, objects, classes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"iou_threshold": 0},
            r"`iou_threshold` must be a number in \(0, 1\]. Received: iou_threshold=0",
        ),
        (
            {"iou_threshold": 50},
            r"`iou_threshold` must be a number in \(0, 1\]. Received: iou_threshold=50",
        ),
        ({"rule": "auc"}, r"`rule` must be one of 'area', '11-point'. Received: rule='auc'"),
    ],
)
def test_invalid_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        voc(DETECTIONS, CATS, **options)
