"""HTML that nothing shown in it can break: what is no markup is escaped."""

import datetime
import html
import string
from collections.abc import Sequence
from pathlib import Path

import spp_keras

_VOID = ("img",)


class Markup(str):
    """Text that is HTML."""


def tag(name: str, *children: str | None, **attributes: str | float | None) -> Markup:
    """An element with what is in it; text that is no `Markup` is escaped.

    Args:
        name: Of the element, in HTML or SVG.
        *children: What is in it, in this order; `None` is nothing.
        **attributes: Its attributes, with `_` for `-` and, where Python has the word for
            itself, a `_` behind. `None` leaves one out.

    Example:

    >>> tag("p", "cats & dogs ", tag("b", "<both>"), class_="small", title=None)
    '<p class="small">cats &amp; dogs <b>&lt;both&gt;</b></p>'
    """
    words = [name]
    for key, value in attributes.items():
        if value is not None:
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            words.append(f'{key.strip("_").replace("_", "-")}="{html.escape(text)}"')
    if name in _VOID:
        return Markup(f"<{' '.join(words)}>")
    return Markup(f"<{' '.join(words)}>{join_markup(*children)}</{name}>")


def join_markup(*children: str | None) -> Markup:
    """Several pieces as one, each escaped if it is no `Markup`."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(child)
            for child in children
            if child is not None
        )
    )


def section(title: str, *children: str | None) -> Markup:
    """A part of the page under a heading."""
    return join_markup(Markup("\n"), tag("section", tag("h2", title), *children))


def render_missing(title: str, why: str, command: str = "") -> Markup:
    """A part of the page that has nothing to show yet, and the command that makes it."""
    return section(title, tag("p", why, tag("code", command) if command else None, class_="none"))


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1, class_: str | None = None
) -> Markup:
    """A table; it scrolls by itself where the screen is narrow.

    Args:
        head: Names of the columns.
        rows: What is in each.
        words: How many columns, the first ones, hold words and not numbers. Defaults to 1.
        class_: Class of the table. Defaults to `None`.
    """

    def row(cells: Sequence[str], name: str) -> Markup:
        kinds = [None if number < words else "number" for number in range(len(cells))]
        return tag(
            "tr", *(tag(name, one, class_=kind) for one, kind in zip(cells, kinds, strict=True))
        )

    body = tag("tbody", *(row(cells, "td") for cells in rows))
    return tag(
        "div", tag("table", tag("thead", row(head, "th")), body, class_=class_), class_="scrolls"
    )


def render_facts(pairs: Sequence[tuple[str, str]]) -> Markup:
    """Numbers with their names, side by side as far as there is room."""
    return tag(
        "dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs if value)
    )


def render_document(title: str, sections: Sequence[Markup | None]) -> str:
    """The whole file; a part that is `None` is left out."""
    template = string.Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    made = datetime.datetime.now(datetime.UTC).date().isoformat()
    return template.substitute(
        title=join_markup(title),
        body=join_markup(*sections),
        made=join_markup(f"Written on {made} by spp_keras {spp_keras.__version__}."),
    )
