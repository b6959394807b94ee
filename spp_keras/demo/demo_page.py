"""The report of the demo, one HTML file."""

from collections.abc import Sequence
from pathlib import Path

from spp_keras.demo import shapes_networks
from spp_keras.demo.exported_model import Answer
from spp_keras.demo.image_forms import ImageForm, NamedImage
from spp_keras.demo.shapes_networks import NetworkRow
from spp_keras.report import embedded_images, html

_LONGEST = 300


def render_page(
    photographs: Sequence[NamedImage],
    rows: Sequence[NetworkRow],
    answers: Sequence[Answer],
    run: Path,
    commands: Sequence[str],
) -> str:
    """The page.

    Args:
        photographs: Photographs with their names in each form.
        rows: Accuracies of networks for drawn images.
        answers: Answers of the exported model.
        run: Run folder of the network that was fine-tuned.
        commands: What to type next.
    """
    return html.render_document(
        "spp_keras: the demo",
        [
            html.section(
                "Photographs, whole, cropped and warped",
                html.tag(
                    "p",
                    "What a network with ImageNet weights sees, and its best three classes. "
                    "How many of more photographs it names in each form is in "
                    "docs/imagenet-weights.md.",
                ),
                *(_render_photograph(image) for image in photographs),
            ),
            html.section(
                "Networks trained on whole, cropped and warped images",
                html.table(
                    ["network", "images", "accuracy"],
                    [[row.network, row.form, f"{row.accuracy:.1%}"] for row in rows],
                    words=2,
                ),
                html.tag("p", shapes_networks.describe_interval()),
                html.tag(
                    "p",
                    f"{rows[0].images} drawn images that no network was trained on, each network "
                    "in the form that it was trained in. ",
                    html.tag("a", "Report of the training", href=f"runs/{run.name}/report.html"),
                    class_="note",
                ),
            ),
            html.section(
                "The exported model",
                html.tag(
                    "p",
                    "One request to the SavedModel with all photographs, each at its own size, "
                    "by TensorFlow alone:",
                ),
                html.table(
                    ["photograph", "class", "score"],
                    [[answer.name, answer.label, f"{answer.score:.3f}"] for answer in answers],
                    words=2,
                ),
            ),
            html.section("Next", html.tag("pre", "\n".join(commands))),
        ],
    )


def _render_photograph(image: NamedImage) -> html.Markup:
    height, width = image.size
    return html.join_markup(
        html.tag("h3", f"{image.name}, {width}x{height}"),
        html.tag(
            "div",
            *(_render_form(image, name, form) for name, form in image.forms.items()),
            class_="gallery forms",
        ),
    )


def _render_form(image: NamedImage, name: str, form: ImageForm) -> html.Markup:
    height, width = form.pixels.shape[:2]
    return html.tag(
        "figure",
        embedded_images.read_image(form.pixels, _LONGEST, f"{image.name}, {name}"),
        html.tag(
            "figcaption",
            f"{name}, {width}x{height}",
            html.tag(
                "ol",
                *(
                    html.tag("li", f"{label} {score:.2f}")
                    for label, score in zip(form.labels, form.scores, strict=True)
                ),
            ),
        ),
    )
