import hypothesis
import numpy as np
from hypothesis import strategies as st

from spp_keras import ops


@hypothesis.given(st.integers(0, 8), st.integers(0, 5), st.integers(0, 1000), st.booleans())
def test_match_boxes_labels_what_a_loop_labels(count, num_gt, seed, allow_low_quality):
    # Few values, so that many are equal.
    iou = np.random.default_rng(seed).integers(0, 5, (count, num_gt)) / 4
    matches = ops.match_boxes(iou, 0.75, (0.25, 0.5), allow_low_quality=allow_low_quality)
    assert matches.indices.shape == matches.labels.shape == (count,)
    for row, index, label in zip(iou, matches.indices, matches.labels, strict=True):
        highest = max(row, default=0.0)
        assert index == (list(row).index(highest) if num_gt else 0)
        expected = ops.IGNORED
        if 0.25 <= highest < 0.5:
            expected = ops.BACKGROUND
        is_best = [value == max(column) > 0 for value, column in zip(row, iou.T, strict=True)]
        if highest >= 0.75 or (allow_low_quality and any(is_best)):
            expected = ops.FOREGROUND
        assert label == expected


def test_match_boxes_takes_all_below_the_foreground_as_background():
    matches = ops.match_boxes(np.array([[0.5], [0.49], [0.0]]), 0.5)
    assert matches.labels.tolist() == [ops.FOREGROUND, ops.BACKGROUND, ops.BACKGROUND]
    without_objects = ops.match_boxes(np.zeros((2, 0)), 0.5)
    assert without_objects.labels.tolist() == [ops.BACKGROUND] * 2
