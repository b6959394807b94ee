"""Files and folders that are there as a whole or not at all, whenever the power goes."""

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# No writer takes so long; what is older was left behind by a process that was killed.
_LEFT_BEHIND = 24 * 60 * 60


@contextlib.contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
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
    >>> with replace_file(path) as beside:
    ...     _ = beside.write_text("7")
    ...     path.exists()
    False
    >>> path.read_text()
    '7'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    beside = _beside(path)
    try:
        yield beside
        # Otherwise a rename may reach the disk before what it names does.
        _to_disk(beside)
        beside.replace(path)
    except OSError as error:
        # Who writes to an open file does not say which, and `beside` is no name to a user.
        if error.errno is not None and str(error.filename) in ("None", str(beside)):
            error.filename = str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)
    if os.name == "posix":
        _to_disk(path.parent)


def write_file(path: str | Path, content: str | bytes) -> None:
    """Writes text (as UTF-8) or bytes by way of `replace_file`.

    Args:
        path: Path of the file to write or replace.
        content: All of what will be in it.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "state.json"
    >>> write_file(path, '{"epoch": 7}')
    >>> path.read_text()
    '{"epoch": 7}'
    """
    with replace_file(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: str | Path, content: Any) -> None:
    r"""Writes JSON, two spaces an indent, by way of `replace_file`.

    Args:
        path: Path of the file to write or replace.
        content: Dictionaries, lists and values that JSON knows.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "results.json"
    >>> write_json(path, {"epoch": 7})
    >>> path.read_text()
    '{\n  "epoch": 7\n}\n'
    """
    write_file(path, json.dumps(content, indent=2) + "\n")


def check_free_space(
    path: str | Path, needed: int, remedy: str = "Free some space, or name another folder."
) -> None:
    """Raises an `OSError` if the disk has no room for a file or folder.

    Args:
        path: Path of the file or folder, there or not.
        needed: Bytes that will be written.
        remedy: A sentence that says what the user can do.

    Example:

    >>> check_free_space("runs/zf5/last.npz", 1)
    """
    path = Path(path).absolute()
    folder = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"Not enough disk space for {str(path)!r}: {_format_bytes(needed)} are needed, "
            f"{_format_bytes(free)} are free. {remedy}"
        )


@contextlib.contextmanager
def create_folder(folder: str | Path) -> Iterator[Path]:
    """An empty folder to fill, which becomes `folder` when the block ends well.

    It is beside `folder`, hidden. If the block raises, or the process dies,
    there is no `folder`.

    Args:
        folder: Path of the folder to make. If there is one by then, and
            something is in it, this is an `OSError`.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "zf5_spp" / "1"
    >>> with create_folder(folder) as beside:
    ...     _ = (beside / "labels.txt").write_text("cat")
    ...     folder.exists()
    False
    >>> (folder / "labels.txt").read_text()
    'cat'
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    beside = _beside(folder)
    beside.mkdir()
    try:
        yield beside
        for path in (*beside.rglob("*"), beside):
            if path.is_file() or os.name == "posix":
                _to_disk(path)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    if os.name == "posix":
        _to_disk(folder.parent)


def _format_bytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"


def _beside(path: Path) -> Path:
    return path.with_name(f".{uuid.uuid4().hex}.{path.name}")


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
                    shutil.rmtree(beside) if beside.is_dir() else beside.unlink()
