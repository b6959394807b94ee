import numpy as np
import pytest

from spp_keras import ops
from spp_keras.detection import head_training, sampling
from spp_keras.detection.training_images import TrainingImage


def make_image(gt_boxes, rois, gt_classes=None):
    gt_boxes = np.array(gt_boxes, "float32").reshape(-1, 4)
    gt_classes = np.zeros(len(gt_boxes), int) if gt_classes is None else np.array(gt_classes)
    return TrainingImage("x", 0, False, (100, 100), gt_boxes, gt_classes, np.array(rois, "float32"))


def test_sample_rois_takes_a_quarter_foreground_and_background_near_it():
    rois = [[10, 10, 50, 50], [10, 10, 50, 40], [30, 10, 70, 50], [60, 60, 90, 90]]
    # IoU by hand: 1, 0.75, 1/3, 0, 100 / 4000.
    image = make_image([[10, 10, 50, 50]], [*rois, [40, 40, 90, 90]], [4])
    roi_indices, classes, boxes = head_training.sample_rois(image, 16, np.random.default_rng(0))
    assert sorted(set(roi_indices[classes == 5])) == [0, 1]
    assert (classes > 0).sum() == 4
    assert set(roi_indices[classes == 0]) == {2}
    background = roi_indices[classes == 0]
    np.testing.assert_array_equal(boxes[classes == 0], image.rois[background])
    assert (boxes[classes == 5] == image.gt_boxes[0]).all()


@pytest.mark.parametrize(
    ("gt_boxes", "rois", "expected"),
    [
        ([], [[0, 0, 9, 9]], {0: 8}),
        ([[0, 0, 9, 9]], [[0, 0, 9, 9]], {1: 8}),
        ([[0, 0, 9, 9]], [[0, 0, 9, 9], [50, 50, 60, 60]], {0: 6, 1: 2}),
    ],
    ids=["no object", "no background", "no background near"],
)
def test_sample_rois_of_images_without_foreground_or_background(gt_boxes, rois, expected):
    image = make_image(gt_boxes, rois)
    _, classes, _ = head_training.sample_rois(image, 8, np.random.default_rng(0))
    values, counts = np.unique(classes, return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == expected


def test_sample_rois_needs_a_roi():
    with pytest.raises(ValueError, match="'x' has neither an object nor a proposal"):
        head_training.sample_rois(make_image([], np.zeros((0, 4))), 8, np.random.default_rng(0))


def test_subsample_labels_draws_without_repeats_and_fills_up_with_background():
    labels = np.repeat([ops.FOREGROUND, ops.BACKGROUND, ops.IGNORED], [3, 20, 5])
    foreground, background = sampling.subsample_labels(labels, 10, 0.5, np.random.default_rng(0))
    assert sorted(foreground.tolist()) == [0, 1, 2]
    assert len(set(background.tolist())) == len(background) == 7
    assert set(background.tolist()) <= set(range(3, 23))
    labels[:20] = ops.FOREGROUND
    foreground, background = sampling.subsample_labels(labels, 10, 0.5, np.random.default_rng(0))
    assert len(set(foreground.tolist())) == len(foreground) == 5
    assert sorted(background.tolist()) == [20, 21, 22]
