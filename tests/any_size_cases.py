"""Networks with random weights, images in batches and on canvases, and what each must answer.

The answer of an image is what the original network says to that image alone.
"""

import keras
import numpy as np

# Odd and even sides; no two leave the same remainder behind strides.
SIZES = ((97, 130), (130, 97), (101, 101), (75, 111), (112, 78))
# What lies beyond images.
FILLER = (1e6, np.nan, -1e6)


def randomize(model, seed=0, side=64):
    """Random weights, none of them trivial, under which signals neither vanish nor explode.

    Moving statistics become those of a random batch, and are then moved off them.

    Args:
        model: Keras model from one batch of images.
        seed: Seed of all draws.
        side: Side of the images for moving statistics, or height and width, where the model
            takes any.
    """
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(_draw(random, weight))
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):
            # Keras' `Normalization` computes constants from its weights.
            layer.finalize_state()
    layers = [x for x in model._flatten_layers() if getattr(x, "moving_variance", None) is not None]
    if layers:
        sides = side if isinstance(side, tuple) else (side, side)
        shape = model.inputs[0].shape[1:]
        shape = [length or other for length, other in zip(shape, (*sides, None), strict=True)]
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.momentum = 0.0
        images = make_images([shape[:2]] * 4, shape[2], seed, takes_pixels(model))
        model(np.stack(images), training=True)
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
            variance = np.maximum(variance, 1e-3)
            shift = random.normal(0, 0.3, mean.shape)
            layer.moving_mean.assign(mean + shift * np.sqrt(variance))
            layer.moving_variance.assign(variance * random.uniform(0.7, 1.5, mean.shape))
    return model


def _draw(random, weight):
    name, shape = weight.path.rpartition("/")[2], weight.shape
    if "seed" in name or not np.issubdtype(np.asarray(weight).dtype, np.floating):
        return weight
    if len(shape) < 2:
        if any(word in name for word in ("gamma", "variance", "scale")):
            return random.uniform(0.5, 1.5, shape)
        return random.normal(0, 0.2, shape)
    inputs = np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
    return random.normal(0, np.sqrt(2 / inputs), shape)


def takes_pixels(model):
    """Whether a model scales pixels 0..255 by itself."""
    kinds = (keras.layers.Rescaling, keras.layers.Normalization)
    return any(isinstance(layer, kinds) for layer in model._flatten_layers())


def make_images(sizes=SIZES, channels=3, seed=1, pixels=False):
    random = np.random.default_rng(seed)
    images = [random.normal(size=(*size, channels)) for size in sizes]
    return [(image * 60 + 127 if pixels else image).astype("float32") for image in images]


def pad(images, margins=(13, 7), filler=FILLER):
    """A padded batch with margins even behind the largest image."""
    sizes = np.array([image.shape[:2] for image in images], "int32")
    height, width = sizes.max(axis=0) + margins
    batch = _make_canvases(len(images), height, width, images[0].shape[-1], filler)
    for canvas, image in zip(batch, images, strict=True):
        canvas[: image.shape[0], : image.shape[1]] = image
    return {"images": batch, "sizes": sizes}


def pack(images, rules, seed=2, filler=FILLER):
    """Images on two canvases, as close as the rules of a network allow, in any order.

    Args:
        images: The images. All but the last get one canvas, with neighbors on all sides.
        rules: `CanvasRules` of the network.
        seed: Seed of the order.
        filler: What lies beyond images.
    """
    spots = [(0, *spot) for spot in _place(images[:-1], rules)] + [(1, rules.stride, rules.stride)]
    placements = np.array(
        [(*spot, *image.shape[:2]) for spot, image in zip(spots, images, strict=True)], "int32"
    )
    # The last image ends where its canvas ends.
    height, width = (placements[:, 1:3] + placements[:, 3:]).max(axis=0)
    canvases = _make_canvases(2, height, width, images[0].shape[-1], filler)
    for (canvas, top, left, rows, columns), image in zip(placements, images, strict=True):
        canvases[canvas, top : top + rows, left : left + columns] = image
    order = np.random.default_rng(seed).permutation(len(images))
    return {"images": canvases, "placements": placements[order]}, order


def compare(model, converted, images, rules):
    """Largest differences from images alone, relative to the largest value of each output.

    Returns:
        The differences in a padded batch and on packed canvases; infinite for NaN.
    """
    return tuple(max(found) for found in compare_outputs(model, converted, images, rules))


def compare_outputs(model, converted, images, rules):
    """The same for each output: two lists in the order of `keras.tree.flatten`."""
    alone = [_flatten(model(image[np.newaxis])) for image in images]
    batch = _measure_each(alone, converted(pad(images)), range(len(images)))
    canvases, order = pack(images, rules)
    return batch, _measure_each(alone, converted(canvases), order)


def compare_gradients(model, converted, images, rules):
    """Largest differences from the sums of the gradients of images alone, relative likewise.

    Gradients of the sum of all squared outputs, in inference: of the trainable weights, and of
    the images.

    Returns:
        The differences in a padded batch and on packed canvases; infinite for NaN.
    """
    weights = [weight.value for weight in model.trainable_variables]
    alone = [_differentiate(model, image[np.newaxis], weights) for image in images]
    sums = [np.sum(gradients, axis=0) for gradients in zip(*(x[0] for x in alone), strict=True)]
    found = []
    for inputs, order in ((pad(images), range(len(images))), pack(images, rules)):
        gradients, of_batch = _differentiate(converted, inputs, weights)
        pairs = [
            *zip(gradients, sums, strict=True),
            *(
                (of_batch[spot], alone[image][1][0])
                for spot, image in zip(_find_spots(inputs), order, strict=True)
            ),
        ]
        # What is zero but for rounding is no measure.
        scale = max(0.1, *(np.abs(second).max() for _, second in pairs))
        worst = max(float(np.abs(first - second).max() / scale) for first, second in pairs)
        found.append(np.inf if np.isnan(worst) else worst)
    return tuple(found)


def compare_training(model, converted, images, rules):
    """Largest differences of a training step from that of a dense batch, relative likewise.

    The images have one size. Gradients of weights, relative to the largest of all, since that
    of a shift before a normalization is zero but for rounding; and how far statistics moved.

    Returns:
        The differences in a padded batch and on packed canvases; infinite for NaN.
    """
    weights = [weight.value for weight in model.trainable_variables]
    statistics = [weight for weight in model.weights if "moving_" in weight.path]
    before = [np.asarray(weight) for weight in statistics]

    def step(network, inputs):
        for weight, value in zip(statistics, before, strict=True):
            weight.assign(value)
        gradients, _ = _differentiate(network, inputs, weights, training=True)
        largest = max(np.abs(gradient).max() for gradient in gradients)
        moved = [np.asarray(x) - y for x, y in zip(statistics, before, strict=True)]
        return [(x, largest) for x in gradients] + [(x, np.abs(x).max()) for x in moved]

    expected = step(model, np.stack(images))
    found = []
    for inputs in (pad(images), pack(images, rules)[0]):
        worst = 0.0
        for (first, _), (second, scale) in zip(step(converted, inputs), expected, strict=True):
            worst = max(worst, np.nan_to_num(np.abs(first - second).max() / scale, nan=np.inf))
        found.append(float(worst))
    return tuple(found)


def _differentiate(model, inputs, weights, training=False):
    """Gradients of weights and of images, on the TensorFlow backend."""
    import tensorflow as tf

    others = dict(inputs) if isinstance(inputs, dict) else {}
    images = tf.convert_to_tensor(others.pop("images", inputs))
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model({"images": images, **others} if others else images, training=training)
        loss = sum(tf.reduce_sum(tf.square(output)) for output in keras.tree.flatten(outputs))
    gradients = tape.gradient(loss, [*weights, images], unconnected_gradients="zero")
    *of_weights, of_images = (np.asarray(gradient) for gradient in gradients)
    return of_weights, of_images


def _find_spots(inputs):
    """Where the pixels of each image are."""
    if "sizes" in inputs:
        placements = [(i, 0, 0, *size) for i, size in enumerate(inputs["sizes"])]
    else:
        placements = inputs["placements"]
    return [
        (canvas, slice(top, top + rows), slice(left, left + columns))
        for canvas, top, left, rows, columns in placements
    ]


def _measure(alone, outputs, order):
    return max(_measure_each(alone, outputs, order))


def _measure_each(alone, outputs, order):
    worst = []
    for i, output in enumerate(_flatten(outputs)):
        # Where every answer is zero, so must these be.
        # Answers that are zero but for rounding, as means of what is normalized, have no scale.
        scale = max(0.01, *(np.abs(answer[i]).max() for answer in alone))
        assert np.isfinite(scale), scale
        assert len(output) == len(alone), output.shape
        worst.append(0.0)
        for row, image in enumerate(order):
            expected = alone[image][i][0]
            # A map is at the top left of an item that is as large as a canvas.
            found = output[row][tuple(slice(0, side) for side in expected.shape)]
            difference = np.abs(found - expected).max() / scale
            worst[-1] = max(worst[-1], np.inf if np.isnan(difference) else float(difference))
    return worst


def fits(entrance, axis, side):
    """Whether a network takes images of a height (axis 0) or width (axis 1)."""
    return side >= entrance.min_size and all(
        first.of(side) == second.of(side)
        for _, demanded, first, second in entrance.equal_cells
        if demanded == axis
    )


def _flatten(outputs):
    """The outputs of a model as arrays."""
    return [np.asarray(output) for output in keras.tree.flatten(outputs)]


def _make_canvases(count, height, width, channels, filler):
    canvases = np.empty((count, height, width, channels), "float32")
    pattern = np.add.outer(np.arange(height), np.arange(width)) % len(filler)
    canvases[...] = np.array(filler, "float32")[pattern][None, :, :, None]
    return canvases


def _place(images, rules):
    """Tops and lefts: each image at the first place that is free, row by row."""
    sides = [
        [side // rules.stride for side in rules.footprint(*image.shape[:2])] for image in images
    ]
    width = max(sum(side[1] for side in sides) * 2 // 3, *(side[1] for side in sides))
    taken = np.zeros((sum(side[0] for side in sides), width), bool)
    spots = []
    for height, length in sides:
        top, left = next(
            (top, left)
            for top in range(taken.shape[0])
            for left in range(width - length + 1)
            if not taken[top : top + height, left : left + length].any()
        )
        taken[top : top + height, left : left + length] = True
        spots.append((top * rules.stride, left * rules.stride))
    return spots
