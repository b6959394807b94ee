"""`image_dataset_from_directory` against that of Keras."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import exif_files
import keras
import numpy as np
import pytest
import tensorflow as tf
from photographs import decoded, encoded, photograph

import spp_keras
from spp_keras.data import directory_index

KERAS = keras.utils.image_dataset_from_directory


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """One for all tests here, which look at the same images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def make(directory, *args, **options):
    return spp_keras.image_dataset_from_directory(directory, *args, verbose=False, **options)


def make_with_keras(directory, *args, **options):
    return KERAS(directory, *args, verbose=False, image_size=(32, 32), **options)


def add(root, name, height=20, width=30, seed=0):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    form = {"jpg": "JPEG", "jpeg": "JPEG"}.get(path.suffix[1:].lower(), path.suffix[1:])
    path.write_bytes(encoded(photograph(height, width, seed, 5), form))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three classes, folders within one, names that sort in more than one way."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    names = [f"{kind}/{index}.png" for kind in ("cat", "dog", "owl") for index in range(6)]
    names += ["dog/old/1.jpg", "dog/old-2/1.JPEG", "dog/old/more/2.gif", "dog/Z.bmp", "cat/10.jpg"]
    for seed, name in enumerate(names):
        add(root, name, *rng.integers(20, 60, 2), seed)
    (root / "empty").mkdir()
    (root / "cat" / "notes.txt").touch()
    return root


def labels_of(dataset):
    return np.concatenate([labels.numpy() for _, labels in dataset])


def images_of(dataset):
    """The images of a dataset of ragged batches, without labels or with them."""
    batches = [batch[0] if isinstance(batch, tuple) else batch for batch in dataset]
    return [image.to_tensor().numpy() for batch in batches for image in batch]


def read(path):
    return decoded(Path(path).read_bytes())


def test_the_signature_is_that_of_keras():
    ours = inspect.signature(spp_keras.image_dataset_from_directory).parameters
    theirs = inspect.signature(KERAS).parameters
    assert [*ours][: len(theirs)] == [*theirs]
    differ = [name for name in theirs if ours[name].default != theirs[name].default]
    assert differ == ["image_size"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": False},
        {"seed": 7},
        {"seed": 7, "validation_split": 0.3, "subset": "training"},
        {"seed": 7, "validation_split": 0.3, "subset": "validation"},
        {"shuffle": False, "validation_split": 0.25, "subset": "validation"},
        {"seed": 1, "class_names": ["owl", "cat"], "label_mode": "binary"},
        {"seed": 1, "label_mode": "categorical", "batch_size": 5},
        {"seed": 1, "label_mode": None},
        {"seed": 1, "labels": None, "validation_split": 0.5, "subset": "training"},
        {"seed": 2, "labels": [index % 4 for index in range(23)]},
        {"seed": 2, "labels": [index % 2 for index in range(23)], "label_mode": "binary"},
    ],
    ids=str,
)
def test_files_labels_and_classes_are_those_of_keras(options, photos):
    options = {"seed": 0, **options}
    ours = make(photos, **options)
    theirs = make_with_keras(str(photos), **options)
    assert ours.file_paths == theirs.file_paths
    assert ours.class_names == theirs.class_names
    assert int(ours.cardinality()) == int(theirs.cardinality())
    spec = ours.element_spec
    if theirs.class_names is None or options.get("label_mode", "int") is None:
        assert isinstance(spec, tf.RaggedTensorSpec)
    else:
        assert spec[1] == theirs.element_spec[1]
        assert isinstance(spec[0], tf.RaggedTensorSpec)


def test_both_subsets(photos):
    options = {"seed": 3, "validation_split": 0.2, "subset": "both"}
    for ours, theirs in zip(
        make(photos, **options), make_with_keras(photos, **options), strict=True
    ):
        assert ours.file_paths == theirs.file_paths
        assert ours.class_names == theirs.class_names
    # The validation subset keeps the order of its files.
    np.testing.assert_array_equal(labels_of(ours), labels_of(theirs))


@pytest.mark.parametrize(
    ("label_mode", "labels"), [("int", [index % 3 for index in range(23)]), ("categorical", None)]
)
def test_without_shuffling_images_come_in_the_order_of_files(photos, label_mode, labels):
    options = {"shuffle": False, "batch_size": 7, "label_mode": label_mode}
    options["labels"] = labels or "inferred"
    ours = make(photos, **options)
    np.testing.assert_array_equal(labels_of(ours), labels_of(make_with_keras(photos, **options)))
    found = images_of(ours)
    assert {image.dtype for image in found} == {np.dtype("float32")}
    assert len({image.shape for image in found}) > 10
    for path, image in zip(ours.file_paths, found, strict=True):
        expected = read(path)
        assert image.shape == expected.shape
        assert np.abs(image - expected).max() <= 2, path


def test_labels_stay_with_their_images_when_shuffled(photos):
    dataset = make(photos, seed=1, batch_size=4)
    by_pixels = {read(path).shape: Path(path) for path in dataset.file_paths}
    assert len(by_pixels) == len(dataset.file_paths)
    for _ in range(2):
        seen = []
        for images, labels in dataset:
            for image, label in zip(images, labels, strict=True):
                path = by_pixels[tuple(image.to_tensor().shape)]
                seen.append(str(path))
                assert path.relative_to(photos).parts[0] == dataset.class_names[label]
        assert sorted(seen) == sorted(dataset.file_paths)


def test_one_size_is_that_of_keras(photos):
    options = {"shuffle": False, "image_size": (40, 52), "verbose": False}
    ours = spp_keras.image_dataset_from_directory(photos, **options)
    theirs = KERAS(photos, **options)
    assert ours.element_spec == theirs.element_spec
    for (mine, labels), (other, same) in zip(ours, theirs, strict=True):
        # Rounded to whole numbers; JPEG is decoded more exactly.
        assert np.abs(mine - other).max() <= 7
        assert np.abs(mine - other).mean() <= 0.5
        np.testing.assert_array_equal(labels, same)
    square = spp_keras.image_dataset_from_directory(photos, image_size=32, verbose=False)
    assert square.element_spec[0].shape == (None, 32, 32, 3)


@pytest.mark.parametrize(("labels", "image_size"), [("inferred", (24, 32)), (None, None)])
def test_single_images(photos, labels, image_size):
    dataset = make(photos, labels, batch_size=None, image_size=image_size, shuffle=False)
    assert int(dataset.cardinality()) == len(dataset.file_paths) == 23
    shape = (*(image_size or (None, None)), 3)
    spec = dataset.element_spec if labels is None else dataset.element_spec[0]
    assert spec.shape.as_list() == [*shape]
    images = [element if labels is None else element[0] for element in dataset]
    expected = [image_size or read(path).shape[:2] for path in dataset.file_paths]
    assert [tuple(image.shape[:2]) for image in images] == expected


def test_long_sides_are_scaled_down(photos):
    for image in images_of(make(photos, longest_side=32)):
        assert max(image.shape) <= 32


def test_upright_by_exif(tmp_path):
    picture = photograph(48, 64)
    for orientation in exif_files.ORIENTATIONS:
        folder = tmp_path / ("a" if orientation < 5 else "b")
        folder.mkdir(exist_ok=True)
        data = exif_files.file(picture, "PNG", orientation)
        (folder / f"{orientation}.png").write_bytes(data)
    for image in images_of(make(tmp_path)):
        np.testing.assert_array_equal(image, picture)


@pytest.fixture
def damaged(tmp_path):
    """Twenty images of two classes, three of them of no use."""
    for index in range(20):
        add(tmp_path, f"{'cat' if index < 8 else 'dog'}/{index:02}.png", 20 + index, 30)
    (tmp_path / "cat" / "03.png").write_bytes(b"")
    (tmp_path / "dog" / "10.png").write_bytes(b"<html>")
    (tmp_path / "dog" / "11.png").rename(tmp_path / "dog" / os.fsdecode(b"11\xff.png"))
    return tmp_path


def test_files_of_no_use_are_left_out_and_move_no_other(damaged):
    options = {"seed": 5, "validation_split": 0.4, "subset": "both"}
    with pytest.warns(UserWarning, match=r"3 of 20 images.*cat/03\.png is empty, dog/10\.png") as w:
        subsets = make(damaged, **options)
    assert "dog/11\\udcff.png has a name that is not UTF-8" in str(w[0].message)
    bad = ("03.png", "10.png", os.fsdecode(b"11\xff.png"))
    index = keras.src.utils.dataset_utils.index_directory
    listed, *_ = index(str(damaged), "inferred", (".png",), seed=5, verbose=False)
    for ours, theirs in zip(subsets, (listed[:12], listed[12:]), strict=True):
        assert ours.file_paths == [path for path in theirs if not path.endswith(bad)]
        names = [Path(path).parent.name for path in ours.file_paths]
        assert np.bincount(labels_of(ours)).tolist() == [names.count("cat"), names.count("dog")]
    assert labels_of(subsets[1]).tolist() == [int(name == "dog") for name in names]


def test_a_list_of_labels_counts_files_of_no_use(damaged):
    with pytest.warns(UserWarning, match="3 of 20"):
        dataset = make(damaged, labels=[index % 5 for index in range(20)], shuffle=False)
    usable = [index for index in range(20) if index not in (3, 10, 11)]
    assert labels_of(dataset).tolist() == [index % 5 for index in usable]


def test_nothing_of_use(tmp_path):
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match="must have images, in folders of classes"):
        make(tmp_path)
    (tmp_path / "cat" / "1.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"cat/1\.png is empty"):
        make(tmp_path)


def test_hidden_files_and_files_beside_the_folders_are_left_out(tmp_path):
    for name in ("cat/1.png", "cat/.2.png", "cat/.trash/3.png", ".git/4.png", "5.png"):
        add(tmp_path, name)
    dataset = make(tmp_path)
    assert dataset.class_names == ["cat"]
    assert dataset.file_paths == [str(tmp_path / "cat" / "1.png")]
    assert len(make(tmp_path, labels=None).file_paths) == 2


def test_links_to_folders(tmp_path):
    add(tmp_path / "more", "1.png")
    add(tmp_path / "photos", "cat/2.png")
    (tmp_path / "photos" / "cat" / "link").symlink_to(tmp_path / "more")
    for follow_links in (False, True):
        ours = make(tmp_path / "photos", follow_links=follow_links, shuffle=False)
        theirs = make_with_keras(tmp_path / "photos", follow_links=follow_links, shuffle=False)
        assert ours.file_paths == theirs.file_paths
        assert len(ours.file_paths) == 1 + follow_links


@pytest.fixture
def table(tmp_path):
    rows = ["file,labels,split"]
    for index in range(12):
        add(tmp_path, f"{index:02}.png", 20 + index, 30)
        split = "train" if index < 6 else "val" if index < 9 else "test"
        rows.append(f"{index:02},{'dog' if index % 3 else 'cat'},{split}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return tmp_path / "labels.csv"


def test_labels_from_a_table(table):
    table.write_text(table.read_text().replace("split", "fold"))
    dataset = make(table.parent, labels=table, shuffle=False)
    assert dataset.class_names == ["cat", "dog"]
    assert labels_of(dataset).tolist() == [int(index % 3 > 0) for index in range(12)]
    expected = [str(table.parent / f"{index:02}.png") for index in range(12)]
    assert dataset.file_paths == expected
    (table.parent / "11.png").unlink()
    add(table.parent, "new.png")
    with (
        pytest.warns(UserWarning, match=r"1 images have no row .*: new\.png"),
        pytest.warns(UserWarning, match=r"11 is not there; line 13 of labels\.csv names it"),
    ):
        dataset = make(table.parent, labels=str(table), shuffle=False)
    assert dataset.file_paths == expected[:11]


def test_splits_of_a_table(table):
    train, validation = make(table.parent, labels=table, subset="both", shuffle=False)
    assert [Path(path).stem for path in validation.file_paths] == ["06", "07", "08"]
    assert len(train.file_paths) == 6
    assert len(make(table.parent, labels=table, subset="test").file_paths) == 3
    for options in ({}, {"subset": "dev"}, {"subset": "both", "validation_split": 0.1}):
        with pytest.raises(ValueError, match="one of 'training', 'validation', 'test', 'both', wi"):
            make(table.parent, labels=table, **options)


def test_several_labels_from_a_table(table):
    table.write_text("file,labels\n00,cat|dog\n01,\n02,owl\n")
    options = {"labels": str(table), "shuffle": False}
    with pytest.warns(UserWarning, match="9 images have no row"):
        dataset = make(table.parent, label_mode="categorical", **options)
    assert labels_of(dataset).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert labels_of(dataset).dtype == np.float32
    with (
        pytest.warns(UserWarning, match="9 images have no row"),
        pytest.raises(ValueError, match="`label_mode` must be 'categorical' where an image may"),
    ):
        make(table.parent, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color_mode": "grayscale"}, "`color_mode` must be 'rgb': convert"),
        ({"interpolation": "nearest"}, "`interpolation` must be 'bilinear'"),
        ({"crop_to_aspect_ratio": True}, "`crop_to_aspect_ratio` must be False: take .*Crop"),
        ({"pad_to_aspect_ratio": True}, "`pad_to_aspect_ratio` must be False: leave `image_size`"),
        ({"format": "grain"}, "`format` must be 'tf'"),
        ({"data_format": "channels_first"}, "`data_format` must be 'channels_last'"),
        ({"label_mode": "bits"}, "`label_mode` must be one of 'int', 'categorical'"),
        ({"label_mode": "binary"}, "unless there are two classes.*with 4 classes"),
        ({"batch_size": 0}, "`batch_size` must be an int >= 1"),
        ({"image_size": (0, 3)}, "`image_size` must be an int >= 1 or"),
        ({"image_size": 64, "longest_side": 32}, "`longest_side` must be None with `image_size`"),
        ({"class_names": ["cat", "cow"]}, r"of which \['cow'\] are not there"),
        ({"class_names": ["cat"], "labels": None}, "`class_names` must be None unless"),
        ({"labels": [0, 1]}, r"each of the 23 images.*\[0, 1, ...\] of length 2"),
        ({"labels": [1, 3] * 11 + [1]}, r"from 0 to.*values \[1, 3\]"),
        ({"labels": ["a", "b"] * 11 + ["a"]}, "class indices, ints"),
        ({"labels": 3}, "`labels` must be 'inferred', None, the path of a CSV.*labels=3"),
        ({"labels": "no_such.csv"}, "which is no file"),
        ({"subset": "training"}, "`subset` and `validation_split` must be given together"),
        ({"validation_split": 0.1}, "`subset` and `validation_split` must be given together"),
        ({"validation_split": 0.1, "subset": "val"}, "`subset` must be 'training', 'validation'"),
        ({"validation_split": 1.5, "subset": "both"}, "a number between 0 and 1"),
        ({"validation_split": 0.1, "subset": "both"}, "`seed` must be given with"),
        ({"validation_split": 0.01, "subset": "both", "seed": 1}, "leave images for validation"),
    ],
    ids=str,
)
def test_arguments_that_are_refused(options, message, photos):
    with pytest.raises(ValueError, match=message):
        make(photos, **options)


def test_a_directory_that_is_not_there():
    with pytest.raises(ValueError, match=r"`directory` must be an existing folder.*'/nowhere'"):
        make("/nowhere")


def test_paths_are_written_as_keras_writes_them(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    for directory in (f"./{photos.name}/", Path(photos.name)):
        ours, theirs = make(directory, seed=1), make_with_keras(directory, seed=1)
        assert ours.file_paths == theirs.file_paths


def test_counts_are_printed(photos, capsys):
    spp_keras.image_dataset_from_directory(photos, validation_split=0.2, subset="both", seed=1)
    text = "Found 23 files belonging to 4 classes.\nUsing 19 files for training.\n"
    assert capsys.readouterr().out == f"{text}Using 4 files for validation.\n"


def test_index_without_a_class_of_the_folder():
    assert (
        directory_index.index_directory(str(Path(__file__).parent), None, None, False).files == ()
    )


class Averages(keras.Model):
    """A plain model that takes ragged batches and others."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4, "softmax")

    def call(self, images):
        return self.dense(tf.reduce_mean(images, axis=(1, 2)) / 255)


@pytest.mark.parametrize(
    "image_size", [None, pytest.param((16, 24), marks=pytest.mark.integration)]
)
def test_a_plain_model_learns(photos, image_size):
    options = {"image_size": image_size, "seed": 1, "validation_split": 0.3, "subset": "both"}
    train, val = make(photos, **options)
    model = Averages()
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(train, validation_data=val, epochs=2, shuffle=False, verbose=0).history
    assert len(history["val_loss"]) == 2


def test_networks_get_the_batches_of_the_pipeline(photos):
    """As `models.pipeline_inputs` asks for them: endless, of uint8, with the same labels."""
    for label_mode, shape in (("int", ()), ("categorical", (4,))):
        dataset = make(photos, label_mode=label_mode, shuffle=False, batch_size=8)
        batches = list(dataset.batches_for(None).take(4))
        assert dataset.steps_per_epoch == 3
        assert [x["images"].dtype for x, _ in batches] == ["uint8"] * 4
        assert all(y.shape[1:] == shape for _, y in batches)
        found = np.concatenate([y for _, y in batches[:3]])
        np.testing.assert_array_equal(found, labels_of(dataset))


SMALL_NETWORK = """
import keras, spp_keras
def network():
    keras.utils.set_random_seed(1)
    images = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(4, 5, 4, activation="relu")(x)
    x = spp_keras.layers.SpatialPyramidPooling((2, 1))(x)
    model = spp_keras.any_size(keras.Model(images, keras.layers.Dense(4, "softmax")(x)))
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.SGD(0.01), loss, metrics=["accuracy"])
    return model
"""


@pytest.mark.integration
def test_a_network_of_the_zoo_learns_from_the_pipeline_and_answers_in_order(photos, monkeypatch):
    train, val = make(photos, seed=1, validation_split=0.3, subset="both", batch_size=4)
    asked = []
    for dataset in (train, val):
        batches_for = dataset.batches_for
        dataset.batches_for = lambda *args, own=batches_for, **options: (
            asked.append(options) or own(*args, **options)
        )
    names = {}
    exec(SMALL_NETWORK, names)
    model = names["network"]()
    history = model.fit(train, validation_data=val, epochs=2, verbose=0).history
    assert len(history["val_loss"]) == 2
    assert [options["training"] for options in asked] == [True, False]
    assert model.optimizer.iterations == 2 * int(train.cardinality())
    expected = [model.predict(read(path)[None], verbose=0)[0] for path in val.file_paths]
    np.testing.assert_allclose(model.predict(val, verbose=0), expected, atol=1e-6)
    alone = make(photos, labels=None, shuffle=False)
    assert model.predict(alone, verbose=0).shape == (23, 4)
    with pytest.raises(ValueError, match="shape"):
        model.fit(alone, verbose=0)


TWO_DEVICES = """
import os, sys
import numpy as np, tensorflow as tf
from spp_keras import training
strategy = training.choose_strategy(devices=2)
def fit(scope):
    with scope:
        model = network()
    train, val = spp_keras.image_dataset_from_directory(
        sys.argv[1], validation_split=0.3, subset="both", seed=3, batch_size=5
    )
    history = model.fit(train, validation_data=val, epochs=2, verbose=0).history
    values = [history["val_loss"], history["val_accuracy"]]
    return [*model.get_weights(), values, model.predict(val, verbose=0)]
one, two = fit(tf.distribute.get_strategy().scope()), fit(strategy.scope())
for mine, other in zip(one, two):
    np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
print("the same", flush=True)
# The threads of a strategy may hang when the interpreter ends.
os._exit(0)
"""


@pytest.mark.integration
@pytest.mark.exhaustive
def test_two_devices_learn_and_answer_as_one_does(photos):
    script = [sys.executable, "-c", SMALL_NETWORK + TWO_DEVICES, str(photos)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.endswith("the same\n"), done.stderr[-3000:]


@pytest.mark.integration
@pytest.mark.exhaustive
def test_a_network_of_keras_applications_learns(tmp_path):
    for index in range(20):
        add(tmp_path, f"{'cat' if index % 2 else 'dog'}/{index}.jpg", 40 + index, 70 - index, index)
    train, val = make(tmp_path, seed=1, validation_split=0.3, subset="both", batch_size=8)
    classes = len(train.class_names)
    model = spp_keras.spp_classifier("MobileNetV3Small", classes=classes, weights=None)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(train, validation_data=val, epochs=2, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()
    assert model.predict(val, verbose=0).shape == (len(val.file_paths), classes)
    spp_keras.fine_tune(model, train, validation_data=val, top_epochs=1, epochs=1, verbose=0)
    # Without `batches_for`: ragged batches.
    model.fit(train.map(lambda images, labels: (images / 2, labels)), shuffle=False, verbose=0)
