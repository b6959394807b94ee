"""Images of which the network was surest, rightly or wrongly, and of which it was least sure."""

import numpy as np

from spp_keras.report import looking, page, pictures

_EACH, _LONGEST = 8, 220


def section(looked: looking.Looked) -> page.Markup:
    """Three rows of photographs with what they are and what was answered."""
    rows = {
        "Surest of what is right, one of each class": surest(looked, right=True),
        "Surest of what is wrong, one of each mistake": surest(looked, right=False),
        "Least sure": least_sure(looked),
    }
    parts = []
    for title, numbers in rows.items():
        figures = [_figure(looked, int(number)) for number in numbers[:_EACH]]
        shown = page.tag("div", *figures, class_="gallery") if figures else page.tag("p", "None.")
        parts.append(page.joined(page.tag("h3", title), shown))
    return page.section("Right and wrong", *parts)


def surest(looked: looking.Looked, right: bool) -> np.ndarray:
    """Numbers of images that were answered rightly, or wrongly, the highest score first.

    Of several with the same classes and the same answer, the first alone.
    """
    order = np.argsort(-looked.scores.max(axis=1), kind="stable")
    order = order[looked.right[order] == right]
    kinds = np.column_stack([looked.answers[order], looked.found.labels[order]])
    return order[np.sort(np.unique(kinds, axis=0, return_index=True)[1])]


def least_sure(looked: looking.Looked) -> np.ndarray:
    """Numbers of the images, those first whose two highest scores are nearest to each other."""
    if looked.scores.shape[1] < 2:
        return np.array([], int)
    highest = np.sort(looked.scores, axis=1)
    return np.argsort(highest[:, -1] - highest[:, -2], kind="stable")


def said(looked: looking.Looked, number: int) -> page.Markup:
    """What was answered for an image, and what is right if that is something else."""
    right, answer = looked.right[number], looked.member.labels[looked.answers[number]]
    score = f" {looked.scores[number].max():.2f}"
    kind = page.tag("span", answer, class_="right" if right else "wrong")
    truth = None if right else page.tag("span", f", is {looked.names_of(number)}")
    return page.joined(kind, score, truth)


def _figure(looked: looking.Looked, number: int) -> page.Markup:
    name = str(looked.found.ids[number])
    photograph = pictures.photograph(looked.pixels(number), _LONGEST, looked.names_of(number))
    caption = page.tag("figcaption", said(looked, number))
    return page.tag("figure", photograph, caption, title=name)
