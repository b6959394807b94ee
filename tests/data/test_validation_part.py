import hashlib
import random

import numpy as np
import pytest

from spp_keras.data.validation_part import choose_validation_part


def choose(paths, labels):
    part = choose_validation_part(paths, labels)
    return {path for path, chosen in zip(paths, part, strict=True) if chosen}


def smallest(paths, count):
    return set(sorted(paths, key=lambda path: hashlib.sha256(path.encode()).hexdigest())[:count])


@pytest.mark.parametrize(
    ("images", "chosen"),
    [(1, 0), (2, 1), (3, 1), (14, 1), (15, 2), (25, 3), (100, 10), (1234, 123)],
)
def test_a_tenth_of_a_class_by_the_smallest_hash(images, chosen):
    paths = [f"cat/{index}.jpg" for index in range(images)]
    assert choose(paths, [(0,)] * images) == smallest(paths, chosen)


def test_a_class_does_not_depend_on_others_nor_on_the_order():
    paths = {name: [f"{name}/{index}.jpg" for index in range(40)] for name in ("cat", "dog", "owl")}
    expected = {name: choose(paths[name], [(0,)] * 40) for name in paths}
    rows = [(path, (label,)) for label, name in enumerate(paths) for path in paths[name]]
    random.Random(0).shuffle(rows)
    assert choose(*zip(*rows, strict=True)) == set.union(*expected.values())


def test_no_images():
    assert choose_validation_part([], []).tolist() == []


@pytest.mark.parametrize("seed", range(20))
def test_of_several_classes_each_stays_in_training(seed):
    generator = np.random.default_rng(seed)
    classes = 8
    labels = [
        tuple(np.flatnonzero(generator.random(classes) < 0.02 * 2 ** np.arange(classes)))
        for _ in range(generator.integers(2, 120))
    ]
    paths = [f"{index}.jpg" for index in range(len(labels))]
    part = choose_validation_part(paths, labels)
    present = {label for image in labels for label in image}
    kept = {label for image, held in zip(labels, part, strict=True) if not held for label in image}
    assert kept == present
    assert 0.02 * len(labels) <= part.sum() <= max(0.2 * len(labels), classes + 1)
    assert choose(paths[::-1], labels[::-1]) == choose(paths, labels)


def test_a_class_whose_images_are_all_of_rarer_classes_stays_in_training():
    """Both images of class 0 would be held back, each as the one of its rarer class."""
    paths = [f"{index}.jpg" for index in range(40)]
    by_hash = sorted(range(40), key=lambda i: hashlib.sha256(paths[i].encode()).hexdigest())
    labels = [()] * 40
    # Classes 1 and 2 have two images each, the first by hash with class 0; class 0 has three.
    labels[by_hash[0]], labels[by_hash[2]] = (0, 1), (1,)
    labels[by_hash[1]], labels[by_hash[3]] = (0, 2), (2,)
    part = choose_validation_part(paths, labels)
    # Of the two with class 0, the one of the larger hash goes back.
    assert part[by_hash[0]]
    assert not part[by_hash[1]]
