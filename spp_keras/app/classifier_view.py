"""What the page shows of a network: the whole photograph, the warped one, any window."""

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
from spp_keras.run_folder import RunFolder
from spp_keras.zoo import layer_chain, model_parts

_PAIR = tf.TensorSpec((2,), tf.int32)


class ClassifierView:
    """A network that sees a photograph once and then answers for windows of its map.

    Args:
        run: Run folder of a network with a pyramid.
        max_pixels: How many a photograph may have. Defaults to
            `photographs.MOST_PIXELS`.

    Attributes:
        name: Name of the network.
        labels: Name of each class.
        orientation: `"exif"` or `"file"`, which way up it takes photographs.
        score_threshold: `None`, since every class has a score.
    """

    score_threshold = None

    def __init__(self, run: str | Path, max_pixels: int = image_decoding.MAX_PIXELS):
        self._recipe = RunFolder(run).recipe
        if not self._recipe.model.endswith("_spp"):
            raise ValueError(
                "`run` must be of a network with a pyramid, which takes photographs as they are: "
                f"train {self._recipe.model}_spp. Received: {self._recipe.model} in "
                f"run={str(run)!r}."
            )
        run_files = RunFolder(run)
        network, self.labels, view = run_files.model, run_files.labels, run_files.size_policy
        self.orientation = run_files.orientation
        self.name = network.name
        self._min_side = layer_chain.min_image_size(network)
        self._decode = image_decoding.make_decoder(
            view, self._min_side, max_pixels, self.orientation
        )
        self._halves = model_parts.split_model(network)
        self._pool = model_parts.make_roi_pooling(self._halves)
        maps = tf.TensorSpec((1, None, None, self._halves.trunk.output_shape[-1]))
        pixels, box = tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((1, 4))
        self._map = tf.function(self._convolve, input_signature=[pixels], autograph=False)
        self._whole = tf.function(self._score_whole, input_signature=[maps], autograph=False)
        self._part = tf.function(self._score_part, input_signature=[maps, box], autograph=False)
        file = tf.TensorSpec((), tf.string)
        turn = 1 if self.orientation == "file" else None
        self._squeeze = tf.function(
            lambda image, size, target: image_ops.decode_resized(image, size, target, turn),
            input_signature=[file, _PAIR, _PAIR],
            autograph=False,
        )

    def look(self, image: bytes) -> ImageResult:
        """The scores of a photograph, whole and warped, and the map for its windows.

        Args:
            image: Bytes of a file.
        """
        photograph = self._decode(image)
        start = time.perf_counter()
        feature_map = self._map(photograph.pixels)
        # Read, since it may still be on its way on an accelerator.
        feature_map.numpy()
        mapped = time.perf_counter()
        scores = self._whole(feature_map).numpy()
        scored = time.perf_counter()
        side, square = warp_size(self._recipe, photograph.seen, self._min_side)
        squeezed = self._squeeze(image, photograph.size, (side, side))
        warped = self._whole(self._map(squeezed)).numpy()
        answer = {
            "cells": list(feature_map.shape[1:3]),
            "milliseconds": {
                "map": elapsed_milliseconds(start, mapped),
                "scores": elapsed_milliseconds(mapped, scored),
            },
            "whole": {"scores": top_classes(scores, self.labels)},
            "warped": {"scores": top_classes(warped, self.labels), "side": side, "square": square},
        }
        return ImageResult((feature_map,), photograph.size, photograph.seen, answer)

    def window(self, look: ImageResult, window: box_input.Box) -> dict[str, Any]:
        """The scores of a window, from the map that was kept.

        Args:
            look: What `look` gave.
            window: Left, top, right and bottom in pixels of the photograph.
        """
        start = time.perf_counter()
        box = box_input.scale_box(window, look.size, look.seen)
        scores, cells = self._part(look.maps[0], box[np.newaxis])
        scores = scores.numpy()
        taken = elapsed_milliseconds(start, time.perf_counter())
        top, left, bottom, right = cells.numpy().tolist()
        return {
            "scores": top_classes(scores, self.labels),
            "cells": [bottom - top, right - left],
            "milliseconds": {"window": taken},
        }

    def _convolve(self, pixels: Any) -> Any:
        return self._halves.trunk(tf.cast(pixels, tf.float32)[tf.newaxis], training=False)

    def _score_whole(self, maps: Any) -> Any:
        return self._halves.apply_top(self._halves.pooling(maps))[0]

    def _score_part(self, maps: Any, box: Any) -> tuple[Any, Any]:
        first = tf.zeros((1,), tf.int32)
        cells = self._pool.windows(box, first, tf.shape(maps)[tf.newaxis, 1:3])
        return self._halves.apply_top(self._pool.pool(maps, cells, first))[0], cells[0]


def warp_size(recipe: recipes.Recipe, seen: tuple[int, int], min_side: int) -> tuple[int, str]:
    """Side of the square that a network without pyramid would see in place of a photograph.

    Args:
        recipe: How the network was trained.
        seen: Height and width of what the network sees of the photograph.
        min_side: The least that it can map.

    Returns:
        The side, and which square that is: the largest crop of a training by
        crops, the largest square of one by warped images, the short side of one
        by whole images. A training on images of their own size has none, so
        there it is one of as many pixels as are seen.

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
    return max(min_side, round(math.sqrt(seen[0] * seen[1]))), "as many pixels"
