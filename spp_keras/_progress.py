"""The progress bar of everything that takes long, on standard error."""

import sys
from collections.abc import Iterable
from typing import Any

import tqdm


def create_bar(
    items: Iterable[Any] | None = None,
    description: str = "",
    *,
    total: int | None = None,
    initial: int = 0,
    unit: str = "images",
    disable: bool = False,
    **style: Any,
) -> Any:
    """A `tqdm` bar, which appears after a second: short work shows none.

    Args:
        items: What the bar iterates over. Defaults to `None`: the caller calls `update`,
            and closes the bar (`with create_bar(...) as bar`).
        description: Text before the bar.
        total: Number of items. Defaults to `None`, the length of `items`.
        initial: Number of items that are done already. Defaults to 0.
        unit: Plural name of the items. Defaults to `"images"`.
        disable: Whether to show nothing. Defaults to `False`.
        **style: Other options of `tqdm.tqdm`, such as `bar_format`.

    Returns:
        The bar, which yields `items`.

    Example:

    >>> list(create_bar(["cat.jpg", "dog.jpg"], "Decoding"))
    ['cat.jpg', 'dog.jpg']
    """
    options = {"delay": 1.0, "unit": f" {unit}", "file": sys.stderr} | style
    return tqdm.tqdm(
        items, desc=description, total=total, initial=initial, disable=disable, **options
    )
