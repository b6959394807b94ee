"""Every public layer described once, in each form in which it can be called."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from spp_keras import layers, zoo
from spp_keras.canvas_rules import CanvasRules

STEP = 8
# Below the bins, above them, dividing evenly and not.
MAP_SIZES = [(13, 9), (5, 4), (12, 18)]


class Subject(NamedTuple):
    """One layer and one way to call it."""

    name: str
    create: Callable[..., keras.layers.Layer]
    """Takes what any Keras layer takes, `dtype` for instance."""
    shapes: dict[str, tuple[int | None, ...]]
    """Call arguments with the sizes that are unknown when a graph is built."""
    inputs: Callable[[int, int], dict[str, np.ndarray]]
    """Call arguments for maps of so many rows and columns."""

    def symbolic(self) -> dict[str, Any]:
        """Keras inputs of unknown size."""
        arguments = self.inputs(*MAP_SIZES[0])
        return {
            name: keras.Input(shape[1:], dtype=arguments[name].dtype, name=name)
            for name, shape in self.shapes.items()
        }

    def model(self) -> keras.Model:
        """A model of the layer alone, from its arguments in their order to its first output."""
        inputs = self.symbolic()
        outputs = flat(self.create()(**inputs))
        return keras.Model(one_or_several(inputs), outputs[0])


def one_or_several(arguments: dict[str, Any]) -> Any:
    """Arguments as a model takes them: a tensor, or a list of several."""
    values = list(arguments.values())
    return values[0] if len(values) == 1 else values


def flat(outputs: Any) -> list[Any]:
    """Outputs of a layer that may give one or several, or `None` for one."""
    return list(outputs) if isinstance(outputs, tuple | list) else [outputs]


def arrays(outputs: Any) -> list[np.ndarray]:
    """The same as arrays, without those that are `None`."""
    return [keras.ops.convert_to_numpy(x) for x in flat(outputs) if x is not None]


MAPS = (None, None, None, 4)
PAIRS = (None, 2)
BOXES = (None, None, 4)


def maps(height: int, width: int) -> np.ndarray:
    generator = np.random.default_rng(height * 100 + width)
    return generator.normal(0, 2, (2, height, width, 4)).astype("float32")


def channels_first(height: int, width: int) -> np.ndarray:
    return np.moveaxis(maps(height, width), -1, 1)


def sizes(height: int, width: int) -> np.ndarray:
    return np.array([[height, width - 2], [height // 2, width]], "int32")


def placements(height: int, width: int) -> np.ndarray:
    """Two images, and a third on the second canvas where it is wide enough."""
    places = [(0, 0, 0, 2, width), (1, 0, 0, height, 3), (1, 0, STEP, 2, 2)]
    return np.array(places if width >= STEP + 2 else places[:2], "int32")


def boxes(height: int, width: int) -> np.ndarray:
    """Of the whole image, inside it, across its border and between two centers."""
    bottom, right = height * STEP, width * STEP
    of_one = [
        (0, 0, right, bottom),
        (0.3 * right, 0.2 * bottom, 0.8 * right, 0.9 * bottom),
        (-50, -30, 0.6 * right, 1.5 * bottom),
        (9, 9, 10, 10),
    ]
    return np.array([of_one, of_one[::-1]], "float32")


def relative_boxes(height: int, width: int) -> np.ndarray:
    return np.array(2 * [[(0.1, 0.2, 0.9, 0.7), (0, 0, 1, 1)]], "float32")


def one_size_at_a_time(dtype: Any = None, **kwargs: Any) -> keras.layers.Layer:
    images = keras.Input((None, None, 4))
    convolution = keras.layers.Conv2D(5, 3, strides=2, padding="same", dtype=dtype)
    pooling = layers.SpatialPyramidPooling((2, 1), data_format="channels_last", dtype=dtype)
    backbone = keras.Model(images, convolution(images))
    return layers.PerImage(backbone, pooling, dtype=dtype, **kwargs)


SUBJECTS = [
    Subject(
        "pyramid-max",
        layers.SpatialPyramidPooling,
        {"inputs": MAPS},
        lambda h, w: {"inputs": maps(h, w)},
    ),
    Subject(
        "pyramid-max-padded",
        layers.SpatialPyramidPooling,
        {"inputs": MAPS, "sizes": PAIRS},
        lambda h, w: {"inputs": maps(h, w), "sizes": sizes(h, w)},
    ),
    Subject(
        "pyramid-average",
        lambda **kwargs: layers.SpatialPyramidPooling((5, (1, 2), 1), "average", **kwargs),
        {"inputs": MAPS},
        lambda h, w: {"inputs": maps(h, w)},
    ),
    Subject(
        "pyramid-average-padded",
        lambda **kwargs: layers.SpatialPyramidPooling(mode="average", **kwargs),
        {"inputs": MAPS, "sizes": PAIRS},
        lambda h, w: {"inputs": maps(h, w), "sizes": sizes(h, w)},
    ),
    Subject(
        "pyramid-channels-first",
        lambda **kwargs: layers.SpatialPyramidPooling(
            (7, (1, 2)), data_format="channels_first", **kwargs
        ),
        {"inputs": (None, 4, None, None)},
        lambda h, w: {"inputs": channels_first(h, w)},
    ),
    Subject(
        "windows-max",
        lambda **kwargs: layers.RoISpatialPyramidPooling(STEP, 3.5, 7, **kwargs),
        {"features": MAPS, "boxes": BOXES},
        lambda h, w: {"features": maps(h, w), "boxes": boxes(h, w)},
    ),
    Subject(
        "windows-average-padded",
        lambda **kwargs: layers.RoISpatialPyramidPooling(
            STEP, levels=((1, 2), 5), mode="average", **kwargs
        ),
        {"features": MAPS, "boxes": BOXES, "sizes": PAIRS},
        lambda h, w: {
            "features": maps(h, w),
            "boxes": boxes(h // 2, w - 2),
            "sizes": sizes(h, w),
        },
    ),
    Subject(
        "windows-relative",
        lambda **kwargs: layers.RoISpatialPyramidPooling(
            STEP,
            bounding_box_format="rel_yxyx",
            data_format="channels_first",
            **kwargs,
        ),
        {"features": (None, 4, None, None), "boxes": BOXES, "image_sizes": PAIRS},
        lambda h, w: {
            "features": channels_first(h, w),
            "boxes": relative_boxes(h, w),
            "image_sizes": STEP * sizes(h, w),
        },
    ),
    Subject(
        "windows-moving",
        # Of three convolutions of kernel 3 and stride 2 with "same" padding.
        lambda **kwargs: layers.RoISpatialPyramidPooling(
            STEP, 7, 14, (0, -7, -6, -5, -4, -3, -2, -1), levels=(2, 1), **kwargs
        ),
        {"features": MAPS, "boxes": BOXES, "image_sizes": PAIRS},
        lambda h, w: {
            "features": maps(h, w),
            "boxes": boxes(h // 2, w - 2),
            "image_sizes": STEP * sizes(h, w) - np.array([[0, 3], [7, 5]], "int32"),
        },
    ),
    Subject(
        "adaptive-max",
        lambda **kwargs: layers.AdaptiveMaxPooling2D((3, 2), **kwargs),
        {"inputs": MAPS},
        lambda h, w: {"inputs": maps(h, w)},
    ),
    Subject(
        "adaptive-average-padded",
        lambda **kwargs: layers.AdaptiveAveragePooling2D(1, **kwargs),
        {"inputs": MAPS, "sizes": PAIRS},
        lambda h, w: {"inputs": maps(h, w), "sizes": sizes(h, w)},
    ),
    Subject(
        "adaptive-max-channels-first-padded",
        lambda **kwargs: layers.AdaptiveMaxPooling2D(5, "channels_first", **kwargs),
        {"inputs": (None, 4, None, None), "sizes": PAIRS},
        lambda h, w: {"inputs": channels_first(h, w), "sizes": sizes(h, w)},
    ),
    Subject(
        "roi-pool-padded",
        lambda **kwargs: layers.RoIPool((3, 2), 1 / STEP, **kwargs),
        {"features": MAPS, "boxes": BOXES, "sizes": PAIRS},
        lambda h, w: {"features": maps(h, w), "boxes": boxes(h, w), "sizes": sizes(h, w)},
    ),
    Subject(
        "roi-align-padded",
        lambda **kwargs: layers.RoIAlign(3, 1 / STEP, aligned=True, **kwargs),
        {"features": MAPS, "boxes": BOXES, "sizes": PAIRS},
        lambda h, w: {"features": maps(h, w), "boxes": boxes(h, w), "sizes": sizes(h, w)},
    ),
    Subject(
        "roi-align-channels-first",
        lambda **kwargs: layers.RoIAlign(
            (2, 3), 1 / STEP, sampling_ratio=2, data_format="channels_first", **kwargs
        ),
        {"features": (None, 4, None, None), "boxes": BOXES},
        lambda h, w: {"features": channels_first(h, w), "boxes": boxes(h, w)},
    ),
    Subject(
        "normalization-across",
        lambda **kwargs: layers.LocalResponseNormalization(alpha=0.1, **kwargs),
        {"inputs": MAPS},
        lambda h, w: {"inputs": maps(h, w)},
    ),
    Subject(
        "normalization-within",
        lambda **kwargs: layers.LocalResponseNormalization(
            "within", size=3, alpha=0.2, beta=0.6, bias=1.5, **kwargs
        ),
        {"inputs": MAPS},
        lambda h, w: {"inputs": maps(h, w)},
    ),
    Subject(
        "images-of-one-size",
        lambda **kwargs: layers.PadRagged(2, **kwargs),
        {"images": MAPS},
        lambda h, w: {"images": maps(h, w)},
    ),
    Subject(
        "images-padded",
        lambda **kwargs: layers.PadRagged(2, **kwargs),
        {"images": MAPS, "sizes": PAIRS},
        lambda h, w: {"images": maps(h, w), "sizes": sizes(h, w)},
    ),
    Subject(
        "images-on-canvases",
        lambda **kwargs: layers.PadRagged(2, CanvasRules(STEP), **kwargs),
        {"images": MAPS, "placements": (None, 5)},
        lambda h, w: {"images": maps(h, w), "placements": placements(h, w)},
    ),
    Subject(
        "backbone-of-one-size",
        one_size_at_a_time,
        {"images": MAPS},
        lambda h, w: {"images": maps(h, w)},
    ),
    Subject(
        "backbone-padded",
        one_size_at_a_time,
        {"images": MAPS, "sizes": PAIRS},
        lambda h, w: {"images": maps(h, w), "sizes": sizes(h, w)},
    ),
]

every_subject = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)


IMAGE_SIZES = [(64, 50), (31, 90), (70, 71)]
EXPORTED = [
    *(
        subject.name
        for subject in SUBJECTS
        if subject.name.startswith(("pyramid", "windows", "adaptive", "roi", "normalization"))
        # Others have their operations, too.
        and subject.name
        not in (
            "pyramid-average",
            "adaptive-max",
            "adaptive-average-padded",
            "roi-align-channels-first",
        )
    ),
    "zf5_spp",
    "zf5_spp_with_sizes",
]


def to_export(name: str) -> tuple[keras.Model, list[dict[str, np.ndarray]]]:
    """One of `EXPORTED` as a model, and what to ask it at three sizes."""
    if name.startswith("zf5_spp"):
        model = zoo.zf5_spp(classes=4, width=0.05)
        images = np.random.default_rng(0).uniform(0, 255, (3, 70, 90, 3)).astype("float32")
        if name == "zf5_spp_with_sizes":
            sizes = np.array(IMAGE_SIZES, "int32")
            return zoo.with_sizes(model), [{"images": images, "sizes": sizes}]
        return model, [{"images": images[:, :h, :w]} for h, w in IMAGE_SIZES]
    subject = next(subject for subject in SUBJECTS if subject.name == name)
    return subject.model(), [subject.inputs(height, width) for height, width in MAP_SIZES]


def answer(model: keras.Model, request: dict[str, np.ndarray]) -> np.ndarray:
    """What the model itself answers to a request."""
    return np.asarray(model(request if isinstance(model.input, dict) else one_or_several(request)))
