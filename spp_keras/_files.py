"""Atomic writes: a file or folder is there as a whole or not at all, whenever a process dies."""

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# No write takes so long: older temporary files are those of processes that were killed.
_MAX_AGE_SECONDS = 24 * 60 * 60


@contextlib.contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to, which replaces `path` when the block ends without error.

    It is in the same folder, hidden, and ends with the name of `path`, since some
    writers choose a format by the suffix. If the block raises, or the process dies,
    the old file stays.

    Args:
        path: Path of the file to write or replace. Missing folders above it
            are made.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "runs" / "epoch.txt"
    >>> with replace_file(path) as temporary:
    ...     _ = temporary.write_text("7")
    ...     path.exists()
    False
    >>> path.read_text()
    '7'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_old_temporaries(path)
    temporary = _make_temporary_path(path)
    try:
        yield temporary
        # Otherwise the rename may reach the disk before the content.
        _sync(temporary)
        temporary.replace(path)
    except OSError as error:
        # An error of an open file has no name, and the temporary one means nothing to a user.
        if error.errno is not None and str(error.filename) in ("None", str(temporary)):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        _sync(path.parent)


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
    with replace_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


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
    >>> with create_folder(folder) as temporary:
    ...     _ = (temporary / "labels.txt").write_text("cat")
    ...     folder.exists()
    False
    >>> (folder / "labels.txt").read_text()
    'cat'
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_old_temporaries(folder)
    temporary = _make_temporary_path(folder)
    temporary.mkdir()
    try:
        yield temporary
        for path in (*temporary.rglob("*"), temporary):
            if path.is_file() or os.name == "posix":
                _sync(path)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if os.name == "posix":
        _sync(folder.parent)


def _format_bytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"


def _make_temporary_path(path: Path) -> Path:
    return path.with_name(f".{uuid.uuid4().hex}.{path.name}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_old_temporaries(path: Path) -> None:
    for temporary in path.parent.glob("." + "[0-9a-f]" * 32 + ".*"):
        if temporary.name[34:] == path.name:
            with contextlib.suppress(OSError):
                if time.time() - temporary.stat().st_mtime > _MAX_AGE_SECONDS:
                    shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink()
