"""Features against the layers themselves, of an image decoded and resized by hand."""

import keras
import numpy as np
import oracles
import photographs
import pytest

from spp_keras import zoo
from spp_keras.data import size_policies
from spp_keras.evaluation import features

LEVELS = ((3, 3), (2, 1))
SIZE, SHORT, SIDE = (61, 89), 71, 64
# A pixel that is just between two levels is rounded up or down.
CLOSE = {"rtol": 1e-3, "atol": 1e-3}


@pytest.fixture(scope="module")
def network():
    return zoo.zf5_spp(classes=3, width=0.0625, levels=LEVELS)


@pytest.fixture(scope="module")
def fixed():
    return zoo.zf5(classes=3, width=0.0625, input_shape=(SIDE, SIDE, 3))


def pixels_of(whole):
    """An image brought to the short side, and the square in its middle unless it is whole."""
    height, width = (round(length * SHORT / min(SIZE)) for length in SIZE)
    scaled = photographs.bilinear(photographs.photograph(*SIZE), (height, width))
    if whole:
        return scaled
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    return scaled[top : top + SIDE, left : left + SIDE]


def output_of(network, name, pixels):
    until = keras.Model(network.input, network.get_layer(name).output)
    return until(pixels[None].astype("float32"), training=False)[0].numpy()


def extracted(network, layers, protocol):
    crop = {"view_size": SIDE, "short_side": SHORT} if protocol == "crop" else {}
    extract = features.make_extractor(
        network, layers, protocol, whole=size_policies.Whole(short_side=SHORT), **crop
    )
    return extract(photographs.encoded(photographs.photograph(*SIZE)))


@pytest.mark.parametrize("protocol", ["crop", "full"])
def test_features_are_the_outputs_of_the_layers(network, protocol):
    maps = {"crop": ["pool2", "conv4", "conv5"], "full": []}[protocol]
    layers = [*maps, "spp", "spp/2x1", "spp/3x3", "fc6", "fc7", "predictions"]
    vectors = dict(zip(layers, extracted(network, layers, protocol), strict=True))
    pixels = pixels_of(protocol == "full")
    for name in layers:
        if "/" not in name:
            expected = output_of(network, name, pixels).reshape(-1)
            np.testing.assert_allclose(vectors[name], expected, **CLOSE, err_msg=name)
    feature_map = output_of(network, "conv5", pixels)
    for name, level in {"spp/3x3": (3, 3), "spp/2x1": (2, 1)}.items():
        expected = oracles.pyramid(feature_map, [level], "max")
        np.testing.assert_allclose(vectors[name], expected, **CLOSE, err_msg=name)
    assert all(vector.dtype == "float32" for vector in vectors.values())


def test_features_of_a_network_without_pyramid(fixed):
    layers = ["conv5", "last_pool", "flatten", "fc7"]
    for name, vector in zip(layers, extracted(fixed, layers, "crop"), strict=True):
        expected = output_of(fixed, name, pixels_of(whole=False)).reshape(-1)
        np.testing.assert_allclose(vector, expected, **CLOSE, err_msg=name)


def test_all_listed_layers_have_features(network):
    layers = features.list_layers(network)
    assert not {"images", "mixed_sizes", "image_maps", "cell_placements"} & set(layers)
    assert len(extracted(network, layers, "crop")) == len(layers)


@pytest.mark.parametrize(
    "layers",
    [[], ["fc8"], ["fc7", "fc7"], ["spp/6x6"], ["cell_placements"], ["conv5/3x3"]],
    ids=str,
)
def test_check_layers_refuses_unknown_layers(network, layers):
    with pytest.raises(ValueError, match=r"`layers` must be one or more of .*'spp/3x3', 'spp/2x1'"):
        features.check_layers(network, layers, "crop")


def test_check_layers_refuses_feature_maps_of_whole_images(network):
    message = r"after the pyramid of zf5_spp .* take 'spp', .*'fc7'.* or crops.*with 'conv5'"
    with pytest.raises(ValueError, match=message):
        features.check_layers(network, ["spp", "conv5"], "full")
