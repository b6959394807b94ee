"""Images of which the network was surest, rightly or wrongly, and of which it was least sure."""

import numpy as np

from spp_keras.report import embedded_images, html, predictions

_EACH, _LONGEST = 8, 220


def section(looked: predictions.Predictions) -> html.Markup:
    """Three rows of photographs with what they are and what was answered."""
    rows = {
        "Surest of what is right, one of each class": surest(looked, right=True),
        "Surest of what is wrong, one of each mistake": surest(looked, right=False),
        "Least sure": least_sure(looked),
    }
    parts = []
    for title, numbers in rows.items():
        figures = [_figure(looked, int(number)) for number in numbers[:_EACH]]
        shown = html.tag("div", *figures, class_="gallery") if figures else html.tag("p", "None.")
        parts.append(html.join_markup(html.tag("h3", title), shown))
    return html.section("Right and wrong", *parts)


def surest(looked: predictions.Predictions, right: bool) -> np.ndarray:
    """Numbers of images that were answered rightly, or wrongly, the highest score first.

    Of several with the same classes and the same answer, the first alone.
    """
    order = np.argsort(-looked.scores.max(axis=1), kind="stable")
    order = order[looked.right[order] == right]
    kinds = np.column_stack([looked.answers[order], looked.found.labels[order]])
    return order[np.sort(np.unique(kinds, axis=0, return_index=True)[1])]


def least_sure(looked: predictions.Predictions) -> np.ndarray:
    """Numbers of the images, those first whose two highest scores are nearest to each other."""
    if looked.scores.shape[1] < 2:
        return np.array([], int)
    highest = np.sort(looked.scores, axis=1)
    return np.argsort(highest[:, -1] - highest[:, -2], kind="stable")


def said(looked: predictions.Predictions, number: int) -> html.Markup:
    """What was answered for an image, and what is right if that is something else."""
    right, answer = looked.right[number], looked.member.folder.labels[looked.answers[number]]
    score = f" {looked.scores[number].max():.2f}"
    kind = html.tag("span", answer, class_="right" if right else "wrong")
    truth = None if right else html.tag("span", f", is {looked.names_of(number)}")
    return html.join_markup(kind, score, truth)


def _figure(looked: predictions.Predictions, number: int) -> html.Markup:
    name = str(looked.found.ids[number])
    photograph = embedded_images.read_image(
        looked.pixels(number), _LONGEST, looked.names_of(number)
    )
    caption = html.tag("figcaption", said(looked, number))
    return html.tag("figure", photograph, caption, title=name)
