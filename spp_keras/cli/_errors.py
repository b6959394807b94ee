"""What a user can do about an exception, where there is something."""

import argparse
import errno
import re
import sys


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
    message = _describe(error, options)
    return message and "\n".join([message, *getattr(error, "__notes__", ())])


def _describe(error: Exception, options: argparse.Namespace) -> str | None:
    if _is_disk_full(error):
        # Not every library names the file.
        path = getattr(error, "filename", None)
        where = f" for {str(path)!r}" if path else ""
        return f"no space left on the disk{where}: make room, and give the same command again."
    if _is_out_of_memory(error):
        remedy = getattr(options, "memory_hint", "give it smaller images")
        match = re.search(r"OOM when allocating.*?type \w+|[Uu]nable to allocate.*", str(error))
        allocation = f" ({match[0]})" if match else ""
        return f"not enough memory{allocation}: {remedy}."
    if isinstance(error, ImportError):
        # `_extras` raises without a name. An import that fails by itself is a broken
        # installation, whose traceback is needed.
        return str(error) if error.name is None else None
    return str(error) if isinstance(error, ValueError | OSError) else None


def _is_disk_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # TensorFlow raises for a full disk what it raises for full memory.
    message = str(error)
    full = "No space left on device" in message or "Disk quota exceeded" in message
    return full and _is_tensorflow_error(error, "ResourceExhaustedError")


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or _is_tensorflow_error(error, "ResourceExhaustedError")


def _is_tensorflow_error(error: Exception, name: str) -> bool:
    # Not imported: an error of TensorFlow has loaded it.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(error, getattr(tensorflow.errors, name))
