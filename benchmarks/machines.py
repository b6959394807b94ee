"""On which machine a benchmark ran, how busy it was, and files that are whole."""

import datetime
import os
import platform
import sys
from pathlib import Path
from typing import Any

from worker import ENVIRONMENT, THREADS


def describe(command: str) -> dict[str, Any]:
    """What a reader of the results must know of the machine."""
    cpu = Path("/proc/cpuinfo").read_text().partition("model name")[2].partition(":")[2]
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": cpu.partition("\n")[0].strip() or platform.processor(),
        "cores": os.cpu_count(),
        "threads": THREADS,
        "environment": ENVIRONMENT,
        "versions": {"python": platform.python_version()},
    }


def sentence(machine: dict[str, Any]) -> str:
    """The same for a Markdown file."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured on {machine['date']} by `{machine['command']}` on a CPU: "
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads each, "
        f"{machine['cores busy with other programs']} cores busy with other programs meanwhile; "
        f"{versions}."
    )


def foreign_seconds() -> float:
    """Processor time that other programs than this one have taken since the machine started."""
    user, nice, system = (int(ticks) for ticks in Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])


def write(path: Path, text: str) -> None:
    """Writes a text beside its place and renames it."""
    aside = path.with_name(path.name + ".partial")
    aside.write_text(text)
    aside.replace(path)


def say(text: str) -> None:
    """A line for who waits."""
    print(text, file=sys.stderr, flush=True)
