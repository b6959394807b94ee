"""Holds ragged batches, packed on canvases in the graph, against each of their images alone.

    python benchmarks/packing_exactness.py
    python benchmarks/packing_exactness.py --fraction 0.05 --networks ZF-5
    python benchmarks/packing_exactness.py --render    # the text again, from the JSON

Networks with random weights and non-trivial normalization answer random batches: of any sizes,
with duplicates, of one image, all alike, of tiny ones, of strips. The image alone is answered by
the network that packing knows nothing of. Answers and gradients of a random loss by all weights
are compared, in float32 and in `mixed_bfloat16`. The results are OUT/packing_exactness.json, and
OUT/packing_exactness.md for the documents.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import machines
import packing_batches as batches
import packing_exactness_tables as tables

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import any_size_cases as cases
import keras
import numpy as np
import tensorflow as tf

import spp_keras
from spp_keras import models, zoo
from spp_keras.models.graph_run import find_entrance

_CLASSES = 10
_MOST, _LARGE = 299, 1200
_IMAGE = tf.TensorSpec((1, None, None, 3))
_RAGGED = tf.RaggedTensorSpec((None, None, None, 3), ragged_rank=2)
_TARGETS = tf.TensorSpec((None, _CLASSES))


class _Trial(NamedTuple):
    """A network of the table.

    Args:
        build: Makes the network as Keras has it.
        batches: Number of batches in float32.
        large: How many of them have a side of 1,200 pixels.
        half: Number of batches in mixed_bfloat16.
    """

    build: Callable[[], keras.Model]
    batches: int
    large: int
    half: int


def _build_application(name: str) -> keras.Model:
    backbone = getattr(keras.applications, name)(
        include_top=False, weights=None, pooling="avg", input_shape=(None, None, 3)
    )
    scores = keras.layers.Dense(_CLASSES, name="scores")(backbone.output)
    return keras.Model(backbone.input, scores, name=backbone.name)


def _build_zf5() -> keras.Model:
    # Of one size it is the plain network.
    return zoo.zf5_spp(_CLASSES, width=0.125, classifier_activation=None)


def _convert(model: keras.Model) -> keras.Model:
    return model if isinstance(model, models.ImageModel) else spp_keras.any_size(model)


_TRIALS = {
    "ZF-5": _Trial(_build_zf5, 1000, 0, 40),
    "MobileNetV3Small": _Trial(lambda: _build_application("MobileNetV3Small"), 50, 5, 20),
    "EfficientNetB0": _Trial(lambda: _build_application("EfficientNetB0"), 50, 5, 20),
    "Xception": _Trial(lambda: _build_application("Xception"), 50, 5, 20),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares all batches and writes both files; 1 where one differs by more than it may."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=_TRIALS, help="these alone")
    parser.add_argument("--fraction", type=float, default=1.0, help="of the batches (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default: 0)")
    machines.render_option(parser)
    machines.out_option(parser)
    options = parser.parse_args(arguments)
    if options.render:
        return machines.render(options.out / "packing_exactness", tables.markdown)
    # Each network has graphs of its own, which looks like tracing one over and over.
    tf.get_logger().setLevel("ERROR")
    began = machines.begin()
    machine = machines.describe(_name_command(options))
    packages = (spp_keras, keras, tf)
    machine["versions"] |= {package.__name__: package.__version__ for package in packages}
    rows = []
    for name in options.networks or _TRIALS:
        rows.append(_run_trial(name, options.fraction, options.seed))
        machines.say(tables.describe_row(rows[-1]))
    machines.finish(machine, began)
    text = tables.markdown({"machine": machine, "rows": rows})
    machines.publish(options.out / "packing_exactness", machine, rows, text)
    return int(not all(tables.holds(row) for row in rows))


def _name_command(options: argparse.Namespace) -> str:
    command = "python benchmarks/packing_exactness.py"
    if options.fraction != 1:
        command += f" --fraction {options.fraction:g}"
    if options.networks:
        command += f" --networks {' '.join(options.networks)}"
    return command + (f" --seed {options.seed}" if options.seed else "")


def _run_trial(name: str, fraction: float, seed: int) -> dict[str, Any]:
    trial = _TRIALS[name]
    numbers = [math.ceil(n * fraction) for n in (trial.batches, trial.large, trial.half)]
    keras.utils.clear_session()
    original = cases.randomize(trial.build(), seed, side=128)
    network = _Network(original, _convert(original))
    random = np.random.default_rng((seed, list(_TRIALS).index(name)))
    found: dict[str, list[Any]] = {
        key: [] for key in ("answers", "gradients", "kinds", "images", "double")
    }
    double = None
    for index in range(numbers[0]):
        kind, sizes = _draw_sizes(random, network.least, index < numbers[1])
        batch = _make_batch(random, sizes, network.takes_pixels)
        alone, packed = network.run_alone(*batch), network.run_packed(*batch)
        found["kinds"].append(kind)
        found["images"].append(len(sizes))
        found["answers"].append(_compare_answers(packed[0], alone[0]))
        found["gradients"].append(_compare_gradients(packed[1], alone[1]))
        if found["answers"][-1] > tables.ANSWERS or found["gradients"][-1] > tables.GRADIENTS:
            double = double or _copy(trial, original, "float64")
            row = {"batch": index, "kind": kind, "sizes": sizes.tolist()}
            found["double"].append(row | _compare_double(double, batch, alone[1]))
            machines.say(
                f"{name}: {found['gradients'][-1]:.1e} of gradients, {found['double'][-1]}"
            )
    return {
        "name": name,
        "parameters": original.count_params(),
        "least size": network.least,
        "stride": network.stride,
        **found,
        "half": _run_half(trial, original, network, random, numbers[2]),
    }


def _copy(trial: _Trial, original: keras.Model, policy: str) -> "_Network":
    """The same network with another policy of data types."""
    keras.config.set_dtype_policy(policy)
    try:
        model = trial.build()
        network = _Network(model, _convert(model))
    finally:
        keras.config.set_dtype_policy("float32")
    model.set_weights(original.get_weights())
    return network


def _compare_double(
    network: "_Network", batch: tuple[Any, ...], rounded: Sequence[np.ndarray]
) -> dict[str, float]:
    """The differences in float64, and that of the gradients of images alone in float32.

    Where a sum before a ReLU is zero but for rounding, its gradient is there or not.
    """
    alone, packed = network.run_alone(*batch), network.run_packed(*batch)
    return {
        "answers": _compare_answers(packed[0], alone[0]),
        "gradients": _compare_gradients(packed[1], alone[1]),
        "gradients alone in float32": _compare_gradients(rounded, alone[1]),
    }


def _run_half(
    trial: _Trial, original: keras.Model, network: "_Network", random: Any, count: int
) -> dict[str, Any]:
    """Distances of the same network in mixed_bfloat16 from the images alone in float32."""
    half = _copy(trial, original, "mixed_bfloat16")
    squares = np.zeros((2, 4))
    for _ in range(count):
        _, sizes = _draw_sizes(random, network.least, False)
        batch = _make_batch(random, sizes, network.takes_pixels)
        exact = network.run_alone(*batch)
        alone, packed = half.run_alone(*batch), half.run_packed(*batch)
        for index in range(len(tables.MEASURED)):
            squares[index] += (
                _sum_squares(packed[index], exact[index]),
                _sum_squares(alone[index], exact[index]),
                _sum_squares(packed[index], alone[index]),
                _sum_squares(exact[index]),
            )
    return {
        "batches": count,
        **{
            name: {
                key: math.sqrt(square / every)
                for key, square in zip(("packed", "alone", "apart"), others, strict=True)
            }
            for name, (*others, every) in zip(tables.MEASURED, squares, strict=True)
        },
    }


class _Network:
    """A network as Keras has it for images alone, and converted for ragged batches."""

    def __init__(self, original: keras.Model, converted: keras.Model):
        self.takes_pixels = cases.takes_pixels(original)
        entrance = find_entrance(converted)
        self.least, self.stride = entrance.min_size, entrance.canvas_rules.stride
        # One trace for all sizes.
        self._run_image = tf.function(_differentiator(original), input_signature=(_IMAGE, _TARGETS))
        self._run_ragged = tf.function(
            _differentiator(converted), input_signature=(_RAGGED, _TARGETS)
        )

    def run_alone(
        self, images: Sequence[np.ndarray], targets: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Answers to images alone, and the sums of their gradients."""
        answers, sums = [], []
        for image, target in zip(images, targets, strict=True):
            answer, gradients = self._run_image(image[np.newaxis], target[np.newaxis])
            answers.append(answer.numpy())
            gradients = [gradient.numpy().astype("float64") for gradient in gradients]
            sums = [a + b for a, b in zip(sums, gradients, strict=True)] if sums else gradients
        return np.concatenate(answers), sums

    def run_packed(
        self, images: Sequence[np.ndarray], targets: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Answers to a ragged batch, and its gradients."""
        pixels = np.concatenate([image.reshape(-1, 3) for image in images])
        heights = [len(image) for image in images]
        widths = np.repeat([image.shape[1] for image in images], heights)
        rows = tf.RaggedTensor.from_row_lengths(pixels, widths)
        answers, gradients = self._run_ragged(
            tf.RaggedTensor.from_row_lengths(rows, heights), targets
        )
        return answers.numpy(), [gradient.numpy() for gradient in gradients]


def _differentiator(model: keras.Model) -> Callable[..., Any]:
    weights = [weight.value for weight in model.trainable_variables]

    def run(images: Any, targets: Any) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            answers = model(images, training=False)
            answers = tf.cast(answers, tf.float64 if answers.dtype == tf.float64 else tf.float32)
            loss = tf.reduce_sum(answers * tf.cast(targets, answers.dtype))
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        return answers, [tf.convert_to_tensor(gradient) for gradient in gradients]

    return run


def _draw_sizes(random: np.random.Generator, least: int, large: bool) -> tuple[str, np.ndarray]:
    if large:
        return "large", batches.draw_large_batch(random, least, _LARGE)
    return batches.draw_batch(random, least, _MOST)


def _make_batch(
    random: np.random.Generator, sizes: np.ndarray, pixels: bool
) -> tuple[list[np.ndarray], np.ndarray]:
    images = cases.make_images(sizes.tolist(), seed=int(random.integers(2**31)), pixels=pixels)
    # Not all images pull in one direction, so that their gradients do not hide each other.
    return images, random.normal(size=(len(sizes), _CLASSES)).astype("float32")


def _compare_answers(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference over the largest value; infinite for NaN."""
    difference = float(np.abs(found - expected).max() / np.abs(expected).max())
    return math.inf if math.isnan(difference) else difference


def _compare_gradients(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The same of the weights' gradients, each over the largest value of its own."""
    # What is zero but for rounding is no measure.
    largest = max(float(np.abs(gradient).max()) for gradient in expected)
    differences = [
        float(np.abs(first - second).max() / max(np.abs(second).max(), 1e-4 * largest))
        for first, second in zip(found, expected, strict=True)
    ]
    return math.inf if np.isnan(differences).any() else max(differences)


def _sum_squares(found: Any, expected: Any = 0.0) -> float:
    """Sum of squared differences of arrays or of lists of them."""
    if isinstance(found, np.ndarray):
        return float(np.square(np.asarray(found, "float64") - expected).sum())
    if not isinstance(expected, list):
        expected = [expected] * len(found)
    return sum(_sum_squares(*pair) for pair in zip(found, expected, strict=True))


if __name__ == "__main__":
    sys.exit(main())
