from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from spp_keras import zoo
from spp_keras.zoo import imagenet


def test_there_are_a_thousand_classes_in_the_order_of_their_synsets():
    classes = imagenet._list_classes()
    synsets = [synset for synset, _ in classes]
    assert len(set(synsets)) == 1000
    # WordNet's order is that in which networks score them.
    assert synsets == sorted(synsets)
    assert all(synset[0] == "n" and synset[1:].isdecimal() for synset in synsets)


def test_names_are_unique_and_known_ones_are_in_their_places():
    labels = imagenet.list_labels()
    assert len(set(labels)) == 1000
    assert not any(label != label.strip() or not label for label in labels)
    known = {0: "tench", 1: "goldfish", 285: "Egyptian cat", 291: "lion", 340: "zebra"}
    known |= {396: "lionfish", 817: "sports car", 967: "espresso", 999: "toilet tissue"}
    # Names that two classes share.
    known |= {134: "crane (bird)", 517: "crane (machine)"}
    assert {i: labels[i] for i in known} == known


def test_the_best_classes_are_named_in_their_order():
    scores = np.zeros((2, 1000), "float32")
    scores[0, [7, 3, 999]] = 0.5, 0.3, 0.1
    scores[1, [1, 0]] = 0.5, 0.5
    first, second = zoo.decode_predictions(scores, top=3)
    assert [label for _, label, _ in first] == ["cock", "tiger shark", "toilet tissue"]
    assert [score for *_, score in first] == pytest.approx([0.5, 0.3, 0.1])
    # Equal scores: the first class first, as elsewhere.
    assert [synset for synset, *_ in second] == ["n01440764", "n01443537", "n01484850"]


def test_as_many_classes_as_asked_for():
    scores = np.random.default_rng(0).random((3, 1000))
    for top in (1, 5, 1000):
        rows = zoo.decode_predictions(scores, top)
        assert [len(row) for row in rows] == [top] * 3
        for row, of in zip(rows, scores, strict=True):
            assert [score for *_, score in row] == sorted(of, reverse=True)[:top]
    assert zoo.decode_predictions(np.zeros((0, 1000))) == []


@pytest.mark.parametrize("shape", [(1000,), (2, 999), (2, 1001), (1, 2, 1000)])
def test_scores_of_other_classes_are_refused(shape):
    with pytest.raises(ValueError, match=r"`scores` must be those of ImageNet's classes.*shape \("):
        zoo.decode_predictions(np.zeros(shape))


@pytest.mark.parametrize("top", [0, -1, 1.5, "5"])
def test_a_number_of_classes_is_checked(top):
    with pytest.raises(ValueError, match="`top` must be an int >= 1"):
        zoo.decode_predictions(np.zeros((1, 1000)), top)


def test_synsets_are_those_of_tensorflow_datasets():
    folder = Path(next(iter(find_spec("tensorflow_datasets").submodule_search_locations)))
    lines = (folder / "datasets" / "imagenet2012" / "labels.txt").read_text().split()
    assert [synset for synset, _ in imagenet._list_classes()] == lines


@pytest.mark.integration
def test_names_begin_as_those_of_keras_hub():
    keras_hub = pytest.importorskip("keras_hub")
    for index, label in enumerate(imagenet.list_labels()):
        name = keras_hub.utils.imagenet_id_to_name(index)
        assert label.partition(" (")[0].lower() == name.replace("_", " ").lower(), (index, name)
