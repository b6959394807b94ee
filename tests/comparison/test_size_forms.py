import numpy as np
import pytest

from spp_keras.comparison.size_forms import make_forms
from spp_keras.evaluation import views

SIZES = np.array([[300, 400], [400, 300], [200, 600], [250, 250], [333, 500]])
FORMS = {form.name: form for form in make_forms(SIZES, 192)}


def list_all(list_views, size, seed=0):
    """Scaled size and view of each."""
    return [
        (scaled.size, view) for scaled in list_views(tuple(size), seed) for view in scaled.views
    ]


def count_pixels(name, kind="test"):
    return np.mean(
        [
            (bottom - top) * (right - left)
            for size in SIZES.tolist()
            for _, ((left, top, right, bottom), _) in list_all(getattr(FORMS[name], kind), size)
        ]
    )


@pytest.mark.parametrize("name", ["crop", "warp"])
def test_squares_have_the_pixels_of_whole_images(name):
    assert count_pixels(name) == pytest.approx(count_pixels("whole"), rel=0.01)


def test_whole_and_warped_images_have_equal_pixels_in_training_too():
    assert count_pixels("warp", "train") == pytest.approx(count_pixels("whole", "train"), rel=0.01)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size", SIZES.tolist(), ids=str)
def test_every_form_has_as_many_views_in_training_the_first_that_of_the_test(name, size):
    train = list_all(FORMS[name].train, size)
    assert len(train) == 4
    assert [view.mirrored for _, view in train].count(True) == 2
    assert [train[0]] == list_all(FORMS[name].test, size)
    assert not train[0][1].mirrored
    for (height, width), ((left, top, right, bottom), _) in train:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


@pytest.mark.parametrize("size", SIZES.tolist(), ids=str)
def test_whole_images_keep_their_aspect_ratio_and_warped_ones_are_square(size):
    for (height, width), _ in list_all(FORMS["whole"].train, size):
        assert height / width == pytest.approx(size[0] / size[1], rel=0.01)
    for (height, width), _ in list_all(FORMS["warp"].train, size):
        assert height == width


def test_square_images_are_the_same_whole_and_warped():
    whole, _, warp = make_forms(np.array([[80, 80], [123, 123]]), 64)
    for size in ((80, 80), (123, 123)):
        assert whole.train(size, 0) == warp.train(size, 0)
        assert whole.test(size, 0) == warp.test(size, 0)


def test_crops_differ_by_image_and_ten_views_are_those_of_the_paper():
    crop = FORMS["crop"]
    drawn = [list_all(crop.train, (300, 400), seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    side, short_side = crop.settings["side"], crop.settings["short_side"]
    (scaled,) = crop.ten((300, 400), 0)
    assert scaled.size == views.scale_size((300, 400), short_side)
    assert scaled.views == views.ten_views(scaled.size, side)
