import pytest

from spp_keras.models.name_matching import match_names, match_numbered_names

CASES = {
    "the same names": ([("a",), ("b",)], [("b",), ("a",)], {0: 1, 1: 0}),
    "a file of a model around": ([("a",)], [("model", "a")], {0: 0}),
    "a file of a part": ([("model", "a")], [("a",)], {0: 0}),
    "further layers in the file": ([("a",)], [("head",), ("a",)], {0: 1}),
    "a layer that is missing": ([("a",), ("b",)], [("a",)], {0: 0}),
    "one name in two models": (
        [("a",), ("inner.a",), ("other.a",)],
        [("inner", "a"), ("other", "a"), ("a",)],
        {0: 2, 1: 0, 2: 1},
    ),
    "the first of two models has the name itself": (
        [("a",), ("other.a",)],
        [("other", "a"), ("inner", "a")],
        {0: 1, 1: 0},
    ),
    "models in models": (
        [("a",), ("outer.inner.a",)],
        [("outer", "a"), ("outer", "inner", "a")],
        {0: 0, 1: 1},
    ),
    "a name that fits two": ([("a",)], [("inner", "a"), ("other", "a")], {}),
    "no names": ([], [("a",)], {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_layer_is_found_by_its_name_where_that_is_certain(case):
    ours, theirs, expected = CASES[case]
    assert match_names(ours, theirs) == expected


NUMBERED = {
    "another start": (
        [("conv2d_7",), ("conv2d_12",), ("dense_3",)],
        [("dense",), ("conv2d",), ("conv2d_1",)],
        {0: 1, 1: 2, 2: 0},
    ),
    # As numbers, not as words.
    "two digits": ([("conv2d_2",), ("conv2d_10",)], [("conv2d_9",), ("conv2d_11",)], {0: 0, 1: 1}),
    "names of the user beside": (
        [("stem_1",), ("conv2d_4",)],
        [("conv2d",), ("stem_1",)],
        {0: 1, 1: 0},
    ),
    "names of the user keep their numbers": ([("stem_1",)], [("stem_2",)], {}),
    "one more in the file": ([("conv2d_4",)], [("conv2d",), ("conv2d_1",)], {}),
    "words in capitals": ([("my_conv2d_5",)], [("my_conv2d",)], {0: 0}),
}


@pytest.mark.parametrize("case", NUMBERED)
def test_numbers_that_keras_gave_may_begin_elsewhere(case):
    ours, theirs, expected = NUMBERED[case]
    assert match_numbered_names(ours, theirs, {"Conv2D", "Dense", "MyConv2D"}) == expected
