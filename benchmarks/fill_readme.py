"""Puts what commands and files say between the markers of README.md.

    python benchmarks/fill_readme.py            # rewrites README.md
    python benchmarks/fill_readme.py --check    # exit code 1 if it would change

Between `begin: PATH` and `end: PATH` comes that file, between `begin: spp-keras
...` what that command prints.
"""

import argparse
import contextlib
import io
import re
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


def main() -> int:
    """Fills or checks README.md."""
    parser = argparse.ArgumentParser(description="Fills the marked sections of README.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if it would")
    check = parser.parse_args().check
    readme = _ROOT / "README.md"
    before = readme.read_text()
    after = filled(before)
    if check:
        return int(before != after)
    readme.write_text(after)
    return 0


def _content(source: str) -> str:
    if source.startswith("spp-keras "):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            cli.main(source.split()[1:])
        return f"```text\n{printed.getvalue().rstrip()}\n```"
    return (_ROOT / source).read_text().strip()


if __name__ == "__main__":
    sys.exit(main())
