import re
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from spp_keras import zoo
from spp_keras.layers import LocalResponseNormalization
from spp_keras.zoo import model_summary, tables


class Printed(NamedTuple):
    """What the paper prints of a network, and our arithmetic on it."""

    order: str
    """c: convolution, n: normalization, p: pooling."""
    convolutions: list[tuple[int, int, int]]
    """Filters, kernel, stride."""
    maps_224: dict[str, int]
    map_180: int
    stride: int
    parameters: dict[str, int]
    """Of 1000 classes: without a pyramid, with {6,3,2,1}, with {4,3,2,1}."""


PAPER = {
    "zf5": Printed(
        "cnpcnpccc",
        [(96, 7, 2), (256, 5, 2), (384, 3, 1), (384, 3, 1), (256, 3, 1)],
        {"pool1": 55, "conv2": 27, "conv3": 13, "conv4": 13, "conv5": 13},
        map_180=10,
        stride=16,
        parameters={"none": 62_357_608, "6321": 77_037_672, "4321": 56_066_152},
    ),
    "alexnet5": Printed(
        "cncnpcpcc",
        [(96, 11, 4), (256, 5, 1), (384, 3, 1), (384, 3, 1), (256, 3, 1)],
        {"conv1": 55, "pool2": 27, "pool3": 13, "conv4": 13, "conv5": 13},
        map_180=10,
        stride=16,
        parameters={"none": 62_378_344, "6321": 77_058_408, "4321": 56_086_888},
    ),
    "overfeat5": Printed(
        "cpncpccc",
        [(96, 7, 2), (256, 5, 1), (512, 3, 1), (512, 3, 1), (512, 3, 1)],
        {"pool1": 36, "pool2": 18, "conv3": 18, "conv4": 18, "conv5": 18},
        map_180=14,
        stride=12,
        parameters={"none": 102_908_520, "6321": 132_268_648, "4321": 90_325_608},
    ),
    "overfeat7": Printed(
        "cpncpccccc",
        [(96, 7, 2), (256, 5, 1)] + 5 * [(512, 3, 1)],
        {"pool1": 36, "pool2": 18, "conv3": 18, "conv5": 18, "conv6": 18, "conv7": 18},
        map_180=14,
        stride=12,
        parameters={"none": 107_628_136, "6321": 136_988_264, "4321": 95_045_224},
    ),
}
MIN_SIZES = {"zf5": 29, "alexnet5": 31, "overfeat5": 17, "overfeat7": 17}

every_network = pytest.mark.parametrize("name", PAPER)
with_sides = pytest.mark.parametrize("side", ["height", "width"])


@pytest.fixture
def without_memory():
    # Variables get their shapes but no values: a full network in 20 ms.
    with keras.StatelessScope(initialize_variables=False):
        yield
    keras.utils.clear_session()


def convolutional_part(name):
    return getattr(zoo, f"{name}_spp")(include_top=False, width=0.02)


def sides(name, pixels):
    model = convolutional_part(name)
    layers = [layer for layer in model.layers if layer.name[:4] in ("conv", "pool")]
    maps = keras.Model(model.input, [layer.output for layer in layers])
    shapes = [answer.shape for answer in maps(np.zeros((1, pixels, pixels, 3), "float32"))]
    assert all(height == width for _, height, width, _ in shapes)
    return {layer.name: shape[1] for layer, shape in zip(layers, shapes, strict=True)}


@every_network
def test_layers_come_in_the_printed_order(name):
    kinds = {
        keras.layers.Conv2D: "c",
        keras.layers.MaxPooling2D: "p",
        LocalResponseNormalization: "n",
    }
    order = [kinds.get(type(layer), "") for layer in convolutional_part(name).layers]
    assert "".join(order) == PAPER[name].order


@every_network
def test_convolutions_have_the_printed_filters_kernels_and_strides(name, without_memory):
    layers = getattr(zoo, f"{name}_spp")(include_top=False).layers
    convolutions = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    for layer, (filters, kernel, stride) in zip(
        convolutions, PAPER[name].convolutions, strict=True
    ):
        assert layer.filters == filters
        assert layer.kernel_size == (kernel, kernel)
        assert layer.strides == (stride, stride)
        assert layer.activation is keras.activations.relu


@every_network
def test_normalizations_are_those_of_the_released_zf5_or_of_alexnet(name):
    actual = [
        (layer.region, layer.size, layer.alpha, layer.beta, layer.bias)
        for layer in convolutional_part(name).layers
        if isinstance(layer, LocalResponseNormalization)
    ]
    # Caffe's alpha of 5e-5 is that of a mean over 3x3 cells.
    zf5 = ("within", 3, pytest.approx(5e-5 / 9), 0.75, 1)
    alexnet = ("across", 5, 1e-4, 0.75, 2)
    assert len(actual) == PAPER[name].order.count("n")
    assert actual == [zf5 if name == "zf5" else alexnet] * len(actual)


@every_network
def test_maps_of_224_pixels_have_the_printed_sizes(name):
    actual = sides(name, 224)
    assert {point: actual[point] for point in PAPER[name].maps_224} == PAPER[name].maps_224


@every_network
def test_the_last_map_of_180_pixels_has_the_size_the_paper_states(name):
    assert list(sides(name, 180).values())[-1] == PAPER[name].map_180


@every_network
def test_the_last_map_of_every_size_is_what_the_table_computes(name):
    trunk = next(trunk for trunk in tables.TRUNKS if trunk.name == name)
    model = convolutional_part(name)
    for pixels in (trunk.min_size, 61, 100, 191, 223, 225):
        image = np.zeros((1, pixels, 224, 3), "float32")
        assert model(image).shape[1:3] == (trunk.grid.map_size(pixels), trunk.grid.map_size(224))


@every_network
def test_the_stride_is_the_product_of_the_strides(name):
    trunk = next(trunk for trunk in tables.TRUNKS if trunk.name == name)
    strides = [layer.strides[0] for layer in convolutional_part(name).layers if is_strided(layer)]
    assert trunk.grid.stride == np.prod(strides) == PAPER[name].stride


def is_strided(layer):
    return isinstance(layer, keras.layers.Conv2D | keras.layers.MaxPooling2D)


@every_network
@pytest.mark.parametrize("head", ["none", "6321", "4321"])
def test_parameters_are_those_of_the_paper(name, head, without_memory):
    if head == "none":
        model = getattr(zoo, name)()
    else:
        model = getattr(zoo, f"{name}_spp")(levels=tuple(int(level) for level in head))
    assert model.count_params() == PAPER[name].parameters[head]


@every_network
def test_a_network_without_pyramid_pools_the_printed_map_to_six_by_six(name):
    model = getattr(zoo, name)(width=0.02)
    assert model.input_shape == (None, 224, 224, 3)
    assert model.get_layer("last_pool").output.shape[1:3] == (6, 6)


@every_network
def test_the_summary_states_parameters_map_sizes_and_stride_of_the_paper(name):
    rows = {row.name: row for row in model_summary.summarize_models()}
    paper = PAPER[name]
    for row, head in ((rows[name], "none"), (rows[f"{name}_spp"], "6321")):
        assert row.parameters == paper.parameters[head]
        assert row.map_224 == list(paper.maps_224.values())[-1]
        assert row.map_180 == paper.map_180
        assert row.stride == paper.stride
    assert rows[f"{name}_spp"].min_size == MIN_SIZES[name]


@every_network
def test_an_image_of_the_min_size_works_eagerly_and_in_predict(name):
    model = getattr(zoo, f"{name}_spp")(classes=3, width=0.02)
    min_size = MIN_SIZES[name]
    image = np.full((1, min_size, min_size, 3), 255, "float32")
    np.testing.assert_allclose(np.sum(model(image)), 1, rtol=1e-5)
    np.testing.assert_allclose(np.sum(model.predict(image, verbose=0)), 1, rtol=1e-5)


@every_network
@with_sides
def test_an_image_one_pixel_too_small_is_refused_with_the_min_size(name, side):
    model = getattr(zoo, f"{name}_spp")(classes=3, width=0.02)
    with pytest.raises(ValueError, match=at_least(name)):
        model(np.zeros((1, *one_pixel_too_small(name, side), 3), "float32"))


@every_network
@pytest.mark.parametrize("side", ["height", pytest.param("width", marks=pytest.mark.integration)])
def test_predict_refuses_an_image_one_pixel_too_small_with_the_min_size(name, side):
    model = getattr(zoo, f"{name}_spp")(classes=3, width=0.02)
    image = np.zeros((1, *one_pixel_too_small(name, side), 3), "float32")
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=at_least(name)):
        model.predict(image, verbose=0)


@every_network
@with_sides
def test_a_graph_for_any_size_refuses_a_small_image_with_the_min_size(name, side):
    model = getattr(zoo, f"{name}_spp")(classes=3, width=0.02)
    graph = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, 3))])
    with pytest.raises(tf.errors.InvalidArgumentError, match=at_least(name)):
        graph(np.zeros((1, *one_pixel_too_small(name, side), 3), "float32"))


@every_network
@with_sides
def test_an_image_too_small_in_a_mixed_batch_is_named(name, side):
    model = getattr(zoo, f"{name}_spp")(classes=3, width=0.02)
    small = one_pixel_too_small(name, side)
    mixed = tf.ragged.stack([tf.zeros((64, 70, 3)), tf.zeros((*small, 3))])
    received = re.escape(f"height and width={[*small]} of image 1")
    with pytest.raises(ValueError, match=f"{at_least(name)}.*{received}"):
        model(mixed)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        pytest.param(
            name, side, marks=[pytest.mark.integration] * ((name, side) != ("zf5", "width"))
        )
        for name in MIN_SIZES
        for side in ("height", "width")
    ],
)
def test_predict_refuses_a_mixed_batch_with_an_image_too_small(name, side):
    model = getattr(zoo, f"{name}_spp")(classes=3, width=0.02)
    small = one_pixel_too_small(name, side)
    mixed = tf.ragged.stack([tf.zeros((64, 70, 3)), tf.zeros((*small, 3))])
    with pytest.raises(tf.errors.InvalidArgumentError, match=at_least(name)):
        model.predict(mixed, verbose=0)


def one_pixel_too_small(name, side):
    min_size = MIN_SIZES[name]
    return (min_size - 1, 64) if side == "height" else (64, min_size - 1)


def at_least(name):
    return f"at least {MIN_SIZES[name]} pixels high and wide"


@every_network
def test_a_padded_image_too_small_is_refused_however_large_the_padding(name):
    model = zoo.with_sizes(getattr(zoo, f"{name}_spp")(classes=3, width=0.02))
    min_size = MIN_SIZES[name]
    batch = {
        "images": np.zeros((2, 64, 64, 3), "float32"),
        "sizes": np.array([[64, 64], [64, min_size - 1]]),
    }
    with pytest.raises(ValueError, match=rf"{at_least(name)}.* of image 1"):
        model(batch)


@every_network
def test_an_input_shape_below_the_min_size_is_refused(name):
    min_size = MIN_SIZES[name]
    with pytest.raises(ValueError, match=f"ints >= {min_size}"):
        getattr(zoo, f"{name}_spp")(input_shape=(min_size - 1, None, 3))
    with pytest.raises(ValueError, match=f"ints >= {min_size}"):
        getattr(zoo, name)(input_shape=(None, min_size - 1, 3), include_top=False)
