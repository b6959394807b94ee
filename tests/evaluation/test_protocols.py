"""Each protocol against a slow, literal version: one view at a time, in NumPy."""

import functools

import caffe_nets
import exif_files
import keras
import moving_cells
import numpy as np
import oracles
import photographs
import pytest
import tensorflow as tf

from spp_keras import zoo
from spp_keras.data import image_ops, size_policies
from spp_keras.evaluation import Scorer, protocols
from spp_keras.zoo import model_parts

SIDE = 64
LEVELS = (2, 1)
SIX = (64, 73, 86, 103, 128, 160)
SIZES = [(60, 83), (91, 70), (80, 80)]
# Convolutions of a batch add up in another order than of one image.
CLOSE = {"rtol": 1e-3, "atol": 1e-5}


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    model = zoo.zf5_spp(classes=7, width=0.0625, levels=LEVELS)
    # Scores that differ.
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 100)
    return model


@pytest.fixture(scope="module")
def scorers(network):
    return {name: Scorer(network, name, view_size=SIDE) for name in protocols.PROTOCOLS}


def picture(size):
    return photographs.encoded(photographs.photograph(*size))


@functools.cache
def split_model(network):
    return model_parts.split_model(network)


def scaled(image, short):
    pixels = image_ops.decode_image(image)
    height, width = pixels.shape[:2]
    target = [round(length * short / min(height, width)) for length in (height, width)]
    return image_ops.decode_window(image, (height, width), (0, 0, height, width), target).numpy()


def warped(image):
    pixels = image_ops.decode_image(image)
    window = (0, 0, *pixels.shape[:2])
    return image_ops.decode_window(image, pixels.shape[:2], window, (SIDE, SIDE)).numpy()


def positions(length, both_ends_only=False):
    room = length - SIDE
    return (0, room) if both_ends_only else tuple(dict.fromkeys((0, room // 2, room)))


@functools.cache
def graph_of(network):
    return tf.function(network, [tf.TensorSpec((None, *network.input_shape[1:]))])


def alone(network, pixels):
    return graph_of(network)(pixels[None].astype("float32"))[0].numpy()


def windows_of_ten(pixels):
    height, width = pixels.shape[:2]
    middle = ((height - SIDE) // 2, (width - SIDE) // 2)
    return [middle, *((y, x) for y in positions(height, True) for x in positions(width, True))]


def literal_crops(network, pixels, places):
    scores = []
    for y, x in places:
        crop = pixels[y : y + SIDE, x : x + SIDE]
        scores += [alone(network, crop), alone(network, crop[:, ::-1])]
    return scores


def literal_map_views(network, pixels, places):
    """Each view pooled from the map by loops; the map of the mirror image for mirrored ones."""
    halves = split_model(network)
    width, scores = pixels.shape[1], []
    for mirrored in (False, True):
        shown = pixels[:, ::-1] if mirrored else pixels
        feature_map = halves.trunk(shown[None].astype("float32"))[0].numpy()
        first_centers = [halves.grid.at(side).first_center for side in pixels.shape[:2]]
        for y, x in places:
            left = width - x - SIDE if mirrored else x
            box = (left, y, left + SIDE, y + SIDE)
            window = oracles.window_of_box(
                box, halves.grid.stride, first_centers, *feature_map.shape[:2]
            )
            vector = oracles.window_pyramid(feature_map, window, LEVELS, "max")[None]
            for layer in halves.top:
                vector = layer(vector)
            scores.append(vector[0].numpy())
    return scores


@functools.cache
def literal_96(network, image):
    scores = []
    for short in SIX:
        pixels = scaled(image, short)
        height, width = pixels.shape[:2]
        places = [(y, x) for y in positions(height) for x in positions(width)]
        scores += literal_map_views(network, pixels, places)
    return tuple(scores)


LITERAL = {
    "crop": lambda network, image: literal_crops(
        network, scaled(image, 73), windows_of_ten(scaled(image, 73))[:1]
    )[:1],
    "warp": lambda network, image: [alone(network, warped(image))],
    "10-view": lambda network, image: literal_crops(
        network, scaled(image, 73), windows_of_ten(scaled(image, 73))
    ),
    "10-view-map": lambda network, image: literal_map_views(
        network, scaled(image, 73), windows_of_ten(scaled(image, 73))
    ),
    "full": lambda network, image: [alone(network, scaled(image, 73))],
    "96-view": lambda network, image: list(literal_96(network, image)),
    "96-view+full": lambda network, image: [
        *literal_96(network, image),
        alone(network, scaled(image, 73)),
        alone(network, scaled(image, 73)[:, ::-1]),
    ],
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", protocols.PROTOCOLS)
def test_protocol_equals_a_literal_implementation(name, size, network, scorers):
    image = picture(size)
    expected = LITERAL[name](network, image)
    view_scores = scorers[name].score_views(image)
    square = {"96-view": 92, "96-view+full": 94}
    counts = {"crop": 1, "warp": 1, "full": 1, "96-view": 96, "96-view+full": 98} | (
        square if size[0] == size[1] else {}
    )
    assert len(view_scores) == len(expected) == counts.get(name, 10)
    np.testing.assert_allclose(np.sort(view_scores, axis=0), np.sort(expected, axis=0), **CLOSE)
    np.testing.assert_allclose(scorers[name](image), np.mean(expected, axis=0), **CLOSE)


def test_scorer_turns_images_upright(scorers):
    pixels = photographs.photograph(*SIZES[0])
    expected = scorers["10-view"](photographs.encoded(pixels))
    turned = exif_files.file(pixels, "PNG", 6)
    for known in ((), (SIZES[0],), (SIZES[0], 6)):
        np.testing.assert_allclose(scorers["10-view"](turned, *known), expected, **CLOSE)
    lying = exif_files.lying(pixels, 6)
    as_filed = scorers["10-view"](turned, lying.size[::-1], 1)
    np.testing.assert_allclose(as_filed, scorers["10-view"](photographs.encoded(lying)), **CLOSE)
    assert not np.allclose(as_filed, expected, **CLOSE)


def test_scorer_traces_each_graph_once(scorers):
    for scorer in scorers.values():
        for graph in (scorer._score_crops, scorer._pool_views, scorer._score_vectors):
            assert graph is None or graph.experimental_get_tracing_count() <= 1


@pytest.mark.parametrize("name", ["crop", "10-view"])
def test_protocols_of_a_network_without_pyramid(name):
    network = zoo.zf5(classes=3, width=0.0625, input_shape=(SIDE, SIDE, 3))
    scorer, image = Scorer(network, name), picture((60, 83))
    assert scorer.short_side == 73
    np.testing.assert_allclose(scorer(image), np.mean(LITERAL[name](network, image), 0), **CLOSE)


def make_convolution():
    convolution = keras.layers.Conv2D(4, 3, 2)
    backbone = keras.Sequential([keras.Input((None, None, 3)), convolution])
    return zoo.spp_classifier(backbone, 3, levels=LEVELS, units=())


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make_convolution, id="convolution"),
        pytest.param(moving_cells.make_small_network, id="moving cells"),
        pytest.param(
            moving_cells.make_mobilenet, id="MobileNetV3Small", marks=pytest.mark.integration
        ),
    ],
)
def test_protocols_of_a_network_with_another_trunk(make):
    keras.utils.set_random_seed(1)
    other = make()
    # Scores that differ.
    other.layers[-1].kernel.assign(other.layers[-1].kernel * 30)
    image = picture((60, 83))
    for name in ("10-view", "96-view"):
        expected = np.mean(LITERAL[name](other, image), axis=0)
        np.testing.assert_allclose(Scorer(other, name, view_size=SIDE)(image), expected, **CLOSE)


def test_whole_images_follow_the_size_policy(network):
    image = picture((60, 83))
    scorer = Scorer(network, "full", whole=size_policies.Whole(longest_side=70))
    assert scorer.list_views((60, 83))[0].size == (51, 70)
    own = Scorer(network, "full", whole=size_policies.Whole())
    np.testing.assert_allclose(own(image), alone(network, photographs.photograph(60, 83)), **CLOSE)


def test_single_view_scores_are_equal_from_feature_map_and_pixels(network, scorers):
    image = picture((SIDE, SIDE))
    from_maps = scorers["96-view"].score_views(image)[:2]
    pixels = photographs.photograph(SIDE, SIDE)
    crops = [alone(network, pixels), alone(network, pixels[:, ::-1])]
    np.testing.assert_allclose(from_maps, crops, **CLOSE)


def test_full_views_at_another_scale_are_convolved_separately(network, scorers):
    image, other = picture((60, 83)), size_policies.Whole(longest_side=70)
    scorer = Scorer(network, "96-view+full", view_size=SIDE, whole=other)
    assert [part.from_feature_map for part in scorer.list_views((60, 83))] == [True] * 6 + [False]
    view_scores, whole = scorer.score_views(image), Scorer(network, "full", whole=other)(image)
    np.testing.assert_allclose(view_scores[:96], scorers["96-view"].score_views(image), **CLOSE)
    np.testing.assert_allclose(view_scores[96], whole, **CLOSE)


def test_whole_view_covers_cells_beyond_the_image(tmp_path):
    """Caffe's poolings round up: of 73 pixels two have 19 cells, the last around pixel 73.5."""
    layers = (
        caffe_nets.Layer("conv", "Convolution", "data", "conv", "num_output: 4 kernel_size: 1"),
        caffe_nets.Layer("relu", "ReLU", "conv", "conv"),
        caffe_nets.Layer("one", "Pooling", "conv", "one", "pool: MAX kernel_size: 2 stride: 2"),
        caffe_nets.Layer("two", "Pooling", "one", "two", "pool: MAX kernel_size: 2 stride: 2"),
        caffe_nets.Layer("all", "Pooling", "two", "all", "pool: MAX global_pooling: true"),
        caffe_nets.Layer("fc", "InnerProduct", "all", "fc", "num_output: 3"),
    )
    weights = caffe_nets.drawn({"conv": (4, 3, 1, 1), "fc": (3, 4)})
    (tmp_path / "net.prototxt").write_text(caffe_nets.text(layers))
    (tmp_path / "net.caffemodel").write_bytes(caffe_nets.content(layers, weights))
    model = zoo.load_caffe_model(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    pixels = np.zeros((73, 101, 3), "uint8")
    pixels[:, -1] = pixels[-1] = 255
    scorer = Scorer(model, "96-view+full", view_size=SIDE)
    views = [view for part in scorer.list_views((73, 101)) for view in part.views]
    view_scores = scorer.score_views(photographs.encoded(pixels))
    of_whole = [view_scores[i] for i, view in enumerate(views) if view.window == (0, 0, 101, 73)]
    expected = [alone(model, pixels), alone(model, pixels[:, ::-1])]
    np.testing.assert_allclose(of_whole, expected, **CLOSE)


def receptive_radius(trunk):
    """Pixels that a cell sees on either side of the one that it is centered on."""
    radius, jump = 0, 1
    for row in trunk.rows:
        kernel = row.kernel if hasattr(row, "kernel") else row.size * (row.region == "within")
        radius += jump * max(kernel - 1, 0) / 2
        jump *= getattr(row, "stride", 1)
    return radius


@pytest.mark.parametrize("trunk", zoo.tables.TRUNKS, ids=lambda trunk: trunk.name)
def test_inner_cells_are_equal_in_crop_and_feature_map(trunk):
    """A window that begins on a multiple of the step has the cells of its crop."""
    model = getattr(zoo, f"{trunk.name}_spp")(classes=3, width=0.0625, levels=LEVELS)
    halves, side, radius = model_parts.split_model(model), 224, receptive_radius(trunk)
    step, first = trunk.grid[:2]
    image = photographs.photograph(side + 4 * step, side + 4 * step).astype("float32")
    of_image = halves.trunk(image[None])[0].numpy()
    of_crop = halves.trunk(image[None, 2 * step : 2 * step + side, step : step + side])[0].numpy()
    shown = of_image[2 : 2 + len(of_crop), 1 : 1 + len(of_crop)]
    centers = first + step * np.arange(len(of_crop))
    inside = (centers - radius >= 0) & (centers + radius <= side - 1)
    assert inside.sum() >= 3
    scale = np.abs(of_crop).max()
    differences = np.abs(of_crop - shown).max(axis=-1) / scale
    assert differences[np.ix_(inside, inside)].max() < 1e-5
    # At the border the crop has zeros, and the map what is there.
    assert differences.max() > 1e-2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"protocol": "ten-view"},
            r"`protocol` must be one of 'crop', 'warp', .*'ten-view'",
        ),
        ({"protocol": "crop", "view_size": 0}, "`view_size` must be an int >= 1"),
        (
            {"protocol": "96-view", "view_size": 20},
            "`view_size` must be at least 29, .* view_size=20",
        ),
        (
            {"protocol": "crop", "view_size": 64, "short_side": 60},
            "`short_side` must be an int >= 64",
        ),
    ],
    ids=str,
)
def test_invalid_arguments_are_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        Scorer(network, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"protocol": "full"},
            "'crop' or 'warp' or '10-view' for zf5, a network without a pyramid",
        ),
        (
            {"protocol": "crop", "view_size": 80},
            "`view_size` must be what zf5 was built for, 64x64 .*80",
        ),
    ],
    ids=str,
)
def test_scorer_refuses_other_sizes_for_a_network_of_one_size(options, message):
    network = zoo.zf5(classes=3, width=0.0625, input_shape=(SIDE, SIDE, 3))
    with pytest.raises(ValueError, match=message):
        Scorer(network, **options)
