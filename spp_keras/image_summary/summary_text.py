"""The summary of images in lines of up to 80 characters."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from spp_keras.image_summary import character_plot, sentences

if TYPE_CHECKING:
    from spp_keras.image_summary.summary import ImageSummary

_WIDTH = 80
# Of lists that may be long so many are shown.
_SHOWN = 10


def write_text(summary: "ImageSummary") -> str:
    """All of a summary as text."""
    blocks = [
        _wrap(sentences.describe_images(summary), ""),
        *_classes(summary),
        *_sizes(summary),
        *_squares(summary),
        _block("Files", sentences.list_file_findings(summary, _SHOWN)),
        *_batches(summary),
        _training(summary),
    ]
    return "\n\n".join(block for block in blocks if block)


def _classes(summary: "ImageSummary") -> Iterator[str]:
    if summary.classes:
        classes = summary.classes[:_SHOWN]
        name_width = min(30, max(len(count.name) for count in classes))
        largest = max(1, summary.classes[0].images)
        lines = [
            f"  {count.name[:name_width]:<{name_width}} {count.images:>7,} "
            f"{'#' * round(30 * count.images / largest)}".rstrip()
            for count in classes
        ]
        more = sentences.describe_more_classes(summary, len(classes))
        yield "\n".join(["Classes", *lines, *([_wrap(more)] if more else [])])


def _sizes(summary: "ImageSummary") -> Iterator[str]:
    if summary.width is None or summary.height is None:
        return
    lines = [f"Sizes in pixels   {'smallest':>8} {'median':>8} {'largest':>8}"]
    for name, values in (("width", summary.width), ("height", summary.height)):
        lines.append(f"  {name:<15} " + " ".join(f"{value:>8,.0f}" for value in values))
    yield "\n".join([*lines, _wrap(sentences.describe_shapes(summary.shapes or {}))])
    yield "\n".join(character_plot.draw_sizes(summary.image_set.sizes))


def _squares(summary: "ImageSummary") -> Iterator[str]:
    if summary.crop_loss is None or summary.aspect is None:
        return
    paragraphs = [
        sentences.describe_crop_loss(summary.crop_loss),
        sentences.describe_bending(summary.aspect, summary.bent or {}),
    ]
    yield _block("Squares", paragraphs)
    lines = [
        f"{'Lose most in a center crop':<48} {'width':>6} {'height':>6} {'aspect':>6} {'lost':>5}"
    ]
    for image in summary.most_cropped:
        # The end of a path tells images apart.
        name = image.image if len(image.image) <= 46 else f"...{image.image[-43:]}"
        lines.append(
            f"  {name:<46} {image.width:>6} {image.height:>6} {image.aspect:>6.2f} "
            f"{image.lost:>5.0%}"
        )
    yield "\n".join(lines)


def _batches(summary: "ImageSummary") -> Iterator[str]:
    if summary.batches:
        lines = [f"{'Batches of 32: share that is no image':<44} {'padded':>8} {'packed':>8}"]
        for fill in summary.batches:
            size = sentences.describe_fill_size(fill)
            lines.append(f"  {size:<42} {fill.padded:>8.0%} {fill.packed:>8.0%}")
        yield "\n".join(lines)


def _training(summary: "ImageSummary") -> str:
    plan = summary.training
    if plan.problem:
        return _block("Nothing can be trained on them yet", [plan.problem])
    keys = sentences.list_recipe(plan)
    width = max((len(key) for key, _ in keys), default=0)
    margin = " " * (width + 6)
    rows = [
        textwrap.fill(f"    {key:<{width}}  # {reason}", _WIDTH, subsequent_indent=f"{margin}# ")
        for key, reason in keys
    ]
    # A command is never broken, so that it can be copied.
    return "\n".join(
        ["To train", f"  {plan.command}", *rows, *map(_wrap, sentences.list_plan(plan))]
    )


def _block(title: str, paragraphs: Sequence[str]) -> str:
    return "\n".join([title, *map(_wrap, paragraphs)]) if paragraphs else ""


def _wrap(paragraph: str, indent: str = "  ") -> str:
    """A paragraph filled up; the lines behind its first one are a list."""
    lines = []
    for number, line in enumerate(paragraph.splitlines()):
        first = indent if number == 0 else f"{indent}  "
        rest = indent if number == 0 else f"{indent}    "
        filled = textwrap.fill(
            line.strip(),
            _WIDTH,
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
            break_long_words=False,
        )
        lines.append(filled)
    return "\n".join(lines)
