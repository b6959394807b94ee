"""Input layer of networks for any image size: ragged images on canvases, or padded."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from spp_keras import _checks
from spp_keras._private_apis import find_producer
from spp_keras.canvas_rules import CanvasRules
from spp_keras.cell_counts import CellCount
from spp_keras.layers import canvas_checks
from spp_keras.ops import _assertions, _inputs


@keras.saving.register_keras_serializable(package="spp_keras")
class PadRagged(keras.layers.Layer):
    """Turns images of different sizes into dense canvases and their places on these.

    The first layer of a network that takes any size, see `spp_keras.any_size`. Ragged images
    are laid on few canvases, as close to each other as `canvas_rules` allow. A batch of
    images of one size passes through, with `None` for the sizes, at no cost. What lies beyond
    images is left as it is.

    Args:
        min_size: The shortest side that the following layers accept. Images
            with a shorter one are refused. Defaults to 1.
        canvas_rules: `CanvasRules` of the following layers, or their configuration: how
            close images may lie on one canvas. Defaults to `None`, one image a canvas:
            ragged images are padded with zeros.
        equal_cells: Layers that merge maps which have one size for some image sizes alone,
            `(name, axis, steps, steps)` with the steps of both `CellCount`s. Images of other
            sizes are refused. Defaults to none.
        layer_order: Names of the layers with weights of the network in the order in which
            `ImageModel` lists them. Defaults to the order of its graph.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        images: A tensor `(batch, height, width, channels)`, or a
            `tf.RaggedTensor` `(batch, (height), (width), channels)`.
        sizes: Integer tensor `(batch, 2)`, height and width of each image of a
            batch that is padded already. Defaults to the size of the batch.
        placements: Integer tensor `(images, 5)`: canvas, top, left, height and width of each
            image where `images` are canvases with any number of images. Defaults to `None`.
        training: Whether ragged images are laid out for training. Defaults to `None`, not.

    Output:
        A tensor `(batch, height, width, channels)`, and the sizes or placements as an int32
        tensor, or `None` where every image has the size of the batch. Ragged images have
        placements where there are `canvas_rules`, else sizes.

    Example:

    >>> images, sizes = PadRagged()(np.ones((2, 3, 4, 3)))
    >>> tuple(images.shape), sizes
    ((2, 3, 4, 3), None)
    """

    # Each cell lies where its input cell lies, see `spp_keras.model_geometry`.
    keeps_cells = True

    def __init__(
        self,
        min_size: int = 1,
        canvas_rules: CanvasRules | dict[str, Any] | None = None,
        equal_cells: Sequence[Any] = (),
        layer_order: Sequence[str] = (),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.min_size = _checks.at_least(min_size, 1, "min_size")
        if isinstance(canvas_rules, dict):
            canvas_rules = CanvasRules.from_config(canvas_rules)
        self.canvas_rules = canvas_rules
        self.equal_cells = [
            (name, axis, CellCount.from_steps(first), CellCount.from_steps(second))
            for name, axis, first, second in equal_cells
        ]
        self.layer_order = tuple(layer_order)
        if keras.backend.backend() == "tensorflow":
            # XLA has no ragged tensors, and would compile anew for every size.
            self.supports_jit = False

    def build(
        self, images_shape: Any, sizes_shape: Any = None, placements_shape: Any = None
    ) -> None:
        _checks.feature_maps(images_shape, "channels_last", "images")

    def call(
        self, images: Any, sizes: Any = None, placements: Any = None, training: Any = None
    ) -> Any:
        if _inputs.is_ragged(images):
            if sizes is not None or placements is not None:
                raise ValueError("`sizes` must be None for ragged `images`, which hold their own.")
            images, sizes = self._make_dense(images, training)
        elif sizes is not None:
            sizes = _assertions.check_sizes(sizes, images)
        checks = []
        if placements is not None:
            sizes = placements = _assertions.check_placements(placements, images)
            checks.append(canvas_checks.check_distances(placements, self.canvas_rules))
        checks.append(self._check_least(images, sizes))
        checks += canvas_checks.check_equal_cells(images, sizes, self.equal_cells)
        return _assertions.after_checks(checks, images), sizes

    def _make_dense(self, images: Any, training: Any) -> tuple[Any, Any]:
        """Ragged images on canvases, or padded to one size, and their placements or sizes."""
        if self.canvas_rules is None:
            return _inputs.to_dense(images, "images")
        from spp_keras.packing import draw_canvases, plan_canvases

        sizes = _inputs.item_sizes(images, "images")
        layout = plan_canvases(sizes, self.canvas_rules, training is True)
        pixels = ops.reshape(images.flat_values, (-1, images.shape[-1]))
        return draw_canvases(pixels, layout), layout.placements

    def _check_least(self, images: Any, sizes: Any) -> Any:
        message = (
            f"Every image must be at least {self.min_size} pixels high and wide, the least that "
            "this network can map: enlarge or drop the smaller ones."
        )
        _, height, width, _ = ops.shape(images)
        if sizes is not None:
            sizes = sizes[:, -2:]
            holds = ops.all(sizes >= self.min_size, axis=1)
            return _assertions.require(holds, message, "height and width", sizes)
        if isinstance(height, int) and isinstance(width, int):
            # Said here, or the layers behind would fail to be traced first.
            if min(height, width) < self.min_size:
                raise ValueError(f"{message} Received: height and width={[height, width]}.")
            return None
        holds = ops.minimum(height, width) >= self.min_size
        sides = ops.stack([height, width])
        return _assertions.require(holds, message, "height and width", sides, ("the whole batch",))

    def compute_output_spec(
        self, images: Any, sizes: Any = None, placements: Any = None, training: Any = None
    ) -> Any:
        if sizes is None and placements is None:
            _refuse_sizes(images)
        places = (None, 5) if placements is not None else (images.shape[0], 2)
        return (
            keras.KerasTensor(images.shape, self.compute_dtype),
            keras.KerasTensor(places, "int32"),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "min_size": self.min_size,
            "canvas_rules": None if self.canvas_rules is None else self.canvas_rules.get_config(),
            "equal_cells": [
                (name, axis, first.steps, second.steps)
                for name, axis, first, second in self.equal_cells
            ],
            "layer_order": self.layer_order,
        }


# What Keras says is missing where a plain functional model is sent `{"images", "sizes"}`.
_REFUSED = "images_without_sizes"


def _refuse_sizes(images: Any) -> None:
    """Makes a plain functional model that has no input for sizes refuse a dictionary with them.

    Keras picks from a dictionary what the model's inputs are named after and drops the rest:
    padding would count as picture. By a name that is in no such dictionary it raises. The
    tensor keeps its name, after which exported signatures name their argument.
    """
    layer: Any = find_producer(images)
    if isinstance(layer, keras.layers.InputLayer) and layer.name in ("images", _REFUSED):
        layer.name, images.name = _REFUSED, "images"
