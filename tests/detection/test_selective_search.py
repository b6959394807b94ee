import sys
import threading

import numpy as np
import photographs
import pytest
from proposal_images import (
    OBJECTS,
    draw_objects,
)
from sklearn.datasets import load_sample_image

from spp_keras import ops
from spp_keras.detection import selective_search


@pytest.mark.parametrize("factor", [1, 4], ids=["unscaled", "scaled down first"])
def test_every_object_has_a_proposal(factor):
    proposed = selective_search.selective_search(draw_objects(factor))
    assert proposed.dtype == np.float32
    truth = np.array(list(OBJECTS.values())) * factor
    assert (ops.box_iou(truth, proposed).max(axis=1) > 0.9).all()
    assert proposed.min() >= 0
    assert proposed[:, 2].max() == 320 * factor
    assert proposed[:, 3].max() == 180 * factor
    assert len(np.unique(proposed, axis=0)) == len(proposed)


def test_colors_are_red_green_and_blue_in_that_order(monkeypatch):
    seen = []
    monkeypatch.setattr(
        selective_search,
        "_search_boxes",
        lambda image, _: seen.append(image) or np.zeros((0, 4), int),
    )
    selective_search.selective_search(np.full((30, 30, 3), (1, 2, 3), np.uint8))
    # OpenCV has them the other way round.
    assert seen[0][0, 0].tolist() == [3, 2, 1]


def test_small_boxes_are_left_out_and_the_first_are_the_best():
    image = photographs.photograph(200, 300, coarse=8)
    every = selective_search.selective_search(image, min_side=1)
    large = selective_search.selective_search(image)
    sides = np.min(every[:, 2:] - every[:, :2], axis=1)
    assert sides.min() < 20
    assert {*map(tuple, every[sides >= 20])} == {*map(tuple, large)}
    few = selective_search.selective_search(image, max_boxes=10)
    np.testing.assert_array_equal(few, large[:10])
    areas = np.prod(large[:, 2:] - large[:, :2], axis=1)
    half = len(areas) // 2
    assert areas[:half].mean() > 1.2 * areas[half:].mean()
    # In the image that is searched, of half the size here.
    smaller = selective_search.selective_search(image, longest_side=150)
    assert np.min(smaller[:, 2:] - smaller[:, :2]) >= 40


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (19, 40), (3000, 2)], ids=str)
@pytest.mark.parametrize("filled", [lambda s: np.full(s, 7), np.random.default_rng(0).random])
def test_an_image_too_small_has_no_boxes(shape, filled):
    image = (255 * filled((*shape, 3))).astype(np.uint8)
    assert selective_search.selective_search(image).shape == (0, 4)


@pytest.mark.parametrize("shape", [(20, 20), (100, 60), (20, 3000)], ids=str)
def test_an_image_of_one_color_is_one_box(shape):
    proposed = selective_search.selective_search(np.full((*shape, 3), 77, np.uint8), min_side=3)
    assert proposed.tolist() == [[0, 0, shape[1], shape[0]]]


@pytest.mark.integration
@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_a_photograph_has_fewer_boxes_than_the_papers_2000(name):
    # By OpenCV's default k, as the documents say; from k = 50 on there would be 1,500 to 2,200.
    assert 400 < len(selective_search.selective_search(load_sample_image(name))) < 1050


@pytest.mark.integration
def test_the_same_image_has_the_same_boxes_in_threads_and_in_any_order():
    images = [photographs.photograph(90 + i, 120, i, coarse=8) for i in range(4)]
    alone = [selective_search.selective_search(image) for image in images]
    assert min(map(len, alone)) > 10
    beside = {}

    def search(i):
        beside[i] = selective_search.selective_search(images[i])

    threads = [threading.Thread(target=search, args=(i,)) for i in (3, 2, 1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        np.testing.assert_array_equal(beside[i], alone[i])


@pytest.mark.parametrize(
    ("image", "received"),
    [
        (np.zeros((30, 30), np.uint8), r"\(30, 30\) and type uint8"),
        (np.zeros((30, 30, 4), np.uint8), r"\(30, 30, 4\)"),
        (np.zeros((0, 30, 3), np.uint8), r"\(0, 30, 3\)"),
        (np.zeros((30, 30, 3), np.float32), r"type float32"),
        ("cat.jpg", r"type str"),
    ],
)
def test_selective_search_needs_an_image(image, received):
    with pytest.raises(ValueError, match=rf"`image` must be a uint8 array .*{received}"):
        selective_search.selective_search(image)


@pytest.mark.parametrize("name", ["max_boxes", "min_side", "longest_side"])
def test_limits_are_checked(name):
    with pytest.raises(ValueError, match=rf"`{name}` must be an int >= 1"):
        selective_search.selective_search(np.zeros((30, 30, 3), np.uint8), **{name: 0})


def test_without_opencv_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"-m pip install .*opencv-contrib-python-headless"):
        selective_search.selective_search(np.zeros((30, 30, 3), np.uint8))


def test_opencv_without_its_contributed_modules_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", sys)
    with pytest.raises(ImportError, match=r"-m pip install .*opencv-contrib-python-headless"):
        selective_search.selective_search(np.zeros((30, 30, 3), np.uint8))
