"""The summary of images as a page of HTML."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from spp_keras.data import image_ops, image_reader
from spp_keras.image_summary import sentences, size_scatter, size_statistics
from spp_keras.report import embedded_images, html

if TYPE_CHECKING:
    from spp_keras.image_summary.summary import ImageSummary

_LONGEST = 320
# Of lists that may be long so many are shown.
_SHOWN = 30


def render_page(summary: "ImageSummary") -> str:
    """All of a summary as one file."""
    sections = [
        _facts(summary),
        _training(summary),
        *_sizes(summary),
        *_crops(summary),
        *_classes(summary),
        *_files(summary),
        *_batches(summary),
    ]
    return html.render_document(summary.data, sections)


def _facts(summary: "ImageSummary") -> html.Markup:
    pairs = [("images", f"{summary.images:,}")]
    pairs += [(f"in {name}", f"{count:,}") for name, count in summary.splits.items() if name]
    pairs.append(("classes", f"{len(summary.classes):,}" if summary.classes else "no labels"))
    if summary.aspect is not None and summary.crop_loss is not None:
        pairs += [
            ("median lost in a crop", f"{summary.crop_loss.median:.0%}"),
            ("median bent in a square", f"{summary.aspect.median:.2f} times"),
        ]
    pairs.append(("that cannot be used", f"{len(summary.skipped):,}"))
    return html.join_markup(html.tag("section", html.render_facts(pairs)))


def _training(summary: "ImageSummary") -> html.Markup:
    plan = summary.training
    if plan.problem:
        return html.section("Nothing can be trained on them yet", _paragraph(plan.problem))
    lines = [_paragraph(line) for line in sentences.list_plan(plan)]
    rows = [[html.tag("code", key), reason] for key, reason in sentences.list_recipe(plan)]
    table = html.table(["key", "why"], rows, words=2) if rows else None
    return html.section("To train", html.tag("pre", plan.command), table, *lines)


def _sizes(summary: "ImageSummary") -> Iterator[html.Markup]:
    if summary.width is None or summary.height is None:
        return
    rows = [
        [name, *(f"{value:,.0f}" for value in values)]
        for name, values in (("width", summary.width), ("height", summary.height))
    ]
    yield html.section(
        "Sizes in pixels",
        html.table(["", "smallest", "median", "largest"], rows),
        html.tag("p", sentences.describe_shapes(summary.shapes or {})),
        size_scatter.draw_scatter(summary.image_set.sizes),
        html.tag("p", "A dot for each size, larger where more images have it.", class_="note"),
    )


def _crops(summary: "ImageSummary") -> Iterator[html.Markup]:
    if summary.crop_loss is None or summary.aspect is None:
        return
    figures = [_figure(summary, rank) for rank in range(len(summary.most_cropped))]
    yield html.section(
        "Squares",
        html.tag("p", sentences.describe_crop_loss(summary.crop_loss)),
        html.tag("p", sentences.describe_bending(summary.aspect, summary.bent or {})),
        html.tag("h3", "Images that lose most in a center crop"),
        html.tag("div", *figures, class_="gallery cropped"),
    )


def _figure(summary: "ImageSummary", rank: int) -> html.Markup:
    """An image at its own aspect, with what a center crop shows of it."""
    image = summary.most_cropped[rank]
    records, index = summary.image_set.locate(summary.image_set.ids.index(image.image))
    encoded = image_reader.read_span(records.files, records.spans[index])
    scale = min(1.0, _LONGEST / max(image.height, image.width))
    target = [max(1, round(side * scale)) for side in (image.height, image.width)]
    size = (image.height, image.width)
    orientation = int(records.orientations[index])
    pixels = image_ops.decode_resized(encoded, size, target, orientation).numpy()
    top, left, height, width = (
        round(float(edge * scale), 1)
        for edge in size_statistics.list_crop_windows(records.sizes[[index]])[0]
    )
    address = embedded_images.data_uri(pixels, _LONGEST)
    caption = f"{image.width}x{image.height}, {image.lost:.0%} lost, aspect {image.aspect:.2f}"
    svg = html.tag(
        "svg",
        html.tag("image", href=address, width=target[1], height=target[0]),
        # What is outside of the crop is darkened: the whole, less the crop.
        html.tag(
            "path",
            d=f"M0 0H{target[1]}V{target[0]}H0ZM{left:g} {top:g}v{height:g}h{width:g}v-{height:g}Z",
            class_="outside",
            fill_rule="evenodd",
        ),
        html.tag("rect", x=left, y=top, width=width, height=height, class_="crop"),
        viewBox=f"0 0 {target[1]} {target[0]}",
        preserveAspectRatio="xMinYMax",
        role="img",
        aria_label=f"{image.image}: {caption}",
    )
    return html.tag("figure", svg, html.tag("figcaption", f"{image.image}: {caption}"))


def _classes(summary: "ImageSummary") -> Iterator[html.Markup]:
    if not summary.classes:
        return
    largest = max(1, summary.classes[0].images)
    rows = []
    for count in summary.classes[:_SHOWN]:
        fill = html.tag("i", style=f"width: {100 * count.images / largest:.1f}%")
        rows.append([count.name, html.tag("span", fill, class_="bar"), f"{count.images:,}"])
    more = sentences.describe_more_classes(summary, len(rows))
    yield html.section(
        "Classes",
        html.table(["class", "", "images"], rows, words=2),
        html.tag("p", more) if more else None,
    )


def _files(summary: "ImageSummary") -> Iterator[html.Markup]:
    findings = sentences.list_file_findings(summary, _SHOWN)
    if findings:
        yield html.section("Files", *map(_paragraph, findings))


def _batches(summary: "ImageSummary") -> Iterator[html.Markup]:
    if summary.batches:
        rows = [
            [sentences.describe_fill_size(fill), f"{fill.padded:.0%}", f"{fill.packed:.0%}"]
            for fill in summary.batches
        ]
        yield html.section(
            "Batches of 32",
            html.table(["images at", "padded", "packed"], rows),
            html.tag(
                "p",
                "The share of a batch that is no image: padded, with an image a canvas, and "
                "packed, with several on a canvas where that takes less time.",
                class_="note",
            ),
        )


def _paragraph(text: str) -> html.Markup:
    """A paragraph, and a list of its lines behind the first."""
    first, *rows = text.splitlines()
    items = [html.tag("li", row.strip()) for row in rows]
    return html.join_markup(html.tag("p", first), html.tag("ul", *items) if items else None)
