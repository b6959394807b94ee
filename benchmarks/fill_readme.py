"""Puts what commands and files say between the markers of README.md and of the pages in docs.

    python benchmarks/fill_readme.py            # rewrites them
    python benchmarks/fill_readme.py --check    # names those that would change; exit code 1

Between `begin: PATH` and `end: PATH` comes that file; with `"TITLE"` behind the path, once or
several times, its head and what stands under these bold titles; between `begin: spp-keras ...`
what that command prints.
"""

import argparse
import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

from spp_keras import cli

_ROOT = Path(__file__).parents[1]
_SECTION = re.compile(r"<!-- begin: (.+?) -->\n.*?<!-- end: \1 -->", re.DOTALL)


def filled(text: str) -> str:
    """The text with every marked section made anew."""
    return _SECTION.sub(
        lambda section: (
            f"<!-- begin: {section[1]} -->\n{_content(section[1])}\n<!-- end: {section[1]} -->"
        ),
        text,
    )


def without_sections(text: str) -> str:
    """The text without what stands between markers: what was typed by hand."""
    return _SECTION.sub("", text)


def main() -> int:
    """Fills or checks README.md and docs/*.md."""
    parser = argparse.ArgumentParser(description="Fills the marked sections of the documents.")
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if it would")
    check, changed = parser.parse_args().check, 0
    for document in (_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))):
        before = document.read_text()
        after = filled(before)
        if before != after:
            changed += 1
            print(document.relative_to(_ROOT))
            if not check:
                document.write_text(after)
    return int(check and changed > 0)


def part(text: str, titles: list[str]) -> str:
    """The head of a text, and what stands under some of its bold titles."""
    head, *sections = re.split(r"^(?=\*\*.+\*\*$)", text, flags=re.MULTILINE)
    by_title = {section.partition("\n")[0].strip("*"): section.strip() for section in sections}
    for title in titles:
        if title not in by_title:
            raise SystemExit(f"A marker must name one of {list(by_title)}. Received: {title!r}.")
    return "\n\n".join([head.strip(), *(by_title[title] for title in titles)])


def _content(source: str) -> str:
    if source.startswith("spp-keras "):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            cli.main(source.split()[1:])
        return f"```text\n{printed.getvalue().rstrip()}\n```"
    path, *titles = shlex.split(source)
    text = (_ROOT / path).read_text().strip()
    return part(text, titles) if titles else text


if __name__ == "__main__":
    sys.exit(main())
