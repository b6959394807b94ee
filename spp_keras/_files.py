"""Files that are there as a whole or not at all, whenever the power goes."""

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

# No writer takes so long; what is older was left behind by a process that was killed.
_LEFT_BEHIND = 24 * 60 * 60


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when the block ends well.

    The path is beside `path`, hidden, and ends with its whole name, since some
    writers go by the ending. If the block raises, or the process dies, the old
    file stays as it was.

    Args:
        path: Path of the file to write or replace. Missing folders above it
            are made.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "runs" / "epoch.txt"
    >>> with replacing(path) as beside:
    ...     _ = beside.write_text("7")
    ...     path.exists()
    False
    >>> path.read_text()
    '7'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    beside = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield beside
        # Otherwise a rename may reach the disk before what it names does.
        _to_disk(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    if os.name == "posix":
        _to_disk(path.parent)


def write(path: str | Path, content: str | bytes) -> None:
    """Writes text (as UTF-8) or bytes by way of `replacing`.

    Args:
        path: Path of the file to write or replace.
        content: All of what will be in it.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "state.json"
    >>> write(path, '{"epoch": 7}')
    >>> path.read_text()
    '{"epoch": 7}'
    """
    with replacing(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(path: Path) -> None:
    for beside in path.parent.glob("." + "[0-9a-f]" * 32 + ".*"):
        if beside.name[34:] == path.name:
            with contextlib.suppress(OSError):
                if time.time() - beside.stat().st_mtime > _LEFT_BEHIND:
                    beside.unlink()
