"""The folder `zoo`: recipes, model cards and weights that come with this package."""

from pathlib import Path


def find_zoo_folder() -> Path:
    """The folder with a folder for each network.

    Example:

    >>> (find_zoo_folder() / "zf5_spp" / "card.md").is_file()
    True
    """
    # A wheel has it inside the package, a checkout beside it.
    packaged = Path(__file__).parent / "entries"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "zoo"
