"""The forms in which images are compared: whole, cropped and warped, with equal pixels."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from spp_keras import _checks
from spp_keras.data import size_policies
from spp_keras.evaluation import views
from spp_keras.evaluation.protocols import ScaledViews, list_scaled_views

# From height and width of an image, and a number that its random crops follow from.
ListViews = Callable[[views.Size, int], list[ScaledViews]]

# Factors on the sides of whole and warped images in training, and whether they are mirrored: as
# many views as there are crops, two of them mirrored. The first is the view in validation and test.
_JITTER = ((1.0, False), (1.0, True), (15 / 16, False), (15 / 16, True))
_RANDOM_CROPS = (False, True, True)


class SizeForm(NamedTuple):
    """A form of images: their views in training and in test.

    Args:
        name: Its name.
        train: Lists the views in training, of which the first is that of validation and test.
        test: Lists the view in test.
        ten: Lists ten views in test; `None` where there are none.
        settings: Sizes in pixels, for a file of results.
    """

    name: str
    train: ListViews
    test: ListViews
    ten: ListViews | None
    settings: dict[str, Any]


def make_forms(sizes: np.ndarray, short_side: int) -> list[SizeForm]:
    """The three forms of images: `whole`, `crop` and `warp`.

    Squares have as many pixels as whole images have on average, so that no form sees more in test.
    Crops are 7/8 of the short side of the image that they are cut from, as in the paper: at
    random positions in training, from the center in test, or center, corners and mirror images.

    A trunk that is frozen needs each view once. Every form has four views of an image in
    training, two of them mirrored: that of the test with three random crops, or with its mirror
    image and both of them a sixteenth smaller. Whole and warped images cannot be moved as crops
    are; without the change of scale they would have two views and crops four.

    Args:
        sizes: `(n, 2)`, heights and widths of all images.
        short_side: Short side of whole images.

    Example:

    >>> forms = make_forms(np.array([[300, 400], [400, 300]]), short_side=192)
    >>> [(form.name, len(form.train((300, 400), 0)[0].views)) for form in forms]
    [('whole', 2), ('crop', 4), ('warp', 2)]
    >>> forms[1].settings, forms[2].settings
    ({'side': 222, 'short_side': 254}, {'sides': [222, 208]})
    """
    _checks.at_least(short_side, 1, "short_side")
    scales = list(dict.fromkeys(scale for scale, _ in _JITTER))
    short_sides = {scale: round(short_side * scale) for scale in scales}
    sides = {scale: _find_side(sizes, short_sides[scale]) for scale in scales}
    return [
        _make_scaled_form(
            "whole",
            lambda size, scale: views.scale_size(size, short_sides[scale]),
            {"short_sides": [*short_sides.values()]},
        ),
        _make_crop_form(sides[1.0]),
        _make_scaled_form(
            "warp", lambda _, scale: (sides[scale],) * 2, {"sides": [*sides.values()]}
        ),
    ]


def _find_side(sizes: np.ndarray, short_side: int) -> int:
    """The side of squares that have as many pixels as whole images on average."""
    pixels = size_policies.Whole(short_side=short_side).output_sizes(sizes).prod(axis=1, dtype=int)
    return round(float(np.sqrt(pixels.mean())))


def _make_scaled_form(
    name: str, scale: Callable[[views.Size, float], views.Size], settings: dict[str, Any]
) -> SizeForm:
    def list_train_views(size: views.Size, seed: int) -> list[ScaledViews]:
        by_size: dict[views.Size, list[views.View]] = {}
        for factor, mirrored in _JITTER:
            target = scale(size, factor)
            (view,) = views.whole_view(target)
            by_size.setdefault(target, []).append(view._replace(mirrored=mirrored))
        return [ScaledViews(target, of_size) for target, of_size in by_size.items()]

    def list_test_views(size: views.Size, seed: int) -> list[ScaledViews]:
        target = scale(size, 1.0)
        return [ScaledViews(target, views.whole_view(target))]

    return SizeForm(name, list_train_views, list_test_views, None, settings)


def _make_crop_form(side: int) -> SizeForm:
    short_side = size_policies.short_side_for(side)
    whole = size_policies.Whole(short_side=short_side)

    def list_train_views(size: views.Size, seed: int) -> list[ScaledViews]:
        ((target, center, _),) = list_test_views(size, seed)
        margins = np.array(target) - side
        corners = np.random.default_rng(seed).integers(0, margins + 1, (len(_RANDOM_CROPS), 2))
        crops = [
            views.View((left, top, left + side, top + side), mirrored)
            for (top, left), mirrored in zip(corners.tolist(), _RANDOM_CROPS, strict=True)
        ]
        return [ScaledViews(target, [*center, *crops])]

    def list_test_views(size: views.Size, seed: int) -> list[ScaledViews]:
        return list_scaled_views("crop", size, side, short_side, whole)

    def list_ten_views(size: views.Size, seed: int) -> list[ScaledViews]:
        return list_scaled_views("10-view", size, side, short_side, whole)

    settings = {"side": side, "short_side": short_side}
    return SizeForm("crop", list_train_views, list_test_views, list_ten_views, settings)
