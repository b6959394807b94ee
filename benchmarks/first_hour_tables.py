"""The results of `first_hour.py` as Markdown: a function of what is in its JSON file."""

from typing import Any

import machines


def markdown(results: dict[str, Any]) -> str:
    """A table of the steps, and on what they ran."""
    machine = results["machine"]
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        "| step | typed | minutes | processor minutes | last line |",
        "|---|---|---:|---:|---|",
    ]
    for row in results["rows"]:
        last = row["last_line"].replace("|", "\\|")
        failed = f" **exit code {row['code']}**" if row["code"] else ""
        lines.append(
            f"| {row['step']} | `{row['command']}` | {row['seconds'] / 60:.1f} | "
            f"{row['cpu_seconds'] / 60:.1f} | {last}{failed} |"
        )
    total = sum(row["seconds"] for row in results["rows"]) / 60
    lines += ["", f"In all {total:.0f} minutes."]
    return "\n".join(lines) + "\n"
