"""What a summary says in words, on the page and in the terminal."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spp_keras.image_summary.batch_fill import BatchFill
from spp_keras.image_summary.size_statistics import Range
from spp_keras.image_summary.training_plan import TrainingPlan

if TYPE_CHECKING:
    from spp_keras.image_summary.summary import ImageSummary


def describe_images(summary: "ImageSummary") -> str:
    """How many images there are, of how many classes, in which splits."""
    text = f"{summary.data}: {_count(summary.images, 'image')}"
    if summary.classes:
        text += f" of {_count(len(summary.classes), 'class', 'classes')}"
    named = [f"{count:,} in {name}" for name, count in summary.splits.items() if name]
    return f"{text} ({', '.join(named)})." if named else f"{text}, without labels."


def describe_more_classes(summary: "ImageSummary", shown: int) -> str:
    """What the rows of the first classes do not say."""
    rest = len(summary.classes) - shown
    sentences = [f"And {rest:,} more."] if rest else []
    empty = sum(not count.images for count in summary.classes)
    if empty:
        sentences.append(f"{_count(empty, 'class has', 'classes have')} no image.")
    if summary.class_skew is not None and summary.class_skew > 1.05:
        sentences.append(
            f"The largest class has {summary.class_skew:.1f} times as many as the smallest."
        )
    return " ".join(sentences)


def describe_shapes(shapes: Mapping[str, float]) -> str:
    """Shares of upright images and so on."""
    names = {"panorama": "panoramas, one side twice the other or more"}
    shares = shapes.items()
    return f"{', '.join(f'{share:.0%} {names.get(name, name)}' for name, share in shares)}."


def describe_crop_loss(loss: Range) -> str:
    """What a crop throws away."""
    return (
        "A center crop of 224, from a short side of 256, throws away "
        f"{loss.median:.0%} of the median image and {loss.max:.0%} of the worst."
    )


def describe_bending(aspect: Range, bent: Mapping[str, float]) -> str:
    """What warping bends."""
    return (
        f"Warped to a square, the median image is bent by a factor of {aspect.median:.2f}; "
        f"{bent['1.5']:.0%} by more than 1.5, {bent['2']:.0%} by more than 2."
    )


def list_file_findings(summary: "ImageSummary", shown: int) -> list[str]:
    """Sentences about files, those alone that say something.

    Args:
        summary: The summary.
        shown: How many names a list has at most.
    """
    findings = []
    if summary.turned:
        findings.append(f"{_count(summary.turned, 'image is', 'images are')} turned by EXIF.")
    if summary.converted:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary.converted.items())
        findings.append(f"Converted to RGB: {kinds}.")
    if summary.large:
        names = _list(summary.large, shown)
        findings.append(f"Above 24 megapixels, slow to read: {names}.")
    findings += _list_small(summary)
    if summary.skipped:
        rows = [f"{image.id} {image.reason}" for image in summary.skipped[:shown]]
        more = len(summary.skipped) - len(rows)
        rows += [f"and {more:,} more"] * bool(more)
        title = _count(len(summary.skipped), "image cannot be used:", "images cannot be used:")
        findings.append("\n".join([title, *rows]))
    return findings + _list_same(summary, shown)


def describe_fill_size(fill: BatchFill) -> str:
    """The size that a row about batches is for."""
    limit = f", at most {fill.longest_side}" if fill.longest_side else ""
    size = f"short side {fill.short_side}" if fill.short_side else "their own size"
    return f"{size}{limit}"


def list_plan(plan: TrainingPlan) -> list[str]:
    """What may go wrong in a training, and the time that it takes."""
    lines = [f"Warning: {warning}" for warning in plan.warnings]
    if plan.seconds is not None:
        time = describe_time(plan.seconds)
        lines.append(f"It takes {time} on this machine, less where it stops learning earlier.")
    return lines


def list_recipe(plan: TrainingPlan) -> list[tuple[str, str]]:
    """Pairs of a line of the recipe and of the reason for it."""
    return [
        (f"{key} = {json.dumps(value)}", plan.reasons[key]) for key, value in plan.recipe.items()
    ]


def describe_time(seconds: float) -> str:
    """A time, no more exactly than it is known.

    Example:

    >>> describe_time(40), describe_time(400), describe_time(40_000)
    ('about a minute', 'about 7 minutes', 'about 11 hours')
    """
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"about {seconds / length:.0f} {unit}s"
    return "about a minute" if seconds < 90 else "about 2 minutes"


def _list_small(summary: "ImageSummary") -> list[str]:
    if not summary.too_small or summary.width is None or summary.height is None:
        return []
    short = {name: count for name, count in summary.too_small.items() if count}
    smallest = f"The smallest side has {min(summary.width.min, summary.height.min):.0f} pixels"
    if not short:
        return [f"{smallest}, enough for every network of the zoo that takes any size."]
    counts = ", ".join(f"{name} ({count:,})" for name, count in short.items())
    return [f"{smallest}. Images that are too small: {counts}; size_policy='whole' enlarges them."]


def _list_same(summary: "ImageSummary", shown: int) -> list[str]:
    same = summary.same_pictures
    if not same:
        return []
    rows = []
    for picture in same[:shown]:
        notes = []
        if len(picture.classes) > 1:
            notes.append(f"classes {' and '.join(picture.classes)}")
        if len(picture.splits) > 1:
            notes.append(f"in {' and '.join(picture.splits)}")
        note = f" ({'; '.join(notes)})" if notes else ""
        rows.append(f"{_list(picture.images, 4)}{note}")
    more = len(same) - len(rows)
    rows += [f"and {more:,} more"] * bool(more)
    both = sum(len(picture.splits) > 1 for picture in same)
    two = sum(len(picture.classes) > 1 for picture in same)
    title = _count(
        len(same), "picture is there more than once", "pictures are there more than once"
    )
    title += f", {both:,} in both splits" if both else ""
    title += f", {two:,} in several classes" if two else ""
    return ["\n".join([f"{title}:", *rows])]


def _list(names: Sequence[str], shown: int) -> str:
    more = len(names) - shown
    return ", ".join([*names[:shown], *([f"and {more:,} more"] if more > 0 else [])])


def _count(count: int, one: str, several: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"
