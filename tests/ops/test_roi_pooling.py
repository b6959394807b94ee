import functools

import backends
import keras
import numpy as np
import oracles
import pytest
import torch_answers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_answers import ROI_CASES, ROI_MAPS

from spp_keras import ops

EXAMPLES = settings(max_examples=3 if backends.BACKEND == "jax" else 30)
every_case = pytest.mark.parametrize("name", ROI_CASES)
every_map = pytest.mark.parametrize("index", range(len(ROI_MAPS)))


@functools.cache
def answers():
    return torch_answers.load()


def torch_case(name, index):
    """Features, boxes and our operation for one of torchvision's answers."""
    output_size, *options = ROI_CASES[name]
    scale = ROI_MAPS[index][1]
    features, boxes = (answers()[f"rois/{index}/{part}"] for part in ("features", "boxes"))
    if not options:
        return features, boxes, lambda x, boxes: ops.roi_pool(x, boxes, output_size, scale)
    return features, boxes, lambda x, boxes: ops.roi_align(x, boxes, output_size, scale, *options)


def assert_close(answer, expected, name):
    if name.startswith("pool"):
        np.testing.assert_array_equal(answer, expected)
    else:
        np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)


@every_map
@every_case
def test_answers_are_those_of_torchvision(name, index):
    features, boxes, function = torch_case(name, index)
    expected = answers()[f"rois/{index}/{name}"]
    assert_close(backends.as_numpy(function(features, boxes)), expected, name)


@every_case
def test_answers_in_a_graph_are_those_of_torchvision(name):
    features, boxes, function = torch_case(name, 2)
    answer = backends.as_numpy(backends.compiled(function)(features, boxes))
    assert_close(answer, answers()[f"rois/2/{name}"], name)


@pytest.mark.parametrize("index", [0, 1])
@every_case
def test_gradients_are_those_of_torchvision(name, index):
    features, boxes, function = torch_case(name, index)
    upstream = torch_answers.roi_upstream((24, *answers()[f"rois/{index}/{name}"].shape[2:]))
    gradient = backends.gradient(lambda x: function(x, boxes), features, upstream)
    expected = answers()[f"rois/{index}/gradient/{name}"]
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-4)


@EXAMPLES
@given(
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.sampled_from([1.0, 0.5, 1 / 16]),
    st.integers(0, 1000),
)
def test_roi_pool_of_any_boxes_is_that_of_loops(size, output_size, scale, seed):
    random = np.random.default_rng(seed)
    features = random.normal(size=(1, *size, 2)).astype("float32")
    corners = random.uniform(-0.5, 1.5, (1, 5, 2, 2)) * size[::-1]
    boxes = np.sort(np.round(2 * corners) / 2, axis=2).reshape(1, 5, 4) / scale
    answer = backends.as_numpy(ops.roi_pool(features, boxes, output_size, scale))
    expected = [oracles.roi_pool(features[0], box * scale, output_size) for box in boxes[0]]
    np.testing.assert_array_equal(answer[0], expected)


@EXAMPLES
@given(
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.sampled_from([-1, 1, 2, 3]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_roi_align_of_any_boxes_is_that_of_loops(size, output_size, sampling_ratio, aligned, seed):
    random = np.random.default_rng(seed)
    features = random.normal(size=(1, *size, 2)).astype("float32")
    corners = random.uniform(-0.5, 1.5, (1, 4, 2, 2)) * size[::-1]
    boxes = np.sort(corners, axis=2).reshape(1, 4, 4).astype("float32")
    answer = ops.roi_align(
        features, boxes, output_size, sampling_ratio=sampling_ratio, aligned=aligned
    )
    expected = [
        oracles.roi_align(features[0], box, output_size, sampling_ratio, aligned)
        for box in boxes[0]
    ]
    np.testing.assert_allclose(backends.as_numpy(answer)[0], expected, rtol=1e-4, atol=1e-5)


@every_case
def test_a_box_as_large_as_thousands_of_maps_is_pooled(name):
    _, _, function = torch_case(name, 0)
    features = np.ones((1, 4, 5, 2), "float32")
    boxes = np.array([[[-1e7, -1e7, 1e7, 1e7], [0, 0, 4, 4]]], "float32")
    assert np.isfinite(backends.as_numpy(function(features, boxes))).all()


@every_case
def test_padding_of_a_mixed_batch_has_no_effect(name):
    features, boxes, _ = torch_case(name, 0)
    output_size, *options = ROI_CASES[name]
    function = functools.partial(ops.roi_align if options else ops.roi_pool, spatial_scale=1.0)
    options = dict(zip(("sampling_ratio", "aligned"), options, strict=False))
    sizes = np.array([[13, 9], [6, 17]])
    padded = np.full_like(features, np.nan)
    for item, (rows, columns) in enumerate(sizes):
        padded[item, :rows, :columns] = features[item, :rows, :columns]
    answer = backends.as_numpy(function(padded, boxes, output_size, sizes=sizes, **options))
    for item, (rows, columns) in enumerate(sizes):
        alone = features[item : item + 1, :rows, :columns]
        expected = function(alone, boxes[item : item + 1], output_size, **options)
        np.testing.assert_allclose(
            answer[item], backends.as_numpy(expected)[0], rtol=1e-6, atol=1e-6
        )


@pytest.mark.tensorflow
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@every_case
def test_ragged_boxes_give_ragged_answers(name, data_format):
    import tensorflow as tf

    features, boxes, _ = torch_case(name, 0)
    output_size, *options = ROI_CASES[name]
    function = functools.partial(
        ops.roi_align if options else ops.roi_pool,
        output_size=output_size,
        data_format=data_format,
        **dict(zip(("sampling_ratio", "aligned"), options, strict=False)),
    )
    if data_format == "channels_first":
        features = np.moveaxis(features, -1, 1)
    dense = backends.as_numpy(function(features, boxes))
    for counts in ([2, 5], [0, 3], [0, 0]):
        parts = [boxes[item, :count] for item, count in enumerate(counts)]
        ragged = tf.RaggedTensor.from_row_lengths(np.concatenate(parts), counts)
        answer = function(features, ragged)
        assert answer.row_lengths().numpy().tolist() == counts
        expected = np.concatenate([dense[item, :count] for item, count in enumerate(counts)])
        np.testing.assert_allclose(answer.flat_values, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("function", [ops.roi_pool, ops.roi_align])
@pytest.mark.parametrize("box", [(5, 0, 4, 3), (0, 3, 4, 2), (0, 0, np.nan, 1), (0, 0, np.inf, 1)])
def test_boxes_that_are_not_ordered_or_not_finite_are_refused(function, box):
    boxes = np.array([[(0, 0, 2, 2), box]], "float32")
    with pytest.raises(ValueError, match=r"`boxes` must be finite, with left <= right.*of box 1"):
        function(np.zeros((1, 4, 4, 1), "float32"), boxes, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_size": 0}, "`output_size` must be an int >= 1 or a"),
        ({"output_size": (2, 2, 2)}, "`output_size` must be an int >= 1 or a"),
        ({"spatial_scale": 0}, "`spatial_scale` must be a number > 0"),
        ({"sampling_ratio": -2}, "`sampling_ratio` must be an int >= -1"),
        ({"data_format": "NHWC"}, "`data_format` must be one of"),
        ({"boxes": np.zeros((3, 4))}, "`boxes` must have 3 dimensions"),
        ({"boxes": np.zeros((1, 3, 5))}, r"`boxes` must be \(batch, boxes, 4\)"),
        ({"boxes": np.zeros((2, 3, 4))}, "one row for each of the 1 feature maps"),
        ({"features": np.zeros((4, 4, 1))}, "`features` must have 4 dimensions"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    arguments = {"features": np.zeros((1, 4, 4, 1)), "boxes": np.zeros((1, 2, 4)), "output_size": 2}
    with pytest.raises(ValueError, match=message):
        ops.roi_align(**{**arguments, **options})


def test_a_symbolic_tensor_is_refused_in_favor_of_the_layer():
    with pytest.raises(ValueError, match="in a functional model call the layer"):
        ops.roi_pool(keras.Input((4, 4, 1)), np.zeros((1, 2, 4)), 2)
