"""What an inspection found, kept so that it is done once for each data set."""

import hashlib
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import _files


def cache_path(parts: tuple[str, ...], files: tuple[str, ...]) -> Path:
    """The cache file for something that depends on `parts` and on files as they are now.

    Files are told by path, size and time of the last change. The cache is in
    `spp_keras` in the folder that `XDG_CACHE_HOME` names, or in `~/.cache`.

    Example:

    >>> cache_path(("limits",), ()).suffix
    '.npz'
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode("utf-8", "backslashreplace"))
    for path in files:
        try:
            status = Path(path).stat()
            state: tuple[Any, ...] = (path, status.st_size, status.st_mtime_ns)
        except OSError:
            state = (path, None, None)
        digest.update(repr(state).encode("utf-8", "backslashreplace"))
    folder = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(folder).expanduser() / "spp_keras" / f"{digest.hexdigest()[:32]}.npz"


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays in a cache file, or `None` if there is none that can be read."""
    try:
        # NumPy would leave a file open that it cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: _to_str(arrays[name]) for name in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a cache file, or warns that it cannot be written."""
    columns: dict[str, Any] = {name: _to_bytes(each) for name, each in arrays.items()}
    try:
        with _files.replace_file(path) as beside:
            np.savez_compressed(beside, **columns)
    except OSError as error:
        warnings.warn(
            f"The images will be checked again next time, since {str(path)!r} cannot be written: "
            f"{error}. Set XDG_CACHE_HOME to a folder that can.",
            stacklevel=2,
        )


def _to_bytes(array: np.ndarray) -> np.ndarray:
    # NumPy stores text with four bytes to a letter.
    return np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array


def _to_str(array: np.ndarray) -> np.ndarray:
    return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
