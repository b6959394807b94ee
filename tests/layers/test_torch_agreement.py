"""Agreement with PyTorch, whose answers `tests/torch_answers.py` has kept in a file."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch_answers
from torch_answers import LEVELS, PYRAMID, SIZES, WINDOWS

from spp_keras import layers

NAMES = [f"{rows}x{columns}" for rows, columns in SIZES]
both_modes = pytest.mark.parametrize("mode", ["max", "average"])


@pytest.fixture(scope="module")
def answers():
    return torch_answers.load()


@both_modes
@pytest.mark.parametrize("number", range(len(LEVELS)), ids=lambda number: str(LEVELS[number]))
def test_a_level_is_the_adaptive_pooling_of_torch(answers, mode, number):
    pool = layers.SpatialPyramidPooling(LEVELS[number : number + 1], mode)

    for name in NAMES:
        agree(pool(answers[f"x/{name}"]), answers[f"{mode}/level {number}/{name}"], mode)


@both_modes
def test_maps_of_a_mixed_batch_are_those_of_torch(answers, mode):
    pool = layers.SpatialPyramidPooling(LEVELS, mode)
    expected = [
        np.concatenate(
            [answers[f"{mode}/level {number}/{name}"] for number in range(len(LEVELS))], axis=1
        )
        for name in NAMES
    ]

    together = pool(tf.ragged.stack([answers[f"x/{name}"][0] for name in NAMES]))

    agree(together, np.concatenate(expected), mode)


@both_modes
@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_torch(answers, mode, name):
    pool = layers.SpatialPyramidPooling(PYRAMID, mode)

    found = gradient(pool, answers[f"x/{name}"], answers[f"upstream/{name}"])

    agree(found, answers[f"gradient/{mode}/{name}"], mode)


@both_modes
def test_windows_are_the_adaptive_pooling_of_their_crops(answers, mode):
    agree(windows(mode)(answers["x/windows"])[0], answers[f"{mode}/windows"], mode)
    found = gradient(windows(mode), answers["x/windows"], answers["upstream/windows"])
    agree(found, answers[f"gradient/{mode}/windows"], mode)


def test_windows_are_the_roi_pooling_of_torchvision(answers):
    agree(windows("max")(answers["x/windows"])[0], answers["max/roi_pool"], "max")
    found = gradient(windows("max"), answers["x/windows"], answers["upstream/windows"])
    agree(found, answers["gradient/max/roi_pool"], "max")


def test_the_answers_say_what_made_them(answers):
    assert set(json.loads(str(answers["versions"]))) == {"torch", "torchvision", "numpy"}
    assert torch_answers.FILE.stat().st_size < 200_000


def windows(mode):
    # Cell i is centered on pixel i: half a pixel on either side of the centers.
    boxes = np.array([WINDOWS], "float32")[..., [1, 0, 3, 2]] - 0.5
    pool = layers.RoISpatialPyramidPooling(1, levels=PYRAMID, mode=mode)
    return lambda x: pool(x, boxes)


def agree(answer, expected, mode):
    answer = keras.ops.convert_to_numpy(answer)
    if mode == "max":
        np.testing.assert_array_equal(answer, expected)
    else:
        np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)


def gradient(function, x, upstream):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x, tf.reshape(upstream, y.shape))
