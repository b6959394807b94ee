"""What came out of all tables in small, from their JSON files, and the text of each again.

    python benchmarks/paper/summary.py

Measures nothing. Writes OUT/summary.md and the .md files of the tables.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import convergence
import machines
import publishing
import sizes
import table2
import table3
import table4
import table10
import tables67
import verdicts

from spp_keras import _files

# By the names of their files.
TABLES = {
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "sizes": sizes,
    "tables67": tables67,
    "detection": table10,
}
_TITLES = {
    "table2": "Table 2",
    "table3": "Table 3",
    "table4": "Table 4",
    "sizes": "forms of images",
    "tables67": "Tables 6, 7",
    "detection": "Table 10",
}
# The paper's claims and those about forms of images; the tables have more, of other heads and
# measures, and of each network.
_CLAIMS = {
    "table2": (
        "a pyramid is better than 6x6 bins alone, at one size, four networks together",
        "training at two sizes is better than at one, Overfeat-5 and Overfeat-7 together",
        "training at two sizes is better than at one, ZF-5 and Convnet*-5",
        "training at random sizes is better than at one, Overfeat-7",
    ),
    "table3": ("the whole image is better than its center crop, four networks together",),
    "table4": (
        "ten views are better than one crop, top-1",
        "96 views over six scales are better than ten, top-1",
        "two full views add to the 96, top-1",
        "ten views from the maps are within 0.1 points of ten from pixels, top-5",
        "11 networks together are better than one, top-1",
    ),
    "sizes": (
        "whole images are better than warped ones, each as in training",
        "whole images are better than cropped ones, each as in training",
    ),
    "tables67": (
        "whole images are better than crops, fc7, mAP",
        "larger images are better, fc7, mAP",
        "a deeper layer is better, fc7 than fc6, full, mAP",
        "whole images are better than crops, SPP, accuracy",
        "50 bins are better than 6x6, full, accuracy",
        "the SPP layer is better than fc7, full, accuracy",
    ),
    "detection": (
        "five scales find more than one, SVMs on ftfc7, bb",
        "SPP at five scales finds more than R-CNN with frozen convolutions, SVMs on ftfc7, bb",
        "ridge regression of boxes finds more than none, SVMs, SPP, 5 scales",
        "two models find more than one, SVMs on ftfc7, bb",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes all texts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    machines.out_option(parser)
    out = parser.parse_args(arguments).out
    for name, table in TABLES.items():
        publishing.render(out / name, table.markdown)
    _files.write_file(out / "summary.md", markdown(out))
    return 0


def markdown(out: Path) -> str:
    """What came out.

    Args:
        out: Folder of the JSON files.
    """
    every = {
        name: table.claims(publishing.read(out / name)["rows"]) for name, table in TABLES.items()
    }
    judged = [claim for claims in every.values() for claim in claims if claim.verdict.seeds]
    lines = ["| claim | table | here | figures |", "|---|---|---|---|"]
    for name, texts in _CLAIMS.items():
        by_text = {claim.text: claim for claim in every[name] if claim.level == 0}
        for text in texts:
            verdict, note = by_text[text].verdict, by_text[text].note
            figures = verdicts.figures(verdict) or note
            lines.append(
                f"| {text} | {_TITLES[name]} | **{verdicts.headline(verdict)}** | {figures} |"
            )
    known = publishing.read(out / "sizes")["facts"]
    lines += [
        "",
        f"Of the {len(judged)} intervals in the tables below and in that of detection one in "
        f"twenty, {len(judged) / 20:.0f}, would miss by chance. In the table of the forms of "
        f"images: {_first_lower(convergence.sentence(known))} What the networks of the other "
        "tables would have learned in longer trainings is not known.",
        "",
        "Made of the JSON files of the tables, without measuring, by "
        "`python benchmarks/paper/summary.py`.",
    ]
    return "\n".join(lines) + "\n"


def _first_lower(text: str) -> str:
    return text[0].lower() + text[1:]


if __name__ == "__main__":
    sys.exit(main())
