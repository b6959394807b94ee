"""The app's results of a classifier: the whole image, the warped one, any box."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import recipes
from spp_keras.app import box_input, image_decoding
from spp_keras.app.image_result import ImageResult, elapsed_milliseconds, top_classes
from spp_keras.data import image_ops
from spp_keras.models import graph_run
from spp_keras.run_folder import RunFolder
from spp_keras.zoo import model_parts

_PAIR = tf.TensorSpec((2,), tf.int32)


class ClassifierView:
    """A classifier that convolves an image once and then scores boxes of its feature map.

    Args:
        run: The run, or its folder, of a network with a pyramid.
        max_pixels: Pixels that an image may have. Defaults to
            `image_decoding.MAX_PIXELS`.

    Attributes:
        name: Name of the network.
        labels: Names of the classes.
        orientation: `"exif"` or `"file"`, how image files are oriented.
        score_threshold: `None`, since every class has a score.
    """

    score_threshold = None

    def __init__(self, run: str | Path | RunFolder, max_pixels: int = image_decoding.MAX_PIXELS):
        run = run if isinstance(run, RunFolder) else RunFolder(run)
        self._recipe = run.recipe
        if not self._recipe.has_pyramid:
            raise ValueError(
                "`run` must be of a network with a pyramid, which takes images of any size: "
                f"train {self._recipe.model}_spp. Received: {self._recipe.model} in "
                f"run={str(run.path)!r}."
            )
        model, self.labels, self.orientation = run.model, run.labels, run.orientation
        self.name = model.name
        self._min_side = graph_run.min_image_size(model)
        self._decode = image_decoding.make_decoder(
            run.size_policy, self._min_side, max_pixels, self.orientation, run.background
        )
        self._parts = model_parts.split_model(model)
        self._roi_pooling = model_parts.make_roi_pooling(self._parts)
        feature_map = tf.TensorSpec((1, None, None, self._parts.trunk.output_shape[-1]))
        pixels, box = tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((1, 4))
        self._convolve = tf.function(
            self._compute_feature_map, input_signature=[pixels], autograph=False
        )
        self._score_whole = tf.function(
            self._compute_scores, input_signature=[feature_map], autograph=False
        )
        self._score_box = tf.function(
            self._compute_box_scores, input_signature=[feature_map, box, _PAIR], autograph=False
        )
        file = tf.TensorSpec((), tf.string)
        turn = 1 if self.orientation == "file" else None
        self._warp = tf.function(
            lambda image, size, target: image_ops.decode_resized(
                image, size, target, turn, run.background
            ),
            input_signature=[file, _PAIR, _PAIR],
            autograph=False,
        )

    def predict(self, image: bytes) -> ImageResult:
        """Scores an image, whole and warped, and keeps its feature map for boxes.

        Args:
            image: Bytes of a file.
        """
        decoded = self._decode(image)
        start = time.perf_counter()
        feature_map = self._convolve(decoded.pixels)
        # Waits for the result, which an accelerator may still be computing.
        feature_map.numpy()
        convolved = time.perf_counter()
        scores = self._score_whole(feature_map).numpy()
        scored = time.perf_counter()
        side, source = warp_size(self._recipe, decoded.decoded_size, self._min_side)
        warped = self._warp(decoded.file, decoded.size, (side, side))
        warped_scores = self._score_whole(self._convolve(warped)).numpy()
        values = {
            "cells": list(feature_map.shape[1:3]),
            "milliseconds": {
                "feature_map": elapsed_milliseconds(start, convolved),
                "scores": elapsed_milliseconds(convolved, scored),
            },
            "whole": {"scores": top_classes(scores, self.labels)},
            "warped": {
                "scores": top_classes(warped_scores, self.labels),
                "image_size": side,
                "source": source,
            },
        }
        return ImageResult((feature_map,), decoded.size, decoded.decoded_size, values)

    def predict_box(self, result: ImageResult, box: box_input.Box) -> dict[str, Any]:
        """Scores a box from the feature map of its image.

        Args:
            result: The result of `predict`.
            box: Left, top, right and bottom in pixels of the image.
        """
        start = time.perf_counter()
        scaled = box_input.scale_box(box, result.size, result.decoded_size)
        decoded_size = np.array(result.decoded_size, "int32")
        scores, cells = self._score_box(result.feature_maps[0], scaled, decoded_size)
        scores = scores.numpy()
        milliseconds = elapsed_milliseconds(start, time.perf_counter())
        top, left, bottom, right = cells.numpy().tolist()
        return {
            "scores": top_classes(scores, self.labels),
            "cells": [bottom - top, right - left],
            "milliseconds": {"box": milliseconds},
        }

    def _compute_feature_map(self, pixels: Any) -> Any:
        return self._parts.trunk(tf.cast(pixels, tf.float32)[tf.newaxis], training=False)

    def _compute_scores(self, feature_map: Any) -> Any:
        return self._parts.apply_top(self._parts.pooling(feature_map))[0]

    def _compute_box_scores(
        self, feature_map: Any, boxes: Any, decoded_size: Any
    ) -> tuple[Any, Any]:
        batch_indices = tf.zeros((1,), tf.int32)
        map_sizes = tf.shape(feature_map)[tf.newaxis, 1:3]
        cells = self._roi_pooling.windows(boxes, batch_indices, map_sizes, decoded_size[tf.newaxis])
        vectors = self._roi_pooling.pool(feature_map, cells, batch_indices)
        return self._parts.apply_top(vectors)[0], cells[0]


def warp_size(
    recipe: recipes.Recipe, decoded_size: tuple[int, int], min_side: int
) -> tuple[int, str]:
    """Side of the square that a network without a pyramid would see in place of an image.

    Args:
        recipe: How the network was trained.
        decoded_size: Height and width at which the network sees the image.
        min_side: Smallest side that it can map.

    Returns:
        The side, and where it comes from: the largest crop or warped square of the
        training, its short side if it was by whole images; or, if every image kept its
        own size, a square of as many pixels as the network sees.

    Example:

    >>> warp_size(recipes.Recipe(size_policy="alternating", image_sizes=(224, 180)), (256, 400), 29)
    (224, "the training's crop")
    >>> warp_size(recipes.Recipe(size_policy="native"), (40, 1000), 29)
    (200, 'as many pixels')
    """
    if recipe.image_sizes:
        kind = "square" if recipe.size_policy == "warped" else "crop"
        return max(recipe.image_sizes), f"the training's {kind}"
    if recipe.size_policy == "whole":
        return recipe.short_side, "the training's short side"
    pixels = decoded_size[0] * decoded_size[1]
    return max(min_side, round(math.sqrt(pixels))), "as many pixels"
