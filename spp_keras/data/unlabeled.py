"""All images of a folder, whatever its folders are: nothing is said of their classes."""

import os
from pathlib import Path

from spp_keras.data import folders
from spp_keras.data.image_formats import SUFFIXES
from spp_keras.data.sources import Candidate, Contents, Source

# What stands for a class where there is none.
NO_CLASS = -1


def find_unlabeled_images(root: Path) -> Source:
    """Every image in a folder and in the folders within it, each with the label -1.

    Endings of names are those that `folders.find_images` takes. Hidden files and folders are
    ignored, and links to folders are not followed.

    Args:
        root: The folder.

    Returns:
        A `Source` without classes.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("b.jpg", "a.png", "notes.txt", "more/.hidden.jpg", "more/c.webp"):
    ...     (root / name).parent.mkdir(exist_ok=True)
    ...     (root / name).touch()
    >>> contents = find_unlabeled_images(root).read()
    >>> [candidate.id for candidate in contents.candidates], contents.classes
    (['a.png', 'b.jpg', 'more/c.webp'], ())
    """
    paths = _list_images(root)
    if not paths:
        raise ValueError(
            f"`data` must have images, ending in {', '.join(sorted(SUFFIXES))}. "
            f"Received: data={str(root)!r}, with none."
        )

    def make_candidates() -> list[Candidate]:
        pairs = enumerate(paths)
        return [folders.make_candidate(root, path, i, (NO_CLASS,)) for i, path in pairs]

    return Source(
        name=str(root),
        files=tuple(str(root / path) for path in paths),
        cache_key=("images without labels", str(root)),
        dependencies=(),
        read=lambda: Contents((), False, len(paths), make_candidates()),
    )


def _list_images(root: Path) -> list[str]:
    """Paths below the root, sorted."""
    paths = []
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".")]
        below = Path(folder).relative_to(root)
        paths += [
            (below / name).as_posix()
            for name in files
            if not name.startswith(".") and folders.is_image_name(name)
        ]
    return sorted(paths)
