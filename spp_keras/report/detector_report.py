"""The parts of the page for a detector."""

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import _progress, detection, recipes, run_folder, serving
from spp_keras.data import image_ops, image_reader, records, splits
from spp_keras.detection import drawing
from spp_keras.report import embedded_images, html, test_table
from spp_keras.run_folder import RunFolder

_LONGEST = 640


def sections(
    run: Path, count: int, data: str, data_dir: str, split: str
) -> list[html.Markup | None]:
    """All parts, in the order of the page.

    Args:
        run: The detector's folder.
        count: How many images to look at, 0 for none.
        data: Folder or data set. Defaults to what the detector was tested on.
        data_dir: Where TensorFlow Datasets keeps its data.
        split: Split to look at.
    """
    run_files = RunFolder(run)
    detector = run_files.model
    settings = vars(run_files.recipe) if run_files.exists else {}
    scores = _read(run / run_folder.DETECTION_METRICS)
    if settings and not data:
        data, data_dir = settings["data"], data_dir or settings["data_dir"]
        split = split or settings["validation_split"]
    return [
        _facts(detector, settings, scores),
        _scores(scores),
        _detection_examples(run, count, data, data_dir or None, split),
        html.render_missing(
            "What the pyramid sees",
            "Shown for the network whose convolutions these are: ",
            f"spp-keras report {shlex.quote(settings['run'])}",
        )
        if settings
        else None,
        html.section("Recipe", _details(run_files)) if settings else None,
    ]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _facts(
    detector: detection.Detector, settings: dict[str, Any], scores: dict[str, Any]
) -> html.Markup:
    levels = ", ".join(f"{rows}x{columns}" for rows, columns in detector.roi_spp.levels)
    return html.render_facts(
        [
            ("mAP, VOC's area", f"{100 * scores['voc_area']['mean']:.1f}%" if scores else ""),
            ("training data", settings.get("data", "")),
            ("head", settings.get("head", "")),
            ("classes", str(len(detector.labels))),
            ("parameters", f"{detector.count_params():,}"),
            ("pyramid of an RoI", levels),
            ("scales", ", ".join(map(str, detector.scales))),
            ("proposals", "region proposal network" if detector.rpn else "selective search"),
        ]
    )


def _scores(scores: dict[str, Any]) -> html.Markup:
    title = "Average precision"
    if not scores:
        return html.render_missing(
            title,
            f"{run_folder.DETECTION_METRICS} is missing; training ends by writing it: ",
            "spp-keras train-detector",
        )
    area, points = scores["voc_area"]["classes"], scores["voc_11-point"]["classes"]
    ranked = sorted(area, key=lambda name: -(area[name] or 0))
    rows = [
        [name, _bar(area[name]), _percent(area[name]), _percent(points[name])] for name in ranked
    ]
    means = [scores[f"voc_{rule}"]["mean"] for rule in ("area", "11-point")]
    rows.append(["mean", _bar(means[0]), *map(_percent, means)])
    coco = ", ".join(f"{name} {_percent(value)}" for name, value in scores["coco"].items())
    never = ", ".join(scores["untrained"])
    return html.section(
        title,
        html.table(["class", "", "VOC, area", "VOC, 11 points"], rows, words=2),
        html.tag(
            "p",
            f"On {scores['images']:,} images. COCO: {coco}.",
            f" The training data have no object of {never}." if never else None,
            class_="note",
        ),
    )


def _percent(value: float | None) -> str:
    # Of a class that no image has, nothing was measured.
    return "-" if value is None else test_table.format_percent(value)


def _bar(value: float | None) -> html.Markup:
    return html.tag("span", html.tag("i", style=f"width: {100 * (value or 0):.1f}%"), class_="bar")


def _detection_examples(
    run: Path, count: int, data: str, data_dir: str | None, split: str
) -> html.Markup:
    title = "Detections"
    command = f"spp-keras report {shlex.quote(str(run))}"
    if not count:
        return html.render_missing(title, "No images were drawn; this draws some: ", command)
    if not data:
        why = f"{run_folder.RECIPE}, which names images, is missing; name them: "
        return html.render_missing(title, why, f"{command} --data DATA")
    images = records.load_records(
        data,
        split or splits.choose_splits(data, data_dir)[1],
        data_dir,
        orientation=RunFolder(run).orientation,
        background=RunFolder(run).background,
    )
    indices = np.arange(min(count, len(images))) * len(images) // min(count, len(images))
    detect, reader = (
        serving.load_detector(run),
        image_reader.ImageReader(images.files, images.spans),
    )
    figures = []
    for index in _progress.create_bar(indices, "Detecting"):
        encoded = reader.read(reader.row(index)).numpy()
        turn = int(images.orientations[index])
        pixels = image_ops.decode_image(encoded, turn, images.background).numpy()
        objects: Iterable[Any] = (
            images.objects[index].to_pixels(images.sizes[index]) if images.objects else []
        )
        figures.append(_figure(pixels, detect(encoded), objects))
    return html.section(
        title,
        html.tag(
            "p",
            f"{len(indices)} of {len(images):,} images of {images.name}; objects with a "
            "probability above 0.5 or, of support vector machines, a margin above 0. Dashed: the "
            "labeled objects.",
            class_="note",
        ),
        html.tag("div", *figures, class_="found"),
    )


def _figure(
    pixels: np.ndarray, detections: detection.Detections, objects: Iterable[Any]
) -> html.Markup:
    """An image with boxes drawn over it, which stay sharp when enlarged."""
    height, width = pixels.shape[:2]
    address = embedded_images.data_uri(pixels, _LONGEST)
    parts = [html.tag("image", href=address, width=width, height=height)]
    parts += [_box(box, class_="object") for box in objects]
    letters = max(height, width) / 24
    order = range(len(detections.boxes) - 1, -1, -1)
    for i in order:
        parts.append(_box(detections.boxes[i], stroke=_color(detections.classes[i])))
    for i in order:
        left, top, right, _ = detections.boxes[i]
        text = f"{detections.labels[i]} {detections.scores[i]:.2f}"
        # Above the box, or in it where there is no room above.
        y = top - letters / 4 if top > 1.3 * letters else top + letters
        # From the right edge where there may be no room beyond the left one.
        ends = left > 0.6 * width
        place = {"x": right if ends else left, "text_anchor": "end" if ends else None}
        style = {"font_size": letters, "stroke_width": letters / 5}
        parts.append(html.tag("text", text, y=y, **place, **style))
    named = (
        f"{label} {score:.2f}"
        for label, score in zip(detections.labels, detections.scores, strict=True)
    )
    caption = detections.error or ", ".join(named) or "nothing"
    svg = html.tag("svg", *parts, viewBox=f"0 0 {width} {height}", role="img", aria_label=caption)
    return html.tag("figure", svg, html.tag("figcaption", caption))


def _box(edges: Any, **attributes: str) -> html.Markup:
    left, top, right, bottom = map(float, edges)
    size = {"width": right - left, "height": bottom - top}
    return html.tag("rect", x=left, y=top, **size, **attributes)


def _color(number: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*drawing.class_color(number))


def _details(run: RunFolder) -> html.Markup:
    text = recipes.recipe_to_toml(run.recipe)
    return html.tag("details", html.tag("summary", run_folder.RECIPE), html.tag("pre", text))
