"""What the rows of a table of `pooling.py` say about ours, in sentences."""

from collections.abc import Callable, Sequence
from typing import Any

from pooling_inputs import FIRST, GIVEN

Row = dict[str, Any]

OURS = "spp_keras"
VERDICTS = (
    "ours is on par where the medians are within 10 % of each other, within the noise where they "
    "are further apart but the quartiles overlap, and otherwise quicker or behind."
)
RULE = f"In the sentences below the tables, {VERDICTS}"
_MARGIN = 1.1


def sentences(section: str, rows: Sequence[Row]) -> str:
    """What is to be said below the table of a section; nothing where there is no peer."""
    if section == "network":
        return _networks(rows)
    return " ".join(
        filter(
            None,
            [
                _peers(rows, GIVEN, "the quickest peer that is given our algebra"),
                _peers(rows, FIRST, "the quickest as a user writes it first"),
                _portable(rows),
            ],
        )
    )


def verdict(row: Row, ours: Row) -> str:
    """How ours stands beside a row: "quicker", "on par", "within the noise" or "behind"."""
    (low, middle, high), (our_low, ours_middle, our_high) = quartiles(row), quartiles(ours)
    if 1 / _MARGIN <= middle / ours_middle <= _MARGIN:
        return "on par"
    if low <= our_high and our_low <= high:
        return "within the noise"
    return "quicker" if middle > ours_middle else "behind"


def ratio(row: Row, base: Row) -> float:
    """How many times the base: of its time, or of its speed where pixels are counted."""
    times = row["median ms"] / base["median ms"]
    return row["pixels"] / base["pixels"] / times if row["pixels"] else times


def quartiles(row: Row) -> tuple[float, ...]:
    """Lower quartile, median and upper quartile in milliseconds."""
    return tuple(row[f"{name} ms"] for name in ("lower quartile", "median", "upper quartile"))


def _peers(rows: Sequence[Row], label: str, named: str) -> str:
    """Ours beside the quickest exact peer with that label, setting by setting."""
    pairs = []
    for ours in _of(rows, lambda name: name == OURS):
        peers = [
            row
            for row in _of(rows, lambda name: name.endswith(f", {label}"))
            if row["setting"] == ours["setting"]
        ]
        if peers:
            pairs.append((min(peers, key=lambda row: row["median ms"]), ours))
    if not pairs:
        return ""
    said = {
        row["setting"]: f"{row['setting']} (x{ratio(row, ours):.2f}, {_system(row)})"
        for row, ours in pairs
    }
    return f"Beside {named}, ours is {_grouped(pairs, said)}."


def _portable(rows: Sequence[Row]) -> str:
    """Our own portable path beside what is used."""
    used = {row["setting"]: row for row in _of(rows, lambda name: name == OURS)}
    cells = [
        f"x{ratio(row, used[row['setting']]):.2f} ({row['setting']})"
        for row in _of(rows, lambda name: name == f"{OURS}, portable")
        if row["setting"] in used
    ]
    return f"Our portable path takes {_listed(cells)} of our time." if cells else ""


def _networks(rows: Sequence[Row]) -> str:
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    alone, mixed, apart = (
        {row["setting"]: row for row in _of(rows, lambda name, one=one: name == one)}
        for one in ("one by one", "one ragged batch", "two ragged batches")
    )
    if any(list(by) != settings for by in (alone, mixed, apart)):
        return ""

    def against(batches: dict[str, Row]) -> str:
        pairs = [(alone[setting], batches[setting]) for setting in settings]
        shown = {
            setting: f"{_doing(setting)} (x{1 / ratio(alone[setting], batches[setting]):.2f})"
            for setting in settings
        }
        return _grouped(pairs, shown, on="")

    text = (
        "In speed, beside the same images one by one, the one ragged batch, upright and lying "
        f"mixed, is {against(mixed)}; the two, upright and lying apart, are {against(apart)}."
    )
    if all(ratio(apart[setting], mixed[setting]) > _MARGIN for setting in settings):
        text += " So batch like sizes together."
    return text


def _of(rows: Sequence[Row], wanted: Callable[[str], bool]) -> list[Row]:
    """Rows by name that ran and were right."""
    return [
        row
        for row in rows
        if wanted(row["name"]) and not row["error"] and not row["differing"] and "median ms" in row
    ]


def _grouped(pairs: Sequence[tuple[Row, Row]], said: dict[str, str], on: str = "on ") -> str:
    """The settings by verdict, what speaks against ours first."""
    groups = []
    for word in ("behind", "within the noise", "on par", "quicker"):
        cells = [said[ours["setting"]] for row, ours in pairs if verdict(row, ours) == word]
        if cells:
            groups.append(f"{word} {on}{_listed(cells)}")
    return _listed(groups)


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def _system(row: Row) -> str:
    return row["name"].rpartition(", ")[0]


def _doing(setting: str) -> str:
    return {"forward": "forward", "training": "in training"}.get(setting, setting)
