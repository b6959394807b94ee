"""In what form a network was trained and in what form it is tested: crops, whole or warped images.

Where forms of training are compared, each network is tested in the form that it was trained in.
"""

from collections.abc import Sequence
from typing import Any

import networks

# Protocols that cross forms on purpose: the table, how it tests, and why.
CROSSINGS = {
    ("table3", "1 full"): "the paper's Table 3: trained on crops, tested on whole images",
    ("table4", "1 full"): "the paper's Table 4: trained on crops, one whole image as the view",
    ("table4", "96 views"): "the paper's Table 4: trained on crops, squares of six scales",
    ("table4", "96 views + 2 full"): "the paper's Table 4: those and two whole images",
    ("tables67", "SPP, full"): "the paper's Tables 6 and 7: trained on crops, whole images",
    ("tables67", "SPP, full, larger"): "the paper's Table 6: trained on crops, larger images",
    ("detection", "windows"): "the paper's Table 10: trained on images, tested on windows",
    ("evaluation", "10 views"): "views from maps and from pixels of the same network",
    ("evaluation", "96 views"): "likewise",
}
# Of the protocols of one view and many.
_TESTED = {
    "crop": "crop",
    "10-view": "crop",
    "10-view-map": "crop",
    "full": "1 full",
    "96-view": "96 views",
    "96-view+full": "96 views + 2 full",
}


def of_row(table: str, row: dict[str, Any]) -> tuple[str | None, str | None] | None:
    """The form of training and that of the test of a row of results.

    Args:
        table: Name of the table, that of its file.
        row: The row. What says both itself, under `"trained"` and `"tested"`, is believed.

    Returns:
        Both, each `None` where a row should say it and does not; `None` for both for a table
        that measures no network.
    """
    if "trained" in row or table == "sizes":
        return row.get("trained"), row.get("tested")
    if table in ("table2", "table3", "table4"):
        return networks.FORMS[row.get("variant", "multi")], _TESTED[row.get("view", "10-view")]
    if table == "tables67":
        column = row["column"]
        return "crop", "crop" if column.endswith("crop") else column
    if table == "detection":
        return "whole", "windows"
    if table == "evaluation" and row["section"] == "accuracy":
        return "whole", f"{row['protocol'].partition('-')[0]} views"
    return None


def find_crossed(table: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of networks tested in another form than trained, or that do not say, but `CROSSINGS`."""
    crossed = []
    for row in rows:
        both = of_row(table, row)
        if both is None or (table, both[1]) in CROSSINGS:
            continue
        if None in both or both[0] != both[1]:
            crossed.append(row)
    return crossed
