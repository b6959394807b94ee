"""Proposals of all images of a data set by selective search, cached on disk."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from spp_keras import _cache, _checks, _progress
from spp_keras.data import image_ops, image_reader
from spp_keras.data.records import Records
from spp_keras.detection import selective_search

# Part of the keys of the cache: change it when the boxes of the same settings change.
_FORMAT = "1"


def propose_boxes(
    records: Records, *, threads: int | None = None, progress: bool = True
) -> list[np.ndarray]:
    """Proposals of each image by `selective_search`: boxes that may hold an object.

    The first time it takes about a second an image and core. The proposals of each image
    are cached at once, in `spp_keras/proposals` in the folder that `XDG_CACHE_HOME` names
    (`~/.cache` by default), so that a killed run resumes. The cache depends on the bytes
    of the image, not on its name, and on OpenCV's version.

    Args:
        records: The images.
        threads: Images that are searched at the same time. OpenCV and TensorFlow release
            Python's lock. Defaults to `None`, the number of cores.
        progress: Whether to show a progress bar. Defaults to `True`.

    Returns:
        For each image float32 `(n, 4)`, left, top, right and bottom in pixels, ends
        exclusive, the best first, at most 2000.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from spp_keras.data.records import load_records
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("cat", "dog"):
    ...     (root / "train" / name).mkdir(parents=True)
    ...     image = np.full((20, 30, 3), 255, "uint8")
    ...     keras.utils.save_img(root / "train" / name / "1.png", image)
    >>> [boxes.tolist() for boxes in propose_boxes(load_records(root, "train"))]
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
    propose_image = functools.partial(_propose_image, records, cache, settings)
    pool = ThreadPoolExecutor(threads)
    try:
        return list(
            _progress.create_bar(
                pool.map(propose_image, range(len(records))),
                f"Proposals for {records.name}",
                total=len(records),
                disable=not progress,
            )
        )
    finally:
        # After an error or Ctrl-C, wait for the images under way only.
        pool.shutdown(cancel_futures=True)


def _propose_image(
    records: Records, cache: _cache.ArrayCache, settings: tuple, index: int
) -> np.ndarray:
    image = f"image {str(records.ids[index])!r} of {records.name}"
    try:
        encoded = image_reader.read_span(records.files, records.spans[index])
        orientation = int(records.orientations[index])
        key = _cache.make_key(settings, encoded, orientation, records.background)
        arrays = cache.load(key)
        if arrays is None:
            pixels = _decode(encoded, orientation, records.background)
            _check_size(pixels, tuple(records.sizes[index].tolist()), image)
            arrays = {"boxes": selective_search.selective_search(pixels)}
            cache.save(key, arrays)
        return arrays["boxes"]
    # OpenCV and TensorFlow have errors of their own, also when memory runs out.
    except Exception as error:
        error.add_note(
            f"This was the {image}. The proposals of earlier images are kept. If memory was "
            "short, pass fewer `threads`."
        )
        raise


def _decode(encoded: bytes, orientation: int, background: str) -> np.ndarray:
    # The same pixels as the network's.
    with tf.device("CPU:0"):
        return image_ops.decode_image(encoded, orientation, background).numpy()


def _check_size(pixels: np.ndarray, expected: tuple[int, int], image: str) -> None:
    if pixels.shape[:2] != expected:
        height, width = pixels.shape[:2]
        raise ValueError(
            f"`records` must be of the files as they are. Received: {image} with {height}x{width} "
            f"pixels, of which the record says {expected[0]}x{expected[1]}: load the data again."
        )
