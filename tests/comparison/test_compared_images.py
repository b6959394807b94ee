import shutil

import numpy as np
import pytest
from color_trunk import CLASSES, make_folder

from spp_keras.comparison import compared_images
from spp_keras.comparison.compared_images import find_splits, load_images


def make_splits(root, *names):
    for seed, name in enumerate(names):
        make_folder(root / name, images=8, seed=seed)
    return root


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train",), (["train", "validation"], [])),
        (("train", "test"), (["train"], ["test"])),
        (("train", "val"), (["train"], ["val"])),
        (("train", "validation"), (["train"], ["validation"])),
        (("train", "validation", "test"), (["train", "validation"], ["test"])),
    ],
    ids=str,
)
def test_the_split_for_the_test_is_the_one_there_is(names, expected, tmp_path):
    root = tmp_path
    for name in names:
        # Without splits the folders are classes.
        (root / name / "cat").mkdir(parents=True)
    if names == ("train",):
        root = tmp_path / "train"
        (root / "dog").mkdir()
    assert find_splits(root) == expected


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("", ""), (["train", "validation"], [])),
        (("train", "test"), (["train"], ["test"])),
        (("train", "val"), (["train"], ["validation"])),
    ],
    ids=str,
)
def test_a_table_of_labels_has_the_splits_of_its_column(splits, expected, tmp_path):
    pairs = zip(("0.jpg,cat", "1.jpg,dog"), splits, strict=True)
    rows = ["file,label,split", *(f"{row},{split}" for row, split in pairs)]
    if not any(splits):
        rows = [row.rpartition(",")[0] for row in rows]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    for number in range(2):
        (tmp_path / f"{number}.jpg").touch()
    assert find_splits(tmp_path / "labels.csv") == expected
    assert find_splits(tmp_path) == expected


def test_of_a_folder_without_splits_all_images_are_drawn_from(tmp_path):
    images = load_images(make_folder(tmp_path, images=12))
    assert len(images.labels) == 36
    assert images.classes == tuple(sorted(CLASSES))
    splits = [images.split(seed) for seed in range(3)]
    for split in splits:
        assert sorted(np.concatenate(split)) == list(range(36))
    assert not np.array_equal(splits[0].test, splits[1].test)


def test_a_test_split_stays_and_copies_of_its_images_are_not_trained_on(tmp_path):
    make_splits(tmp_path, "train", "test")
    shutil.copy(tmp_path / "test" / "red" / "3.png", tmp_path / "train" / "red" / "copy.png")
    images = load_images(tmp_path)
    ids = np.concatenate([records.ids for records in (*images.pool, *images.tested)])
    for seed in range(3):
        split = images.split(seed)
        assert all(name.startswith("test/") for name in ids[split.test])
        assert len(split.test) == 24
        trained = ids[np.concatenate([split.train, split.validation])]
        assert all(name.startswith("train/") for name in trained)
        assert len(trained) == 24
        assert "train/red/copy.png" not in trained


def test_named_splits_are_taken(tmp_path):
    make_splits(tmp_path, "train", "validation", "test")
    images = load_images(tmp_path, None, "train", "validation")
    assert images.tested[0].ids[0].startswith("validation/")
    assert images.test_start == 24
    with pytest.raises(ValueError, match="`train_split` and `test_split` must be given together"):
        load_images(tmp_path, None, "train")


def test_too_few_images_to_split_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`data` must have images to train, to validate"):
        load_images(make_folder(tmp_path, images=2))


def test_images_with_several_classes_are_refused(tmp_path, monkeypatch):
    class Several:
        multi_label = True

    monkeypatch.setattr(compared_images, "load_records", lambda *_: Several())
    with pytest.raises(ValueError, match="`data` must have one class for each image"):
        load_images(make_folder(tmp_path, images=2))
