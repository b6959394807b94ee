import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from spp_keras.data import records, splits


def folders(root, *names):
    for name in names:
        (root / name / "cat").mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train", "validation", "test"), "validation"),
        (("train", "val", "test"), "val"),
        (("train", "test"), "test"),
        (("cat", "dog"), "validation"),
    ],
)
def test_folders(tmp_path, names, expected):
    root = folders(tmp_path, *names)
    assert splits.choose_splits(root) == ("train", expected)
    assert splits.choose_splits(str(root)) == ("train", expected)


def test_a_voc_tree(tmp_path):
    for name in ("JPEGImages", "ImageSets/Main", "Annotations"):
        (tmp_path / "VOCdevkit" / "VOC2007" / name).mkdir(parents=True)
    assert splits.choose_splits(tmp_path) == ("train", "val")


def prepared(folder, *names):
    """A data set of TensorFlow Datasets, with twenty images in each of the splits."""
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=["a", "b"])}
    )
    pictures = tf.zeros((20, 16, 17, 3), "uint8")
    examples = tf.data.Dataset.from_tensor_slices({"image": pictures, "label": [0, 1] * 10})
    return tfds.dataset_builders.store_as_tfds_dataset(
        name="few",
        version="1.0.0",
        data_dir=folder,
        split_datasets=dict.fromkeys(names, examples),
        features=features,
        disable_shuffling=True,
    )


def test_data_sets_by_name_and_by_folder(tmp_path):
    both = prepared(tmp_path / "both", "train", "test")
    assert splits.choose_splits(str(both.data_path)) == ("train", "test")
    alone = prepared(tmp_path / "alone", "train")
    expected = ("train[:90%]", "train[90%:]")
    assert splits.choose_splits(str(alone.data_path)) == expected
    counts = [
        len(records.load_records(alone.data_path, split, progress=False)) for split in expected
    ]
    assert counts == [18, 2]
