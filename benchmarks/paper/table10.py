"""The text of the paper's Table 10 in small, of what `detection.py` has measured."""

import statistics
from typing import Any

import verdicts

ONE, FIVE, RCNN = "SPP, 1 scale", "SPP, 5 scales", "R-CNN"
PAIRS = f"{FIVE}, two models"
ROWS = {
    "svm": "SVMs on ftfc7",
    "svm bb": "SVMs on ftfc7, bb",
    "softmax": "softmax",
    "softmax bb": "softmax and smooth L1",
}
_PAPER = {"svm": ("54.5", "55.2", "55.1"), "svm bb": ("58.0", "59.2", "59.2", "60.9")}


def markdown(results: dict[str, Any]) -> str:
    """The table and what it says of the paper's claims.

    Args:
        results: The content of `detection.json`.
    """
    rows, facts = results["rows"], results["facts"]
    columns = list(dict.fromkeys(row["column"] for row in rows))
    seeds = len(_of(rows, ONE, "svm"))
    head = (
        f"mAP in %, VOC 2007's 11-point rule, on {facts['images']} validation images of `shapes` "
        f"with {facts['windows']:.0f} windows an image on average, by detectors fine-tuned for "
        f"{facts['fine-tuning epochs']} epochs on {facts['learned from']} others; mean and "
        f"standard deviation over {seeds} networks of other seeds (of two models: over their "
        "pairs). In brackets the paper's, of full-width ZF-5 on VOC 2007 with some 2,000 windows "
        "an image (Tables 10 and 12). The convolutions learned from whole images, not from "
        "windows, and are frozen in all columns; the paper's R-CNN fine-tunes its own."
    )
    if facts["kept"]:
        head += (
            f" Answers had been kept by earlier runs of the command, {facts['kept']}; the "
            f"{results['machine']['minutes']} minutes of this one do not include making them."
        )
    lines = [head, "", "| | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for row, title in ROWS.items():
        cells = []
        for number, column in enumerate(columns):
            values = _of(rows, column, row)
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cell = f"{statistics.mean(values):.1f} ± {spread:.1f}"
            if number < len(_PAPER.get(row, ())):
                cell += f" ({_PAPER[row][number]})"
            cells.append(cell)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines += ["", *(verdicts.line(claim) for claim in claims(rows))]
    return "\n".join(lines) + "\n"


def claims(rows: list[dict[str, Any]]) -> list[verdicts.Claim]:
    """Scales, regression, SPP against R-CNN, and two models."""
    made = []
    for claim, better, worse in (
        ("five scales find more than one", FIVE, ONE),
        ("SPP at one scale finds more than R-CNN with frozen convolutions", ONE, RCNN),
        ("SPP at five scales finds more than R-CNN with frozen convolutions", FIVE, RCNN),
    ):
        for row, title in ROWS.items():
            gains = verdicts.gains(_of(rows, better, row), _of(rows, worse, row))
            made.append(verdicts.Claim(f"{claim}, {title}", verdicts.judge(gains)))
    for head, title in (
        ("svm", "ridge regression of boxes finds more than none, SVMs"),
        ("softmax", "smooth L1 finds more than no regression, softmax"),
    ):
        for column in (ONE, FIVE, RCNN):
            gains = verdicts.gains(_of(rows, column, f"{head} bb"), _of(rows, column, head))
            made.append(verdicts.Claim(f"{title}, {column}", verdicts.judge(gains)))
    return made + [_of_pairs(rows, row, title) for row, title in ROWS.items()]


def _of_pairs(rows: list[dict[str, Any]], row: str, title: str) -> verdicts.Claim:
    """Each pair of models against the mean of its two, and against the better of them."""
    alone = {
        one["seed"]: 100 * one["11-point"]
        for one in rows
        if (one["column"], one["row"]) == (FIVE, row)
    }
    over_mean, over_better = [], []
    for pair in rows:
        if (pair["column"], pair["row"]) == (PAIRS, row):
            members = [alone[seed] for seed in pair["seed"]]
            over_mean.append(100 * pair["11-point"] - statistics.mean(members))
            over_better.append(100 * pair["11-point"] - max(members))
    by_mean, by_better = (
        ", ".join(map(verdicts.signed, points)) for points in (over_mean, over_better)
    )
    note = f"{by_mean} points over the mean of the two, {by_better} over the better of them"
    text = f"two models find more than one, {title}"
    why = f"{len(over_mean)} pairs of {len(alone)} networks are not independent"
    return verdicts.Claim(text, verdicts.cannot_judge(why), note=note)


def _of(rows: list[dict[str, Any]], column: str, row: str) -> list[float]:
    return [100 * value for value in verdicts.values(rows, "11-point", column=column, row=row)]
