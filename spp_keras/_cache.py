"""A cache of arrays on disk, whose files are named after what their contents depend on."""

import hashlib
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import _files

# What NumPy raises for a damaged file; where a bit says that it is encrypted, a RuntimeError.
_READ_ERRORS = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)


def make_key(*parts: Any) -> str:
    """Digest of everything that the contents of a cache file depend on.

    Args:
        *parts: Bytes, or values whose `repr` says all about them.

    Example:

    >>> make_key("limits", 3) == make_key("limits", 3)
    True
    >>> make_key(b"ab", b"c") == make_key(b"a", b"bc")
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else repr(part).encode("utf-8", "replace")
        digest.update(b"%s %d " % (type(part).__name__.encode(), len(content)))
        digest.update(content)
    return digest.hexdigest()[:32]


def describe_files(paths: Iterable[str | Path]) -> list[tuple[str, int | None, int | None]]:
    """Path, size and time of the last change of files, as a part of a key.

    Example:

    >>> describe_files(["/nowhere/cat.jpg"])
    [('/nowhere/cat.jpg', None, None)]
    """
    return [_describe_file(path) for path in paths]


def digest_file(path: str | Path) -> str:
    """SHA-256 of the content of a file, as a part of a key."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def user_folder(name: str) -> Path:
    """A folder for caches that all projects of a user share.

    It is in `spp_keras` in the folder that `XDG_CACHE_HOME` names, or in `~/.cache`.

    Args:
        name: Name of the folder.
    """
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "spp_keras" / name


class ArrayCache:
    """Files with named arrays in a folder.

    A file is there as a whole or not at all. Files are in subfolders by the first letters of
    their keys, since each write looks through the folder that it writes to.

    Args:
        folder: The folder. It is made by the first `save`.
        compress: Whether to compress the files. Defaults to `False`.
        on_write_error: What is lost if a file cannot be written, such as `"The images will
            be checked again next time"`; `save` then warns. Defaults to `None`: `save`
            raises the error.

    Example:

    >>> import tempfile
    >>> cache, key = ArrayCache(tempfile.mkdtemp()), make_key("cat.jpg", 3)
    >>> cache.load(key) is None
    True
    >>> cache.save(key, {"boxes": np.zeros((2, 4))})
    >>> cache.load(key)["boxes"].shape
    (2, 4)
    """

    def __init__(
        self, folder: str | Path, *, compress: bool = False, on_write_error: str | None = None
    ):
        self.folder = Path(folder)
        self.compress, self.on_write_error = compress, on_write_error

    def path(self, key: str) -> Path:
        """Path of the file of a key, there or not."""
        return self.folder / key[:2] / f"{key[2:]}.npz"

    def load(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays of a key, or `None` if there is no file that can be read."""
        try:
            # NumPy would leave a file open that it cannot read.
            with self.path(key).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return {name: _bytes_to_str(arrays[name]) for name in arrays.files}
        except _READ_ERRORS:
            return None

    def save(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes the arrays of a key."""
        columns: dict[str, Any] = {name: _str_to_bytes(array) for name, array in arrays.items()}
        write = np.savez_compressed if self.compress else np.savez
        try:
            with _files.replace_file(self.path(key)) as beside, beside.open("wb") as file:
                write(file, **columns)
        except OSError as error:
            if self.on_write_error is None:
                raise
            # The same words for each file of the folder, which Python shows once.
            warnings.warn(
                f"{self.on_write_error}, since {str(self.folder)!r} cannot be written: "
                f"{error.strerror or error}. Set XDG_CACHE_HOME to a folder that can.",
                stacklevel=2,
            )


def _describe_file(path: str | Path) -> tuple[str, int | None, int | None]:
    try:
        status = Path(path).stat()
    except OSError:
        return str(path), None, None
    return str(path), status.st_size, status.st_mtime_ns


def _str_to_bytes(array: np.ndarray) -> np.ndarray:
    # NumPy stores text with four bytes to a letter.
    return np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array


def _bytes_to_str(array: np.ndarray) -> np.ndarray:
    return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
