"""Proposals of all images of a data set, searched for once."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from spp_keras import _cache, _checks, _progress
from spp_keras.data import image_ops, image_reader, records
from spp_keras.detection import selective_search

# Part of the name of cache files: another number when they mean something else.
_FORMAT = "1"


def propose_boxes(
    found: records.Records, *, threads: int | None = None, progress: bool = True
) -> list[np.ndarray]:
    """Boxes of each image that may hold an object, by `selective_search`.

    About a second an image and a core, the first time. The boxes of each image are
    kept as soon as they are there, in `spp_keras/proposals` in the folder that
    `XDG_CACHE_HOME` names (`~/.cache` by default), so that a run that was stopped
    goes on where it was. They are found again by the bytes of the image, whatever
    its name, for as long as OpenCV's version is the same.

    Args:
        found: The images.
        threads: How many images are searched at a time. OpenCV and TensorFlow
            work outside of Python's lock. Defaults to the number of cores.
        progress: Whether to show a bar on standard error. Defaults to `True`.

    Returns:
        For each image float32 `(n, 4)`, left, top, right and bottom in pixels, ends
        exclusive, the best first, at most 2000.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("cat", "dog"):
    ...     (root / "train" / name).mkdir(parents=True)
    ...     image = np.full((20, 30, 3), 255, "uint8")
    ...     keras.utils.save_img(root / "train" / name / "1.png", image)
    >>> [boxes.tolist() for boxes in propose_boxes(records.load(root, "train"))]
    [[[0.0, 0.0, 30.0, 20.0]], [[0.0, 0.0, 30.0, 20.0]]]
    """
    threads = os.cpu_count() or 1 if threads is None else _checks.at_least(threads, 1, "threads")
    settings = (
        _FORMAT,
        selective_search.import_opencv().__version__,
        selective_search.MAX_BOXES,
        selective_search.MIN_SIDE,
        selective_search.LONGEST_SIDE,
    )
    cache = _cache.ArrayCache(
        _cache.user_folder("proposals"),
        on_write_error="Proposals will be searched for again next time",
    )
    propose_one = functools.partial(_propose_one, found, cache, settings)
    pool = ThreadPoolExecutor(threads)
    try:
        return list(
            _progress.create_bar(
                pool.map(propose_one, range(len(found))),
                f"Proposals for {found.name}",
                total=len(found),
                disable=not progress,
            )
        )
    finally:
        # Ctrl-C and errors wait for the images begun, not for all.
        pool.shutdown(cancel_futures=True)


def _propose_one(
    found: records.Records, cache: _cache.ArrayCache, settings: tuple, i: int
) -> np.ndarray:
    try:
        encoded = image_reader.read_span(found.files, found.spans[i])
        orientation = int(found.orientations[i])
        key = _cache.make_key(settings, encoded, orientation)
        arrays = cache.load(key)
        if arrays is None:
            pixels = _pixels(encoded, found.sizes[i], orientation)
            arrays = {"boxes": selective_search.selective_search(pixels)}
            cache.save(key, arrays)
        return arrays["boxes"]
    # OpenCV and TensorFlow raise errors of their own, also for want of memory.
    except Exception as error:
        raise RuntimeError(
            f"No proposals were found for image {str(found.ids[i])!r} of {found.name}: {error} "
            f"Those of earlier images are kept. If memory was short, pass fewer `threads`; if "
            f"the file has changed, load the data again."
        ) from error


def _pixels(encoded: bytes, size: np.ndarray, orientation: int) -> np.ndarray:
    # As the network will see them.
    with tf.device("CPU:0"):
        pixels = image_ops.decode_image(encoded, orientation).numpy()
    if pixels.shape[:2] != tuple(size):
        raise ValueError(f"it should have {size[0]}x{size[1]} pixels and has {pixels.shape[:2]}.")
    return pixels
