"""Example images: the most certain predictions, correct and wrong, and the least certain."""

import numpy as np

from spp_keras.report import embedded_images, html, predictions

_EACH, _LONGEST = 8, 220


def section(results: predictions.Predictions) -> html.Markup:
    """Three rows of images with their predictions."""
    rows = {
        "Most certain and correct, one of each class": list_most_certain(results, correct=True),
        "Most certain and wrong, one of each mistake": list_most_certain(results, correct=False),
        "Least certain": list_least_certain(results),
    }
    parts = []
    for title, indices in rows.items():
        figures = [_figure(results, int(index)) for index in indices[:_EACH]]
        content = html.tag("div", *figures, class_="gallery") if figures else html.tag("p", "None.")
        parts.append(html.join_markup(html.tag("h3", title), content))
    return html.section("Right and wrong", *parts)


def list_most_certain(results: predictions.Predictions, correct: bool) -> np.ndarray:
    """Numbers of images that were answered rightly, or wrongly, the highest score first.

    Of several with the same classes and the same answer, the first alone.
    """
    order = np.argsort(-results.scores.max(axis=1), kind="stable")
    order = order[results.correct[order] == correct]
    kinds = np.column_stack([results.classes[order], results.records.labels[order]])
    return order[np.sort(np.unique(kinds, axis=0, return_index=True)[1])]


def list_least_certain(results: predictions.Predictions) -> np.ndarray:
    """Numbers of the images, those first whose two highest scores are nearest to each other."""
    if results.scores.shape[1] < 2:
        return np.array([], int)
    highest = np.sort(results.scores, axis=1)
    return np.argsort(highest[:, -1] - highest[:, -2], kind="stable")


def describe_prediction(results: predictions.Predictions, index: int) -> html.Markup:
    """The prediction for an image, and its class if that is another."""
    correct, answer = results.correct[index], results.run.folder.labels[results.classes[index]]
    score = f" {results.scores[index].max():.2f}"
    kind = html.tag("span", answer, class_="correct" if correct else "wrong")
    truth = None if correct else html.tag("span", f", is {results.describe_classes(index)}")
    return html.join_markup(kind, score, truth)


def _figure(results: predictions.Predictions, index: int) -> html.Markup:
    name = str(results.records.ids[index])
    picture = embedded_images.read_image(
        results.read_pixels(index), _LONGEST, results.describe_classes(index)
    )
    caption = html.tag("figcaption", describe_prediction(results, index))
    return html.tag("figure", picture, caption, title=name)
