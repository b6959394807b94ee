import keras
import numpy as np
import oracles
import pytest
from photographs import photograph

from spp_keras import layers, zoo
from spp_keras.report import bin_contributions
from spp_keras.zoo import model_parts

LEVELS = ((3, 3), (2, 2), (1, 1))


def make_parts(pooling=None):
    """A network of the zoo cut at its pyramid, with another pyramid if one is given."""
    keras.utils.set_random_seed(3)
    network = zoo.zf5_spp(classes=4, width=0.0625, levels=(3, 2, 1))
    last = network.layers[-1]
    last.kernel.assign(last.kernel * 100)
    last.bias.assign([0.5, -1.0, 2.0, 0.0])
    parts = model_parts.split_model(network)
    return parts if pooling is None else parts._replace(pooling=pooling)


@pytest.fixture(scope="module")
def halves():
    return make_parts()


def weights_of(halves):
    dense = [layer for layer in halves.top if layer.weights]
    return [[np.array(weight, "float64") for weight in layer.weights] for layer in dense]


def score_and_slopes(vector, weights, number):
    """Of a class, by the chain rule with plain matrices."""
    jacobian, x = np.eye(len(vector)), vector.astype("float64")
    for kernel, bias in weights[:-1]:
        x = x @ kernel + bias
        jacobian = (jacobian @ kernel) * (x > 0)
        x = np.maximum(x, 0)
    kernel, bias = weights[-1]
    return x @ kernel[:, number] + bias[number], jacobian @ kernel[:, number]


@pytest.mark.parametrize(("size", "number"), [((101, 151), 1), ((64, 90), 2)])
def test_dots_are_where_the_channel_that_adds_most_has_its_maximum(halves, size, number):
    pixels = photograph(*size)
    seen = bin_contributions.compute_bin_contributions(halves, pixels, number)
    feature_map = np.array(halves.trunk(pixels[np.newaxis].astype("float32")))[0]
    vector = oracles.pyramid(feature_map, LEVELS, "max")
    score, slopes = score_and_slopes(vector, weights_of(halves), number)
    added = (vector * slopes).reshape(14, -1)
    assert seen.score == pytest.approx(score, rel=1e-4)
    np.testing.assert_allclose(seen.totals, added.sum(axis=1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(seen.strongest, added.max(axis=1), rtol=1e-3, atol=1e-5)
    found = list(oracles.grid_bins(*feature_map.shape[:2], LEVELS))
    assert len(found) == len(seen.cells) == 14
    for (top, bottom, left, right), channel, (row, column) in zip(
        found, seen.channels, seen.cells, strict=True
    ):
        inside = feature_map[top:bottom, left:right, channel]
        assert (row - top, column - left) == np.unravel_index(inside.argmax(), inside.shape)


def test_what_bins_and_biases_add_is_the_score(halves):
    pixels = photograph(80, 120)
    seen = bin_contributions.compute_bin_contributions(halves, pixels, 3)
    # Twice as large a pyramid adds as much again, as far as no ReLU bends.
    feature_map = np.array(halves.trunk(pixels[np.newaxis].astype("float32")))[0]
    vector = oracles.pyramid(feature_map, LEVELS, "max").astype("float64")
    scores = [score_and_slopes(vector * (1 + e), weights_of(halves), 3)[0] for e in (-1e-5, 1e-5)]
    assert seen.totals.sum() == pytest.approx((scores[1] - scores[0]) / 2e-5, rel=1e-3)


@pytest.mark.parametrize(("size", "number"), [((101, 151), 1), ((64, 90), 2)])
def test_of_bins_that_are_means_dots_are_at_the_cells_that_add_most(size, number):
    parts = make_parts(layers.SpatialPyramidPooling((3, 2, 1), mode="average"))
    pixels = photograph(*size)
    seen = bin_contributions.compute_bin_contributions(parts, pixels, number)
    feature_map = np.array(parts.trunk(pixels[np.newaxis].astype("float32")))[0]
    vector = oracles.pyramid(feature_map, LEVELS, "average")
    score, slopes = score_and_slopes(vector, weights_of(parts), number)
    assert seen.score == pytest.approx(score, rel=1e-4)
    by_bin = (vector * slopes).reshape(14, -1)
    np.testing.assert_allclose(seen.totals, by_bin.sum(axis=1), rtol=1e-3, atol=1e-4)
    for i, (top, bottom, left, right) in enumerate(
        oracles.grid_bins(*feature_map.shape[:2], LEVELS)
    ):
        cells = [(row, column) for row in range(top, bottom) for column in range(left, right)]
        added = [feature_map[cell] * slopes.reshape(14, -1)[i] / len(cells) for cell in cells]
        best = int(np.argmax([one.sum() for one in added]))
        assert tuple(seen.cells[i]) == cells[best]
        assert seen.channels[i] == added[best].argmax()
        assert seen.strongest[i] == pytest.approx(added[best].sum(), rel=1e-3, abs=1e-5)
