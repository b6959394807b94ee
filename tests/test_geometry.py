import doctest
import itertools
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spp_keras import geometry

thoroughly = settings(max_examples=60)
lengths = st.integers(1, 300)
bin_counts = st.integers(1, 60)


@pytest.mark.parametrize(
    ("length", "bins", "expected"),
    [
        (13, 6, [(0, 3), (2, 5), (4, 7), (6, 9), (8, 11), (10, 13)]),
        (13, 3, [(0, 5), (4, 9), (8, 13)]),
        (10, 6, [(0, 2), (1, 4), (3, 5), (5, 7), (6, 9), (8, 10)]),
        (10, 4, [(0, 3), (2, 5), (5, 8), (7, 10)]),
        (12, 4, [(0, 3), (3, 6), (6, 9), (9, 12)]),
        (2, 3, [(0, 1), (0, 2), (1, 2)]),
        (1, 3, [(0, 1), (0, 1), (0, 1)]),
        (7, 1, [(0, 7)]),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_bins_lie_where_the_appendix_puts_them(length, bins, expected):
    assert [geometry.bin_edges(i, length, bins) for i in range(bins)] == expected


@thoroughly
@given(lengths, bin_counts)
def test_bins_cover_every_cell_in_order_and_none_is_empty(length, bins):
    edges = [geometry.bin_edges(i, length, bins) for i in range(bins)]
    assert edges[0][0] == 0
    assert edges[-1][1] == length
    assert all(stop > start for start, stop in edges)
    for (start, stop), (next_start, next_stop) in itertools.pairwise(edges):
        assert start <= next_start <= stop <= next_stop


@thoroughly
@given(lengths, bin_counts)
def test_mirrored_bins_are_the_bins_of_the_mirrored_map(length, bins):
    edges = [geometry.bin_edges(i, length, bins) for i in range(bins)]
    assert [(length - stop, length - start) for start, stop in reversed(edges)] == edges


@thoroughly
@given(lengths, bin_counts)
def test_neighboring_bins_share_a_cell_exactly_where_the_border_cuts_one(length, bins):
    for i in range(bins - 1):
        _, stop = geometry.bin_edges(i, length, bins)
        start, _ = geometry.bin_edges(i + 1, length, bins)
        assert stop - start == (1 if (i + 1) * length % bins else 0)


def test_edges_of_arrays_are_those_of_their_entries():
    index, length = np.arange(6)[:, None], np.arange(1, 40)[None]
    starts, stops = geometry.bin_edges(index, length, 6)
    for i, cells in itertools.product(range(6), range(1, 40)):
        assert (starts[i, cells - 1], stops[i, cells - 1]) == geometry.bin_edges(i, cells, 6)


@thoroughly
@given(lengths, bin_counts)
def test_longest_bin_bounds_every_bin_of_every_shorter_length(length, bins):
    longest = max(
        stop - start
        for shorter in range(1, length + 1)
        for start, stop in (geometry.bin_edges(i, shorter, bins) for i in range(bins))
    )
    assert longest <= geometry.longest_bin(length, bins) <= longest + 1


level_sets = st.lists(
    st.one_of(
        st.integers(1, 12).map(lambda n: (n, n)), st.tuples(st.integers(1, 12), st.integers(1, 12))
    ),
    min_size=1,
    max_size=6,
)


@thoroughly
@given(level_sets, lengths, lengths)
def test_bins_of_a_derived_level_are_unions_of_the_bins_they_are_pooled_from(levels, rows, columns):
    for level, source, pool in geometry.derive_levels(levels):
        if source is None:
            assert pool == (1, 1)
            continue
        for axis, length in enumerate((rows, columns)):
            coarse, fine, size = levels[level][axis], levels[source][axis], pool[axis]
            for i in range(coarse):
                parts = [
                    set(range(*geometry.bin_edges(j, length, fine)))
                    for j in range(i * size, (i + 1) * size)
                ]
                assert set.union(*parts) == set(range(*geometry.bin_edges(i, length, coarse)))


@thoroughly
@given(level_sets)
def test_every_level_is_derived_once_and_after_its_source(levels):
    done = []
    for level, source, pool in geometry.derive_levels(levels):
        assert source is None or source in done
        if source is not None:
            rows, columns = levels[level]
            assert levels[source] == (rows * pool[0], columns * pool[1])
        done.append(level)
    assert sorted(done) == list(range(len(levels)))


@thoroughly
@given(level_sets)
def test_a_level_reads_the_map_only_where_no_other_level_can_give_it(levels):
    for level, source, _ in geometry.derive_levels(levels):
        finer = [
            other
            for other in range(len(levels))
            if levels[other] != levels[level]
            and levels[other][0] % levels[level][0] == 0
            and levels[other][1] % levels[level][1] == 0
        ]
        if finer:
            assert source is not None
        elif source is not None:
            assert levels[source] == levels[level]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([6, 3, 2, 1], [(0, None, 1), (1, 0, 2), (2, 0, 3), (3, 2, 2)]),
        ([1, 2, 3, 6], [(3, None, 1), (2, 3, 2), (1, 3, 3), (0, 1, 2)]),
        ([4, 3, 2, 1], [(0, None, 1), (1, None, 1), (2, 0, 2), (3, 2, 2)]),
    ],
    ids=["finest first", "finest last", "four and three"],
)
def test_levels_come_from_the_smallest_grid_that_gives_them(levels, expected):
    steps = geometry.derive_levels([(n, n) for n in levels])
    assert [tuple(stride) for stride in steps] == [
        (level, source, (pool, pool)) for level, source, pool in expected
    ]


layer_stacks = st.lists(
    st.integers(1, 7).flatmap(
        lambda kernel: st.tuples(
            st.just(kernel), st.integers(1, 4), st.integers(0, (kernel - 1) // 2)
        )
    ),
    max_size=6,
)


def stacked(layers):
    grid = geometry.CellGrid()
    for kernel, stride, padding in layers:
        grid = grid.after_layer(kernel, stride, padding)
    return grid


def layer_by_layer(layers, pixels):
    for kernel, stride, padding in layers:
        pixels = (pixels + 2 * padding - kernel) // stride + 1
        if pixels < 1:
            return 0
    return pixels


@thoroughly
@given(layer_stacks, st.integers(1, 1500))
def test_cells_of_a_stack_are_those_of_going_through_it_layer_by_layer(layers, pixels):
    assert max(stacked(layers).map_size(pixels), 0) == layer_by_layer(layers, pixels)


@thoroughly
@given(layer_stacks, st.integers(1, 20))
def test_min_pixels_is_the_shortest_side_that_has_so_many_cells(layers, cells):
    grid = stacked(layers)
    least = grid.min_pixels(cells)
    assert grid.map_size(least) == cells
    assert grid.map_size(least - 1) == cells - 1


@thoroughly
@given(layer_stacks, st.integers(0, 8))
def test_a_cell_is_centerd_in_the_middle_of_the_pixels_it_sees(layers, cell):
    first = last = cell
    for kernel, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride - padding + kernel - 1
    grid = stacked(layers)
    assert grid.first_center + grid.stride * cell == (first + last) / 2


# Poolings that round up, among convolutions that round down.
rounding_stacks = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 7), st.integers(1, 4), st.just(0), st.just(False)),
        st.sampled_from([(3, 2), (2, 2), (3, 3), (5, 2)]).map(lambda pool: (*pool, 0, True)),
    ),
    max_size=6,
)


def rounding_layer_by_layer(layers, pixels):
    for kernel, stride, padding, ceil_mode in layers:
        steps = (pixels + 2 * padding - kernel) / stride
        pixels = (math.ceil(steps) if ceil_mode else math.floor(steps)) + 1
        if pixels < 1:
            return 0
    return pixels


@thoroughly
@given(rounding_stacks, st.integers(1, 1500), st.integers(1, 20))
def test_a_grid_knows_what_rounds_up(layers, pixels, cells):
    grid = geometry.CellGrid()
    for *sizes, ceil_mode in layers:
        grid = grid.after_layer(*sizes, ceil_mode=ceil_mode)
    assert max(grid.map_size(pixels), 0) == rounding_layer_by_layer(layers, pixels)
    most = grid.max_pixels(cells)
    assert rounding_layer_by_layer(layers, most) == cells
    assert rounding_layer_by_layer(layers, most + 1) == cells + 1
    least = grid.min_pixels(cells)
    assert rounding_layer_by_layer(layers, least) == cells
    assert least == 1 or rounding_layer_by_layer(layers, least - 1) == cells - 1
    # Rounding changes how many there are, not where they are.
    assert grid[:2] == stacked([row[:3] for row in layers])[:2]


def test_cells_of_an_array_are_those_of_its_entries():
    grid = geometry.CellGrid(16, 14)
    pixels = np.arange(29, 700)
    assert grid.map_size(pixels).tolist() == [grid.map_size(int(n)) for n in pixels]


def test_examples_of_the_module_hold():
    results = doctest.testmod(geometry, extraglobs={"keras": keras})
    assert results.attempted > 5
    assert results.failed == 0
