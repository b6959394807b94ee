import numpy as np
import pytest

from spp_keras import layers

torch = pytest.importorskip("torch")

LEVELS = [1, 3, 5, 6, (2, 7), (13, 4)]
SIZES = [(1, 1), (13, 10), (7, 31), (40, 23), (3, 4)]


@pytest.mark.parametrize("mode", ["max", "average"])
@pytest.mark.parametrize("level", LEVELS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_level_is_the_adaptive_pooling_of_torch(mode, level, size):
    x = np.random.default_rng(0).normal(size=(2, *size, 5)).astype("float32")
    functional = torch.nn.functional
    pool = functional.adaptive_max_pool2d if mode == "max" else functional.adaptive_avg_pool2d
    grid = pool(torch.from_numpy(x).permute(0, 3, 1, 2), level).permute(0, 2, 3, 1)
    answer = layers.SpatialPyramidPooling((level,), mode)(x)
    expected = grid.reshape(2, -1).numpy()
    if mode == "max":
        np.testing.assert_array_equal(answer, expected)
    else:
        np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["max", "average"])
def test_a_window_is_the_adaptive_pooling_of_its_crop(mode):
    x = np.random.default_rng(1).normal(size=(1, 23, 31, 5)).astype("float32")
    windows = [(0, 0, 23, 31), (3, 4, 9, 30), (22, 30, 23, 31), (5, 5, 7, 20)]
    boxes = np.array([windows])[..., [1, 0, 3, 2]] - 0.5
    answer = layers.RoiSpatialPyramidPooling(1, levels=(6, 2), mode=mode)(x, boxes)
    functional = torch.nn.functional
    pool = functional.adaptive_max_pool2d if mode == "max" else functional.adaptive_avg_pool2d
    for vector, (top, left, bottom, right) in zip(answer[0], windows, strict=True):
        crop = torch.from_numpy(x[:, top:bottom, left:right]).permute(0, 3, 1, 2)
        expected = [pool(crop, n).permute(0, 2, 3, 1).reshape(-1).numpy() for n in (6, 2)]
        np.testing.assert_allclose(vector, np.concatenate(expected), rtol=1e-5, atol=1e-5)
