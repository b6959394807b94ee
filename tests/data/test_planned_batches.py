import itertools

import numpy as np
import pytest

from spp_keras.canvas_rules import CanvasRules
from spp_keras.cell_counts import CellCount
from spp_keras.data import batch_layouts, plan_batches

FIVE = CellCount().slide_same(stride=16)
RULES = CanvasRules(16, ((FIVE, 2),), ((FIVE, 2),))


def wild_sizes(count, seed=0):
    """Wide, tall and small images."""
    rng = np.random.default_rng(seed)
    long, short = rng.integers(300, 600, count), rng.integers(20, 120, count)
    wide = rng.random(count) < 0.5
    return np.where(wide[:, None], np.stack([short, long], 1), np.stack([long, short], 1))


def paint(batch):
    """How many images' footprints cover each pixel of canvases, and how many images do."""
    room = np.zeros((batch.canvases, batch.height + 600, batch.width + 600), int)
    own = np.zeros((batch.canvases, batch.height, batch.width), int)
    for canvas, top, left, height, width in batch.placements:
        rows, columns = RULES.footprint(int(height), int(width))
        room[canvas, top : top + rows, left : left + columns] += 1
        own[canvas, top : top + height, left : left + width] += 1
    return room, own


def count_pixels(batches):
    return sum(batch.canvases * batch.height * batch.width for batch in batches)


@pytest.mark.parametrize("max_pixels", [None, 400_000])
def test_images_on_canvases_keep_their_distance_and_the_limit(max_pixels):
    sizes = wild_sizes(40)
    options = {"max_pixels": max_pixels, "seed": 3, "batch_size": 16}
    packed = plan_batches(sizes, **options, canvas_rules=RULES)
    for batch in packed:
        np.testing.assert_array_equal(batch.placements[:, 3:], sizes[batch.indices])
        if batch.canvases < len(batch.indices):
            room, own = paint(batch)
            assert room.max() == own.max() == 1
            assert own.sum() == sizes[batch.indices].prod(axis=1).sum()
        assert max_pixels is None or batch.canvases * batch.height * batch.width <= max_pixels
    seen = sorted(itertools.chain(*(batch.indices for batch in packed)))
    assert seen == list(range(40))
    assert any(batch.canvases < len(batch.indices) for batch in packed)
    padded = plan_batches(sizes, **options)
    # With a limit there are more batches, each of images that are more alike.
    most = 0.9 if max_pixels is None else 1
    assert count_pixels(packed) < most * count_pixels(padded)


def test_rules_do_not_change_which_images_share_a_batch():
    sizes = wild_sizes(30)
    for epoch in range(2):
        plans = [
            plan_batches(sizes, seed=1, epoch=epoch, batch_size=8, canvas_rules=rules)
            for rules in (None, RULES)
        ]
        for padded, packed in zip(*plans, strict=True):
            np.testing.assert_array_equal(padded.indices, packed.indices)


def test_a_padded_batch_has_a_canvas_for_each_image():
    sizes = np.array([[30, 41], [33, 40], [32, 38]])
    for rules in (None, RULES):
        [batch] = plan_batches(sizes, canvas_rules=rules)
        # Canvases are drawn in pieces of four pixels.
        assert batch[1:4] == (3, 33, 41 if rules is None else 44)
        expected = [(i, 0, 0, *sizes[index]) for i, index in enumerate(batch.indices)]
        np.testing.assert_array_equal(batch.placements, expected)


def test_plans_depend_on_seed_and_epoch():
    def plan(**options):
        batches = plan_batches(np.full((40, 2), 30), batch_size=8, **options)
        return [batch.indices.tolist() for batch in batches]

    assert plan(seed=2, epoch=5) == plan(seed=2, epoch=5)
    assert len({str(plan(seed=seed, epoch=epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
    assert plan(shuffle=False) == plan(shuffle=False, epoch=3)


def test_canvases_pay_where_they_save_more_than_they_cost():
    alike = [np.full((8, 2), 100)] * 3
    wild = [wild_sizes(8, seed) for seed in range(3)]
    assert not batch_layouts.pays_to_pack(alike, RULES)
    assert batch_layouts.pays_to_pack(wild, RULES)
    assert not batch_layouts.pays_to_pack(wild, None)
    # A few wild batches do not make up for what placements cost in all others.
    assert not batch_layouts.pays_to_pack([*wild[:1], *[np.full((64, 2), 400)] * 9], RULES)


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ([[20, 30], [0, 30]], {}, "`sizes` must be at least 1. Received: image 1 of 0x30 pixels"),
        (
            [[20, 30], [90, 100]],
            {"max_pixels": 8000},
            "`max_pixels` must be at least 9000, .* `longest_side`. Received: max_pixels=8000 "
            "with image 1 of 90x100 pixels",
        ),
        ([20, 30], {}, r"`sizes` must be integers of the shape \(images, 2\)"),
        ([[20.0, 30.0]], {}, r"`sizes` must be integers .* dtype float64"),
        ([], {}, "`count` must be an int >= 1"),
    ],
)
def test_sizes_that_cannot_be_planned_are_refused(sizes, options, message):
    with pytest.raises(ValueError, match=message):
        plan_batches(sizes, **options)
