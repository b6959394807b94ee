"""Two data sets of which the answer is known, by a network with weights of ImageNet."""

import numpy as np
import pytest
from PIL import Image
from scikit_photographs import read_photograph

import spp_keras

TEXTURES = ("grass.png", "gravel.png", "brick.png")
IMAGES = 20


def make_aspect_ratios(folder):
    """Parts of the same photographs, squeezed to the aspect ratio that is their class."""
    photographs = [read_photograph(name) for name in TEXTURES]
    for aspect in (1, 2, 3):
        place = folder / f"{aspect} to 1"
        place.mkdir(parents=True)
        for number in range(IMAGES):
            rng = np.random.default_rng((aspect, number))
            part = draw_square(photographs[number % 3], 150, rng)
            # Small first: the same detail is left in each.
            squeezed = part.resize((48, 48), Image.Resampling.BOX)
            squeezed.resize((48 * aspect, 48), Image.Resampling.BICUBIC).save(
                place / f"{number}.png"
            )
    return folder


def make_squares(folder):
    """Parts of three photographs under much noise, all of them square."""
    for label, name in enumerate(TEXTURES):
        photograph, place = read_photograph(name), folder / name.partition(".")[0]
        place.mkdir(parents=True)
        for number in range(IMAGES):
            rng = np.random.default_rng((label, number))
            part = draw_square(photograph, int(rng.integers(40, 80)), rng)
            noisy = np.asarray(part) + rng.normal(0, 60, (*part.size, 3))
            pixels = np.clip(noisy, 0, 255).astype("uint8")
            Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


def draw_square(photograph, side, rng):
    left, top = (int(rng.integers(0, length - side)) for length in photograph.size)
    return photograph.crop((left, top, left + side, top + side))


@pytest.mark.integration
def test_warping_loses_where_the_aspect_ratio_is_the_class(tmp_path):
    folder = make_aspect_ratios(tmp_path / "aspects")
    results = spp_keras.compare_size_policies(folder, short_side=48, cache=tmp_path / "cache")
    accuracies = {row["form"]: row["accuracy"] for row in results["rows"]}
    # By chance a third is right.
    assert accuracies["warp"] < 0.6
    warp = results["differences"][0]
    assert warp["forms"] == ["whole", "warp"]
    assert warp["verdict"] == "shown", results
    assert warp["difference"] > 0.2
    assert "whole images are classified better than warped ones: +" in results["sentence"]


@pytest.mark.integration
def test_square_images_are_alike_whole_and_warped(tmp_path):
    folder = make_squares(tmp_path / "squares")
    results = spp_keras.compare_size_policies(folder, short_side=48, cache=tmp_path / "cache")
    whole, warp = (
        next(row for row in results["rows"] if row["form"] == form) for form in ("whole", "warp")
    )
    assert whole["accuracies"] == warp["accuracies"]
    assert whole["accuracy"] > 0.6
    difference = results["differences"][0]
    assert (difference["difference"], difference["interval"]) == (0, [0, 0])
    assert difference["verdict"] == "not shown"
    said = "no difference between whole and warped images could be shown: 0.0 points [0.0, 0.0]"
    assert said in results["sentence"]
