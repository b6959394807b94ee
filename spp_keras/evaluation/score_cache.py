"""A pass over images of which what is made is kept on disk, so that what was killed goes on."""

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tqdm

from spp_keras import _files
from spp_keras.data import image_reader, records

# Images to a file: what a kill costs at most, which at 96 views is minutes.
_CHUNK = 16


class ImageChunks:
    """The images of a split, and what is in them, a chunk at a time.

    Args:
        found: The records.
    """

    def __init__(self, found: records.Records):
        self.found = found
        self._reader = image_reader.ImageReader(found.files, found.spans)
        self.chunks = [
            range(first, min(first + _CHUNK, len(found))) for first in range(0, len(found), _CHUNK)
        ]
        with _bar(len(found), f"Reading {found.name}") as bar:
            self.contents = [self._content(chunk, bar) for chunk in self.chunks]

    def encoded(self, number: int) -> bytes:
        """The file of an image."""
        return self._reader.read(self._reader.row(number)).numpy()

    def _content(self, chunk: range, bar: tqdm.tqdm) -> str:
        """Names what is in the files of some images, whatever these are called."""
        digests = hashlib.sha256()
        for number in chunk:
            digests.update(hashlib.sha256(self.encoded(number)).digest())
            orientation = int(self.found.orientations[number])
            # Those of upright images keep the names that they always had.
            digests.update(b"orientation %d" % orientation if orientation != 1 else b"")
            bar.update()
        return digests.hexdigest()


def cached_scores(
    images: ImageChunks,
    scorer: Callable[[], Callable[..., np.ndarray]],
    folder: Path,
    what: str,
) -> np.ndarray:
    """One vector of each image; `fill_cache` of one folder and `load_cached`.

    Args:
        images: The images.
        scorer: Makes what makes the vector from an image's bytes, size and orientation. Not
            called if all are there.
        folder: Folder for the files.
        what: What the bar says.

    Returns:
        float32 `(images, length)`.
    """

    def maker() -> Callable[..., list[np.ndarray]]:
        score = scorer()
        return lambda *image: [score(*image)]

    fill_cache(images, maker, [folder], what)
    return load_cached(images, folder)


def fill_cache(
    images: ImageChunks,
    maker: Callable[[], Callable[..., Sequence[np.ndarray]]],
    folders: Sequence[Path],
    what: str,
) -> None:
    """Keeps vectors of all images, with a bar on standard error; what is there is not made again.

    Args:
        images: The images.
        maker: Makes what makes a vector for each folder from an image's bytes, size and
            orientation. Not called if all are there.
        folders: Folder for the files of each, of nothing that would give other vectors.
        what: What the bar says.
    """
    chunks = [
        (chunk, [folder / f"{content}.npy" for folder in folders])
        for chunk, content in zip(images.chunks, images.contents, strict=True)
    ]
    there = sum(len(chunk) for chunk, paths in chunks if _all_there(paths))
    make = None
    with _bar(len(images.found), what, there) as bar:
        for chunk, paths in chunks:
            if _all_there(paths):
                continue
            make = make or maker()
            made = [_finite(make, images, number) for number in _counted(chunk, bar)]
            for path, vectors in zip(paths, zip(*made, strict=True), strict=True):
                with _files.replace_file(path) as beside, beside.open("wb") as file:
                    np.save(file, np.stack(vectors))


def load_cached(images: ImageChunks, folder: Path) -> np.ndarray:
    """What `fill_cache` has kept of all images in a folder: float32 `(images, length)`."""
    paths = [folder / f"{content}.npy" for content in images.contents]
    return np.concatenate([np.load(path, allow_pickle=False) for path in paths])


def _all_there(paths: Sequence[Path]) -> bool:
    return all(path.exists() for path in paths)


def _finite(
    make: Callable[..., Sequence[np.ndarray]], images: ImageChunks, number: int
) -> Sequence[np.ndarray]:
    found = make(
        images.encoded(number), images.found.sizes[number], images.found.orientations[number]
    )
    if not all(np.isfinite(vector).all() for vector in found):
        raise ValueError(
            f"The answers for the image {str(images.found.ids[number])!r} are not finite: the "
            "weights of the network are broken. Take another run."
        )
    return found


def _counted(chunk: range, bar: tqdm.tqdm) -> Iterator[int]:
    for number in chunk:
        yield number
        bar.update()


def _bar(total: int, what: str, there: int = 0) -> tqdm.tqdm:
    return tqdm.tqdm(
        total=total, initial=there, desc=what, unit=" images", delay=1.0, file=sys.stderr
    )
