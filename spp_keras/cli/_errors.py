"""What a user can do about an exception, where there is something."""

import argparse
import errno
import re
import sys

from spp_keras import _extras

# What the extra `detection` installs.
_OF_DETECTION = ("cv2", "pycocotools", "scipy", "sklearn")


def describe_error(error: Exception, options: argparse.Namespace) -> str | None:
    """What to tell the user; `None` for what is a mistake of ours and needs its traceback.

    Args:
        error: What a command raised.
        options: Of the command. Their `memory_hint`, if there is one, says how
            it needs less memory.

    Example:

    >>> describe_error(ValueError("`top` must be an int >= 1."), argparse.Namespace())
    '`top` must be an int >= 1.'
    >>> error = OSError(errno.ENOSPC, "No space left on device", "checkpoint.npz")
    >>> describe_error(error, argparse.Namespace())
    "no space left on the disk for 'checkpoint.npz': make room, and give the same command again."
    """
    if _is_full(error):
        # What a file is for is not told by all who write.
        path = getattr(error, "filename", None)
        where = f" for {str(path)!r}" if path else ""
        return f"no space left on the disk{where}: make room, and give the same command again."
    if _is_too_large(error):
        less = getattr(options, "memory_hint", "give it smaller images")
        found = re.search(r"OOM when allocating.*?type \w+|[Uu]nable to allocate.*", str(error))
        what = f" ({found[0]})" if found else ""
        return f"not enough memory{what}: {less}."
    if isinstance(error, ImportError):
        return _missing(error)
    return str(error) if isinstance(error, ValueError | OSError) else None


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # TensorFlow says it as it says that memory ran out.
    said = str(error)
    of_disk = "No space left on device" in said or "Disk quota exceeded" in said
    return of_disk and _of_tensorflow(error, "ResourceExhaustedError")


def _is_too_large(error: Exception) -> bool:
    return isinstance(error, MemoryError) or _of_tensorflow(error, "ResourceExhaustedError")


def _of_tensorflow(error: Exception, name: str) -> bool:
    # Not imported: where nothing has loaded it, nothing of it was raised.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(error, getattr(tensorflow.errors, name))


def _missing(error: ImportError) -> str | None:
    # Ours have no name; they say what is needed for what.
    if error.name is None:
        return str(error)
    if error.name.partition(".")[0] in _OF_DETECTION:
        return f"{error}. Install it with: {_extras.install_line('detection')}"
    return None
