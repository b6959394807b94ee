"""The results of `shapes_weights.py` as Markdown: a function of what is in its JSON file."""

from typing import Any

import machines

_NAMES = {
    ("shapes", "full"): "whole, the longest side at most 160",
    ("shapes_cropped", "crop"): "cropped to 125x125, the center",
    ("shapes_cropped", "10-view"): "cropped to 125x125, ten views",
    ("shapes_warped", "warp"): "warped to 125x125",
}


def markdown(results: dict[str, Any]) -> str:
    """A table of accuracies, the differences, and what and where it was measured."""
    machine, seeds = results["machine"], results["seeds"]
    lines = [
        machines.sentence(machine),
        "",
        f"Accuracy in % on the {results['images']} test images of `shapes`, each network in the "
        f"form that it was trained in; {seeds} seeds, with 95% intervals.",
        "",
        "| images | weights | accuracy | of each seed | epochs |",
        "|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        lines.append(
            f"| {_NAMES[row['form'], row['protocol']]} | `{row['form']}` | "
            f"{100 * row['mean']:.1f} {_ends(row['interval'])} | "
            f"{', '.join(f'{100 * value:.1f}' for value in row['accuracies'])} | "
            f"{_range(row['epochs'])} |"
        )
    lines += ["", "Whole images against the others, in points:", ""]
    for row in results["differences"]:
        low, high = row["interval"]
        verdict = "shown" if low > 0 else "shown the other way" if high < 0 else "not shown"
        lines.append(
            f"- {_NAMES[row['form'], row['protocol']]}: {100 * row['mean']:+.1f} "
            f"{_ends(row['interval'], '+')}, **{verdict}**"
        )
    by_form = {row["form"]: row for row in results["rows"]}
    stopped = sum(sum(row["stopped_learning"]) for row in by_form.values())
    total = sum(len(row["stopped_learning"]) for row in by_form.values())
    weights = results["weights"].values()
    megabytes = sum(found["megabytes"] for found in weights)
    change = max(found["largest_change_of_logits"] for found in weights)
    lines += [
        "",
        f"{stopped} of {total} trainings had stopped learning. The weights of seed 0 come with the "
        f"package in float16, {megabytes:.1f} MB in all: no logit of a test image differs by more "
        f"than {change:.2g} from those of the weights in float32.",
    ]
    return "\n".join(lines) + "\n"


def _ends(interval: list[float], sign: str = "") -> str:
    return f"[{', '.join(f'{100 * end:{sign}.1f}' for end in interval)}]"


def _range(values: list[int]) -> str:
    return " to ".join(dict.fromkeys([str(min(values)), str(max(values))]))
