import numpy as np
import pytest

from spp_keras.comparison.image_splits import draw_split, draw_validation

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [40, 12, 4]))
ALONE = np.arange(len(LABELS))


def count(indices):
    return np.bincount(LABELS[indices], minlength=3).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_every_class_is_in_every_part_in_proportion(seed):
    split = draw_split(LABELS, ALONE, seed)
    assert sorted(np.concatenate(split)) == ALONE.tolist()
    assert count(split.test) == [10, 3, 1]
    assert count(split.validation) == [6, 2, 1]


def test_seeds_draw_other_images_and_always_the_same():
    first, again, other = (draw_split(LABELS, ALONE, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(*parts) for parts in zip(first, again, strict=True))
    assert not np.array_equal(first.test, other.test)


@pytest.mark.parametrize("seed", range(5))
def test_copies_stay_in_one_part(seed):
    # Three and four copies of some images, a pair of them in two classes.
    copies = ALONE.copy()
    for group in ([0, 5, 9], [1, 2, 3, 4], [20, int(np.flatnonzero(LABELS[20] != LABELS)[0])]):
        copies[group] = group[0]
    split = draw_split(LABELS, copies, seed)
    assert sorted(np.concatenate(split)) == ALONE.tolist()
    parts = [set(copies[part].tolist()) for part in split]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_given_test_images_are_kept():
    split = draw_validation(LABELS, ALONE, [3, 7, 8], seed=0)
    assert split.test.tolist() == [3, 7, 8]
    assert sorted(np.concatenate(split)) == ALONE.tolist()


def test_a_class_of_one_image_is_trained_on():
    labels = np.array([0] * 8 + [1])
    split = draw_split(labels, np.arange(9), seed=0)
    assert 8 in split.train
