"""Sentences of cards and pages that arithmetic can hold."""

import math
from pathlib import Path

import pytest

from spp_keras import geometry
from spp_keras.zoo import tables

ROOT = Path(__file__).parents[1]
LEVELS = (6, 3, 2, 1)


def of_appendix(length, bins):
    return [geometry.bin_edges(index, length, bins) for index in range(bins)]


def of_section(length, bins):
    """Section 2.3: windows of ceil(length / bins), floor(length / bins) apart, as many as fit."""
    window, step = math.ceil(length / bins), length // bins
    return [(first, first + window) for first in range(0, length - window + 1, step)]


@pytest.mark.parametrize("bins", range(1, 9))
def test_where_the_formulas_of_the_paper_agree_is_as_said(bins):
    page = " ".join((ROOT / "docs" / "mixed-sizes.md").read_text().split())
    said = "agree for n = 1 and n = 2, and for n above that where L is a multiple of n or one more"
    assert said in page
    for length in range(bins, 200):
        agree = of_appendix(length, bins) == of_section(length, bins)
        assert agree == (bins <= 2 or length % bins in (0, 1)), length


@pytest.mark.parametrize("trunk", tables.TRUNKS, ids=lambda trunk: trunk.name)
def test_a_card_says_what_the_other_formula_gives(trunk):
    card = " ".join((ROOT / "zoo" / f"{trunk.name}_spp" / "card.md").read_text().split())
    large, small = (trunk.grid.map_size(side) for side in (224, 180))
    assert all(of_appendix(large, bins) == of_section(large, bins) for bins in LEVELS)
    differing = [bins for bins in LEVELS if of_appendix(small, bins) != of_section(small, bins)]
    said = f"gives the same at 224 ({large}x{large} cells); at 180 ({small}x{small}) "
    if len(of_section(small, 6)) == 9:
        assert differing == [6]
        said += "it gives 9x9 bins, not 6x6."
    else:
        assert differing == [6, 3]
        for bins in differing:
            assert len(of_section(small, bins)) == bins
            assert of_section(small, bins)[-1][1] == small - 1
        said += "its 6x6 and 3x3 bins leave out the last row and column."
    assert said in card
