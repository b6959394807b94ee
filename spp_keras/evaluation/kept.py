"""A pass over images whose scores are kept on disk, so that what was killed goes on."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tqdm

from spp_keras import _files
from spp_keras.data import reading, records

# Images to a file: what a kill costs at most, which at 96 views is minutes.
_CHUNK = 16


class Images:
    """The images of a split, and what is in them, a chunk at a time.

    Args:
        found: The records.
    """

    def __init__(self, found: records.Records):
        self.found = found
        self._reader = reading.Reader(found.files, found.spans)
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
            bar.update()
        return digests.hexdigest()


def scores(
    images: Images,
    scorer: Callable[[], Callable[..., np.ndarray]],
    folder: Path,
    what: str,
) -> np.ndarray:
    """Scores of all images, with a bar on standard error; those on disk are not made again.

    Args:
        images: The images.
        scorer: Makes what scores an image from its bytes and size. Not called if all are there.
        folder: Folder for the files, of nothing that would give other scores.
        what: What the bar says.

    Returns:
        float32 `(images, classes)`.
    """
    paths = [folder / f"{content}.npy" for content in images.contents]
    there = sum(
        len(chunk) for chunk, path in zip(images.chunks, paths, strict=True) if path.exists()
    )
    score, parts = None, []
    with _bar(len(images.found), what, there) as bar:
        for chunk, path in zip(images.chunks, paths, strict=True):
            if path.exists():
                parts.append(np.load(path, allow_pickle=False))
                continue
            score = score or scorer()
            part = np.stack([_finite(score, images, number) for number in _counted(chunk, bar)])
            with _files.replacing(path) as beside, beside.open("wb") as file:
                np.save(file, part)
            parts.append(part)
    return np.concatenate(parts)


def _finite(score: Callable[..., np.ndarray], images: Images, number: int) -> np.ndarray:
    found = score(images.encoded(number), images.found.sizes[number])
    if not np.isfinite(found).all():
        raise ValueError(
            f"The scores of the image {str(images.found.ids[number])!r} are not finite: the "
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
