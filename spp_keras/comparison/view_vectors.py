"""Vectors that a frozen trunk makes of views of images, kept on disk while they are computed."""

import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import _cache
from spp_keras.comparison.size_forms import ListViews
from spp_keras.evaluation import protocols, score_cache

# Part of cache keys: another number when cached vectors mean something else.
_FORMAT = 1


def compute_vectors(
    images: score_cache.ImageChunks,
    list_views: ListViews,
    pool: Callable[[Any], Any],
    folder: Path,
    description: str,
) -> tuple[np.ndarray, float]:
    """Vectors of all views of all images, one image at a time.

    Views of one size are pooled together, so that what an image gets depends on it alone. Views
    that are the same in two forms, such as those of square images that stay whole and that are
    warped, have the same vectors.

    Args:
        images: The images.
        list_views: Lists the views of an image.
        pool: From images of one size to their vectors.
        folder: Folder of the cache, for this trunk alone.
        description: Text of the progress bar.

    Returns:
        float16 `(images, views, length)`, and the processor's seconds that they took.
    """
    sizes = np.unique(images.records.sizes, axis=0).tolist()
    rule = _cache.make_key(_FORMAT, *(list_views((height, width), 0) for height, width in sizes))
    folders = [folder / rule, folder / f"{rule}-seconds"]

    def make_function() -> score_cache.VectorFunction:
        def pool_views(
            encoded: bytes, size: Any, orientation: Any, background: str
        ) -> list[np.ndarray]:
            decode = protocols.make_decoder(background)
            return _pool_views(encoded, size, orientation, list_views, decode, pool)

        # Traces graphs, whose seconds are not those of an image.
        records = images.records
        first = images.read(0), records.sizes[0], records.orientations[0], records.background
        pool_views(*first)
        return pool_views

    score_cache.fill_caches(images, make_function, folders, description)
    vectors, seconds = (score_cache.load_vectors(images, part) for part in folders)
    return vectors, float(seconds.sum())


def _pool_views(
    encoded: bytes,
    size: Any,
    orientation: Any,
    list_views: ListViews,
    decode: Callable[..., Any],
    pool: Callable[[Any], Any],
) -> list[np.ndarray]:
    began = time.process_time()
    size = (int(size[0]), int(size[1]))
    vectors = []
    for scaled in list_views(size, zlib.crc32(encoded)):
        pixels = decode(encoded, size, scaled.size, int(orientation)).numpy()
        vectors.append(np.asarray(pool(np.stack([_crop(pixels, view) for view in scaled.views]))))
    # Half as much to keep; a network computes no more exactly.
    joined = np.concatenate(vectors).astype("float16")
    return [joined, np.array([time.process_time() - began])]


def _crop(pixels: np.ndarray, view: Any) -> np.ndarray:
    left, top, right, bottom = view.window
    part = pixels[top:bottom, left:right]
    return part[:, ::-1] if view.mirrored else part
