"""Vectors of all images of a split, such as scores, kept on disk while they are computed."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import _cache, _progress
from spp_keras.data import image_reader
from spp_keras.data.records import Records

# From an image's bytes, size, orientation and background to one vector for each cache.
VectorFunction = Callable[..., Sequence[np.ndarray]]

# Images of a file: what a killed process loses at most, which at 96 views is minutes.
_CHUNK = 16


class ImageChunks:
    """The images of a split in chunks, with a cache key of each chunk's content.

    Args:
        records: The records of the split.
    """

    def __init__(self, records: Records):
        self.records = records
        self._reader = image_reader.ImageReader(records.files, records.spans)
        count = len(records)
        self.chunks = [
            range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)
        ]
        with _progress.create_bar(description=f"Reading {records.name}", total=count) as bar:
            self.keys = [self._make_key(chunk, bar) for chunk in self.chunks]

    def read(self, index: int) -> bytes:
        """The encoded image with an index."""
        return self._reader.read(self._reader.row(index)).numpy()

    def _make_key(self, chunk: range, bar: Any) -> str:
        return _cache.make_key(
            *(
                _cache.make_key(
                    self.read(index),
                    int(self.records.orientations[index]),
                    self.records.background,
                )
                for index in _count(chunk, bar)
            )
        )


def compute_scores(
    images: ImageChunks,
    make_scorer: Callable[[], Callable[..., np.ndarray]],
    folder: Path,
    description: str,
) -> np.ndarray:
    """One vector of each image, `fill_caches` and `load_vectors` of one folder.

    Args:
        images: The images.
        make_scorer: Makes the function from an image's bytes, size, orientation and
            background to its vector. Not called if all are cached.
        folder: Folder of the cache.
        description: Text of the progress bar.

    Returns:
        float32 `(images, length)`.
    """

    def make_function() -> VectorFunction:
        score = make_scorer()
        return lambda *image: [score(*image)]

    fill_caches(images, make_function, [folder], description)
    return load_vectors(images, folder)


def fill_caches(
    images: ImageChunks,
    make_function: Callable[[], VectorFunction],
    folders: Sequence[Path],
    description: str,
) -> None:
    """Computes the vectors of all images that are not cached yet.

    Args:
        images: The images.
        make_function: Makes the function that computes the vectors of an image. Not called
            if all are cached.
        folders: Folder of the cache of each vector, for nothing that would give others.
        description: Text of the progress bar.
    """
    caches = [_cache.ArrayCache(folder) for folder in folders]
    missing = [
        (chunk, key)
        for chunk, key in zip(images.chunks, images.keys, strict=True)
        if any(cache.load(key) is None for cache in caches)
    ]
    if not missing:
        return
    function = make_function()
    count = len(images.records)
    initial = count - sum(len(chunk) for chunk, _ in missing)
    with _progress.create_bar(description=description, total=count, initial=initial) as bar:
        for chunk, key in missing:
            computed = [_compute(function, images, index) for index in _count(chunk, bar)]
            for cache, vectors in zip(caches, zip(*computed, strict=True), strict=True):
                cache.save(key, {"vectors": np.stack(vectors)})


def load_vectors(images: ImageChunks, folder: Path) -> np.ndarray:
    """The vectors of all images that `fill_caches` has cached: float32 `(images, length)`."""
    cache = _cache.ArrayCache(folder)
    chunks = [cache.load(key) for key in images.keys]
    if any(chunk is None for chunk in chunks):
        raise OSError(f"Cached scores in {str(folder)!r} are gone: run the same again.")
    return np.concatenate([chunk["vectors"] for chunk in chunks if chunk])


def _compute(function: VectorFunction, images: ImageChunks, index: int) -> Sequence[np.ndarray]:
    records = images.records
    vectors = function(
        images.read(index), records.sizes[index], records.orientations[index], records.background
    )
    if not all(np.isfinite(vector).all() for vector in vectors):
        raise ValueError(
            f"The scores of the image {str(records.ids[index])!r} are not finite: the "
            "weights of the network are broken. Take another run."
        )
    return vectors


def _count(chunk: range, bar: Any) -> Iterator[int]:
    for index in chunk:
        yield index
        bar.update()
