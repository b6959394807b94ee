import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spp_keras.data import size_policies
from spp_keras.evaluation import views

SIDES = st.integers(1, 3000)


@given(SIDES, SIDES, st.integers(1, 600))
def test_scale_size_agrees_with_the_size_policy(height, width, short):
    expected = size_policies.Whole(short_side=short).output_sizes(np.array([(height, width)]))[0]
    assert views.scale_size((height, width), short) == tuple(expected)
    assert min(views.scale_size((height, width), short)) == short


@given(SIDES, SIDES, st.sampled_from([64, 112, 180, 224]))
def test_96_views_are_distinct_and_inside_the_image(height, width, side):
    listed = []
    for short in views.six_short_sides(side):
        size = views.scale_size((height, width), short)
        these = views.eighteen_views(size, side)
        rooms = [length - side for length in size]
        positions = [len({0, room // 2, room}) for room in rooms]
        assert len(these) == 2 * positions[0] * positions[1]
        for (left, top, right, bottom), _ in these:
            assert 0 <= left < right <= size[1]
            assert 0 <= top < bottom <= size[0]
            assert (right - left, bottom - top) == (side, side)
        listed += [(short, view) for view in these]
    assert len(set(listed)) == len(listed) <= 96
    if 2 * abs(height - width) > 0.1 * min(height, width):
        assert len(listed) == 96


@pytest.mark.parametrize(
    ("size", "ten", "six_scales"),
    [
        ((375, 500), 10, [6, 18, 18, 18, 18, 18]),
        ((500, 375), 10, [6, 18, 18, 18, 18, 18]),
        ((400, 400), 10, [2, 18, 18, 18, 18, 18]),
        # A pixel longer than wide, it has room for two.
        ((224, 225), 10, [4, 18, 18, 18, 18, 18]),
    ],
    ids=str,
)
def test_number_of_views_is_the_papers(size, ten, six_scales):
    assert (
        len(views.ten_views(views.scale_size(size, size_policies.short_side_for(224)), 224)) == ten
    )
    counts = [
        len(views.eighteen_views(views.scale_size(size, s), 224))
        for s in views.six_short_sides(224)
    ]
    assert counts == six_scales


def test_positions_of_views_by_hand():
    squares = [view.window for view in views.eighteen_views((9, 7), 4) if not view.mirrored]
    expected = [(x, y, x + 4, y + 4) for y, x in itertools.product((0, 2, 5), (0, 1, 3))]
    assert squares == expected
    assert [view.window for view in views.center_view((9, 7), 4)] == [(1, 2, 5, 6)]
    ten = views.ten_views((9, 7), 4)
    assert {view.window for view in ten} == {expected[i] for i in (0, 2, 4, 6, 8)}
    assert sum(view.mirrored for view in ten) == 5


def test_view_larger_than_the_image_is_refused():
    with pytest.raises(
        ValueError, match=r"`view_size` must be at most the shorter side .* view_size=65"
    ):
        views.center_view((64, 90), 65)
