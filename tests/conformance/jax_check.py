"""Run under KERAS_BACKEND=jax by test_jax.py: prints a JSON object, each check's error or null.

The expected values are loops over NumPy arrays in this file.
"""

import json
import math
import sys
import traceback

import keras
import numpy as np
import pytest

from spp_keras import layers, zoo

LEVELS = (4, (1, 3), 2)
STEP, FIRST_CENTER = 8, 3.5
SIZES = np.array([[7, 5], [3, 6]])


def bins(length, count):
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def expected_pyramid(cells, reduce, levels=LEVELS):
    """Of one map or window, `(rows, columns, channels)`."""
    height, width, _ = cells.shape
    values = []
    for level in levels:
        rows, columns = level if isinstance(level, tuple) else (level, level)
        for top, bottom in bins(height, rows):
            for left, right in bins(width, columns):
                values.append(reduce(cells[top:bottom, left:right], axis=(0, 1)))
    return np.concatenate(values)


def expected_gradient(cells, upstream, mode):
    """Of one map without ties: a maximum's goes to its cell, all cells of a bin share a mean's."""
    height, width, channels = cells.shape
    gradient = np.zeros(cells.shape)
    parts = iter(upstream.reshape(-1, channels))
    for level in LEVELS:
        rows, columns = level if isinstance(level, tuple) else (level, level)
        for top, bottom in bins(height, rows):
            for left, right in bins(width, columns):
                part = cells[top:bottom, left:right]
                shares = part == part.max(axis=(0, 1)) if mode == "max" else np.ones(part.shape)
                gradient[top:bottom, left:right] += shares / shares.sum((0, 1)) * next(parts)
    return gradient


def expected_window(cells, box):
    """The cells whose centers lie inside, or the one nearest to the middle."""
    spans = []
    for low, high, length in zip(box[1::-1], box[:1:-1], cells.shape[:2], strict=True):
        centers = FIRST_CENTER + STEP * np.arange(length)
        inside = np.flatnonzero((centers > low) & (centers < high))
        if not len(inside):
            middle = ((low + high) / 2 - FIRST_CENTER) / STEP
            inside = [min(max(math.floor(middle + 0.5), 0), length - 1)]
        spans.append(slice(inside[0], inside[-1] + 1))
    return cells[tuple(spans)]


def maps(filler=None):
    """Two maps without ties; beyond their sizes `filler`, if there is one."""
    values = np.random.default_rng(0).permutation(2 * 7 * 6 * 3)
    x = (values.reshape(2, 7, 6, 3) / 25 - 3).astype("float32")
    if filler is not None:
        for i, (height, width) in enumerate(SIZES):
            x[i, height:] = filler
            x[i, :, width:] = filler
    return x


def cut(x):
    return [x[i, :height, :width] for i, (height, width) in enumerate(SIZES)]


def close(found, expected, tolerance=1e-5):
    expected = np.asarray(expected)
    atol = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=atol)


def numpy_of(mode):
    return {"max": np.max, "average": np.mean}[mode]


def check_pyramid_of_one_size(mode):
    layer, x = layers.SpatialPyramidPooling(LEVELS, mode), maps()
    expected = [expected_pyramid(cells, numpy_of(mode)) for cells in x]
    close(jit(layer)(x), expected)


def check_pyramid_of_padded_maps(mode):
    layer, x = layers.SpatialPyramidPooling(LEVELS, mode), maps(np.nan)
    expected = [expected_pyramid(cells, numpy_of(mode)) for cells in cut(x)]
    close(layer(x, sizes=SIZES), expected)
    close(jit(lambda x, sizes: layer(x, sizes=sizes))(x, SIZES), expected)


def check_gradient_of_the_pyramid(mode):
    layer, x = layers.SpatialPyramidPooling(LEVELS, mode), maps(100)
    upstream = np.random.default_rng(1).normal(size=(2, 23 * 3)).astype("float32")
    found = gradient(lambda x: (layer(x, sizes=SIZES) * upstream).sum(), x)
    for i, cells in enumerate(cut(x)):
        expected = np.zeros(x.shape[1:])
        expected[: len(cells), : cells.shape[1]] = expected_gradient(cells, upstream[i], mode)
        close(found[i], expected)


BOXES = np.array(
    [[[0, 0, 56, 56], [9, 3, 30, 41]], [[-20, 5, 12.5, 90], [13, 13, 14, 14]]], "float32"
)


def check_windows(mode):
    layer = layers.RoISpatialPyramidPooling(STEP, FIRST_CENTER, levels=LEVELS, mode=mode)
    x = maps()
    expected = [
        [expected_pyramid(expected_window(cells, box), numpy_of(mode)) for box in boxes]
        for cells, boxes in zip(x, BOXES, strict=True)
    ]
    close(jit(layer)(x, BOXES), expected)


def check_windows_of_padded_maps(mode):
    layer = layers.RoISpatialPyramidPooling(STEP, FIRST_CENTER, levels=LEVELS, mode=mode)
    x = maps(np.nan)
    expected = [
        [expected_pyramid(expected_window(cells, box), numpy_of(mode)) for box in boxes]
        for cells, boxes in zip(cut(x), BOXES, strict=True)
    ]
    close(jit(lambda x, boxes, sizes: layer(x, boxes, sizes=sizes))(x, BOXES, SIZES), expected)


def check_gradient_of_windows(mode):
    layer = layers.RoISpatialPyramidPooling(STEP, FIRST_CENTER, levels=LEVELS, mode=mode)
    x = maps()
    whole = np.tile(np.array([[[-50, -50, 99, 99]]], "float32"), (2, 1, 1))
    upstream = np.random.default_rng(1).normal(size=(2, 1, 23 * 3)).astype("float32")
    found = gradient(lambda x: (layer(x, whole) * upstream).sum(), x)
    close(found, [expected_gradient(*pair, mode) for pair in zip(x, upstream[:, 0], strict=True)])


def check_normalization_across():
    layer = layers.LocalResponseNormalization("across", 3, alpha=0.1, bias=1.5)
    x = maps()
    expected = np.empty_like(x)
    for c in range(3):
        energy = (x[..., max(0, c - 1) : c + 2] ** 2).sum(-1)
        expected[..., c] = x[..., c] / (1.5 + 0.1 * energy) ** 0.75
    close(jit(layer)(x), expected)


def check_normalization_within():
    layer = layers.LocalResponseNormalization("within", 3, alpha=0.1, beta=0.6, bias=1.5)
    x = maps()
    expected = np.empty_like(x)
    for row in range(7):
        for column in range(6):
            around = x[:, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            energy = (around**2).sum((1, 2))
            expected[:, row, column] = x[:, row, column] / (1.5 + 0.1 * energy) ** 0.6
    close(jit(layer)(x), expected)


def check_a_wrong_size_is_refused_in_eager_code():
    layer = layers.SpatialPyramidPooling()
    with pytest.raises(ValueError, match=r"Received: sizes=\[8, 1\] of image 1"):
        layer(maps(), sizes=np.array([[7, 6], [8, 1]]))


def images_and_batch():
    generator = np.random.default_rng(3)
    sizes = [(40, 57), (61, 33)]
    images = [generator.uniform(0, 255, (*size, 3)).astype("float32") for size in sizes]
    batch = np.full((2, 61, 57, 3), np.nan, "float32")
    for padded, image in zip(batch, images, strict=True):
        padded[: image.shape[0], : image.shape[1]] = image
    return images, {"images": batch, "sizes": np.array(sizes, "int32")}


def network(name):
    model = getattr(zoo, name)(classes=3, width=0.04, classifier_activation=None, dropout=0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            bias = np.random.default_rng(4).uniform(-0.3, 0.3, layer.bias.shape)
            layer.bias.assign(bias)
    return model


def check_a_network_gives_a_padded_image_its_answer_alone(name):
    model = network(name)
    images, batch = images_and_batch()
    expected = np.concatenate([jit(model)(image[np.newaxis]) for image in images])
    close(zoo.with_sizes(model).predict(batch, verbose=0), expected)
    close(model.predict(batch, verbose=0), expected)
    close(zoo.with_sizes(model).predict(images[0][np.newaxis], verbose=0), expected[:1])


def check_gradients_of_a_mixed_batch_are_the_sum_of_those_alone(name):
    import jax

    model = network(name)
    sized = zoo.with_sizes(model)
    images, batch = images_and_batch()
    batch["images"] = np.nan_to_num(batch["images"], nan=1000)
    upstream = np.random.default_rng(5).normal(size=(2, 3)).astype("float32")
    fixed = [variable.value for variable in model.non_trainable_variables]

    def loss(weights, inputs, upstream, model):
        outputs, _ = model.stateless_call(weights, fixed, inputs, training=True)
        return (outputs * upstream).sum()

    weights = [variable.value for variable in model.trainable_variables]
    compiled = jax.jit(jax.grad(loss), static_argnums=3)
    together = compiled(weights, batch, upstream, sized)
    singles = [
        compiled(weights, image[np.newaxis], upstream[i : i + 1], model)
        for i, image in enumerate(images)
    ]
    for found, *parts in zip(together, *singles, strict=True):
        close(found, sum(np.asarray(part) for part in parts))


def check_fit_trains_a_network_on_padded_images():
    model = network("zf5_spp")
    _, batch = images_and_batch()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.get_weights()
    model.fit(batch, np.array([0, 2]), verbose=0)
    assert all((now != then).any() for now, then in zip(model.get_weights(), before, strict=True))
    assert all(np.isfinite(now).all() for now in model.get_weights())


def check_images_scaled_to_one_are_warned_of():
    model, (images, _) = network("zf5_spp"), images_and_batch()
    with pytest.warns(UserWarning, match=r"expects images with values 0\.\.255"):
        model(images[0][np.newaxis] / 255)


def check_any_backbone_takes_one_size_and_says_what_mixed_ones_need():
    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    model = zoo.spp_classifier(keras.Model(inputs, outputs), 3, levels=(2, 1), units=())
    images, batch = images_and_batch()
    assert model(images[0][np.newaxis]).shape == (1, 3)
    with pytest.raises(ValueError, match="needs the TensorFlow backend"):
        zoo.with_sizes(model)(batch)


CHECKS = {
    **{
        f"{check.__name__}-{mode}": (check, mode)
        for check in (
            check_pyramid_of_one_size,
            check_pyramid_of_padded_maps,
            check_gradient_of_the_pyramid,
            check_windows,
            check_windows_of_padded_maps,
            check_gradient_of_windows,
        )
        for mode in ("max", "average")
    },
    **{
        f"{check.__name__}-{name}": (check, name)
        for check in (
            check_a_network_gives_a_padded_image_its_answer_alone,
            check_gradients_of_a_mixed_batch_are_the_sum_of_those_alone,
        )
        for name in ("zf5_spp", "overfeat5_spp")
    },
    **{
        check.__name__: (check,)
        for check in (
            check_normalization_across,
            check_normalization_within,
            check_a_wrong_size_is_refused_in_eager_code,
            check_fit_trains_a_network_on_padded_images,
            check_images_scaled_to_one_are_warned_of,
            check_any_backbone_takes_one_size_and_says_what_mixed_ones_need,
        )
    },
}


def jit(function):
    import jax

    return jax.jit(function)


def gradient(function, x):
    import jax

    return np.asarray(jax.jit(jax.grad(function))(x))


def main():
    results = {"backend": keras.backend.backend(), "tensorflow": "tensorflow" in sys.modules}
    for name, (check, *arguments) in CHECKS.items():
        try:
            check(*arguments)
            results[name] = None
        except Exception:
            results[name] = traceback.format_exc()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
