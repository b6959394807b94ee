import csv
import re

import keras
import numpy as np
import pytest
import scenes
import tensorflow as tf
from PIL import Image

from spp_keras import recipes, run_folder, training, zoo
from spp_keras.data import Pipeline, load_records
from spp_keras.training import recipe_pipelines


def assert_same(network, other):
    for weight, expected in zip(network.weights, other.weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), expected.numpy(), err_msg=weight.path)


def rows(run):
    with (run / run_folder.HISTORY).open() as file:
        return list(csv.DictReader(file))


def without_times(history):
    return [{name: row[name] for name in row if name != "seconds"} for row in history]


class InterruptedAt(keras.callbacks.Callback):
    """Ends a training as Ctrl-C does."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


def test_colors_are_learned_at_every_size(undisturbed):
    history = undisturbed(dropout=0.0).history
    assert min(row["cross_entropy"] for row in history) < 0.9 * history[0]["cross_entropy"]


def test_a_run_folder_has_everything_that_came_of_it(undisturbed, recipe):
    _, history, run = undisturbed()
    assert recipes.read_recipe(run / run_folder.RECIPE) == recipe()
    assert (run / run_folder.LABELS).read_text() == "blue\ngreen\nred\n"
    assert [int(row["epoch"]) for row in rows(run)] == [1, 2, 3]
    assert [float(row["val_accuracy"]) for row in rows(run)] == [
        row["val_accuracy"] for row in history
    ]
    with Image.open(run / run_folder.CURVES) as curves:
        assert curves.format == "PNG"
        assert len(curves.getcolors(1 << 20)) > 10
    assert sorted(path.name for path in run.path.iterdir()) == sorted(
        (
            run_folder.BEST_WEIGHTS,
            run_folder.CURVES,
            run_folder.DATA_INFO,
            run_folder.HISTORY,
            run_folder.LABELS,
            run_folder.CHECKPOINT,
            run_folder.RECIPE,
            run_folder.SKIPPED,
            run_folder.TENSORBOARD,
        )
    )


def test_images_that_cannot_be_used_are_listed_with_reasons(undisturbed):
    with (undisturbed().run / run_folder.SKIPPED).open() as file:
        found = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    assert found.keys() == {"train/red/cut.png", "val/red/small.png"}
    assert "cut short" in found["train/red/cut.png"]
    small = "a side is below 29 pixels, the smallest that zf5_spp can map"
    assert found["val/red/small.png"] == small


def test_tensorboard_can_read_the_metrics_of_every_epoch(undisturbed):
    run = undisturbed().run
    found = {"train": {}, "validation": {}}
    for file in (run / run_folder.TENSORBOARD).glob("*/*tfevents*"):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.tag == "epoch_accuracy":
                    found[file.parent.name][event.step] = float(tf.make_ndarray(value.tensor))
    for kind, name in (("train", "accuracy"), ("validation", "val_accuracy")):
        expected = [float(row[name]) for row in rows(run)]
        np.testing.assert_allclose([found[kind][step] for step in range(3)], expected, rtol=1e-6)


def test_best_weights_are_those_of_the_epoch_that_was_best(undisturbed, recipe):
    run = undisturbed().run
    network = zoo.zf5_spp(
        classes=3, width=0.0625, levels=(2, 1), weights=str(run / run_folder.BEST_WEIGHTS)
    )
    _, validation = recipe_pipelines.build_pipelines(recipe())
    right = total = 0
    for images, labels in validation.dataset(batch_format="ragged").take(
        validation.steps_per_epoch
    ):
        right += int((network(images).numpy().argmax(axis=1) == labels.numpy()).sum())
        total += len(labels)
    assert right / total == pytest.approx(max(float(row["val_accuracy"]) for row in rows(run)))


def test_every_step_is_a_step_of_the_optimizer(undisturbed, state, recipe):
    values, stored = state(undisturbed().run)
    pipeline, _ = recipe_pipelines.build_pipelines(recipe())
    iterations = next(key for key in values if key.startswith("optimizer/0/"))
    assert values[iterations] == 3 * pipeline.steps_per_epoch
    assert (stored["epoch"], stored["step"]) == (3, 0)


def test_a_finished_run_is_left_as_it_is(undisturbed, recipe):
    network, history, run = undisturbed()
    kept = [run_folder.CHECKPOINT, run_folder.BEST_WEIGHTS, run_folder.HISTORY]
    before = [(run / name).stat().st_mtime_ns for name in kept]
    again = training.train_model(recipe(), run)
    assert again.history == history
    assert_same(again.model, network)
    assert [(run / name).stat().st_mtime_ns for name in kept] == before
    assert len(list((run / run_folder.TENSORBOARD).glob("*/*"))) == 2


def test_another_recipe_in_the_same_run_is_refused_with_what_differs(undisturbed, recipe):
    run = undisturbed().run
    before = (run / run_folder.RECIPE).read_text()
    with pytest.raises(ValueError, match=re.escape("batch_size = 5 there, 4 now; seed = 0")):
        training.train_model(recipe(batch_size=4, seed=1), run)
    assert (run / run_folder.RECIPE).read_text() == before


def test_a_folder_with_other_things_is_not_taken_for_a_run(recipe, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"`output` must be a new folder.*recipe\.toml is missing"):
        training.train_model(recipe(), tmp_path)


@pytest.mark.integration
def test_callbacks_remember_across_an_interruption_within_an_epoch(recipe, tmp_path):
    # So slow that nothing gets better: the rate drops once, then EarlyStopping stops.
    slow = {"learning_rate": 1e-6, "patience": 1, "num_lr_drops": 1, "epochs": 6, "batch_size": 9}
    often = recipe(**slow, checkpoint_minutes=1e-6)

    def stopping():
        return keras.callbacks.EarlyStopping("val_accuracy", patience=3, restore_best_weights=True)

    once = training.train_model(recipe(**slow), tmp_path / "once", callbacks=[stopping()])
    with pytest.raises(KeyboardInterrupt):
        training.train_model(often, tmp_path / "run", callbacks=[stopping(), InterruptedAt(2, 2)])
    resumed = training.train_model(recipe(**slow), tmp_path / "run", callbacks=[stopping()])
    assert 3 < len(once.history) < 6
    rates = [row["learning_rate"] for row in once.history]
    np.testing.assert_allclose(rates[:4], [1e-6, 1e-6, 1e-7, 1e-7], rtol=1e-5)
    # Metrics of the resumed epoch are those of the whole epoch.
    assert without_times(resumed.history) == without_times(once.history)
    assert_same(resumed.model, once.model)

    # It stays stopped, and the best weights are there again.
    again = training.train_model(recipe(**slow), tmp_path / "run", callbacks=[stopping()])
    assert again.history == resumed.history
    assert_same(again.model, once.model)


@pytest.mark.integration
def test_an_ordinary_script_trains_the_same_network(photographs):
    train = Pipeline(load_records(photographs, "train"), batch_size=9)
    model = zoo.zf5_spp(classes=3, width=0.0625, levels=(2, 1))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fitted = model.fit(train, verbose=0)
    assert np.isfinite(fitted.history["loss"]).all()


@pytest.mark.integration
def test_frozen_layers_stay_as_they_were_in_bfloat16_and_the_others_learn(recipe, tmp_path):
    frozen = recipe(precision="mixed_bfloat16", freeze=("conv", "fc6"), epochs=1, batch_size=9)
    network, history, run = training.train_model(frozen, tmp_path / "run")
    keras.utils.set_random_seed(0)
    fresh = zoo.zf5_spp(classes=3, width=0.0625, levels=(2, 1))
    for layer, other in zip(network.layers, fresh.layers, strict=True):
        if layer.weights:
            kernel, start = layer.kernel.numpy(), other.kernel.numpy()
            is_frozen = layer.name.startswith(("conv", "fc6"))
            assert np.array_equal(kernel, start) == is_frozen, layer.name
    assert network.get_layer("conv1").compute_dtype == "bfloat16"
    assert network.get_layer("conv1").kernel.dtype == "float32"
    assert np.isfinite(history[0]["val_cross_entropy"])
    assert keras.config.dtype_policy().name == "float32"

    again = training.train_model(frozen, run)
    best = zoo.zf5_spp(
        classes=3, width=0.0625, levels=(2, 1), weights=str(run / run_folder.BEST_WEIGHTS)
    )
    assert_same(again.model, network)
    assert_same(best, network)


def test_a_frozen_layer_that_there_is_not_leaves_no_run_behind(recipe, tmp_path):
    with pytest.raises(ValueError, match=r"`freeze` must name layers of zf5_spp.*'cnv' matches"):
        training.train_model(recipe(freeze=("cnv",)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.integration
def test_images_with_any_number_of_labels_train_with_sigmoids(recipe, tmp_path):
    rng, box = np.random.default_rng(0), (1, 1, 9, 9)
    for split, count in (("train", 8), ("val", 4)):
        images = [
            (
                rng.integers(0, 256, (40 + i, 50, 3)).astype("uint8"),
                [(kind, box) for kind in ("cat", "dog")[: 1 + i % 2]],
            )
            for i in range(count)
        ]
        scenes.write_voc(tmp_path / "VOCdevkit" / "VOC2007", split, images)
    several = recipe(data=str(tmp_path / "VOCdevkit"), epochs=1)
    network, history, run = training.train_model(several, tmp_path / "run")
    assert network.get_layer("predictions").activation is keras.activations.sigmoid
    assert network.output_shape == (None, 20)
    assert 0 <= history[0]["val_mean_average_precision"] <= 1
    assert (run / run_folder.LABELS).read_text().splitlines()[7] == "cat"
    assert (run / run_folder.BEST_WEIGHTS).exists()


SIZES = [
    pytest.param(
        {"size_policy": "alternating", "image_sizes": (64, 48), "short_side": 72, "epochs": 2},
        [(64, 64), (48, 48)],
        id="alternating",
    ),
    pytest.param(
        {
            "model": "zf5",
            "size_policy": "fixed",
            "image_sizes": (61,),
            "short_side": 64,
            "epochs": 1,
        },
        [(61, 61)],
        id="fixed",
    ),
    pytest.param(
        {"model": "zf5", "size_policy": "warped", "image_sizes": (61,), "epochs": 1},
        [(61, 61)],
        id="warped",
    ),
]


@pytest.mark.integration
@pytest.mark.parametrize(("changes", "expected"), SIZES)
def test_squares_train_at_the_size_of_their_epoch(changes, expected, recipe, tmp_path):
    cropped = recipe(**changes, max_pixels=0, batch_size=9)
    history = training.train_model(cropped, tmp_path / "run").history
    assert [row["fill"] for row in history] == [1] * len(expected)
    pipeline, _ = recipe_pipelines.build_pipelines(cropped)
    steps = pipeline.steps_per_epoch
    batches = pipeline.dataset(repeat=True).take(steps * len(expected))
    shapes = [tuple(images.shape[1:3]) for images, _ in batches]
    assert shapes == [shape for shape in expected for _ in range(steps)]


def too_small(folder):
    for color in ("blue", "red"):
        for split in ("train", "val"):
            draw_one(folder / split / color / "0.png", (20, 40))


def draw_one(path, size=(40, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1]).save(path)


def another_class(folder):
    for path in ("train/cat/0.png", "train/dog/0.png", "val/cat/0.png", "val/cow/0.png"):
        draw_one(folder / path)


def empty(folder):
    for path in ("train/cat/0.png", "train/dog/0.png"):
        draw_one(folder / path)
    for name in ("cat", "dog"):
        (folder / "val" / name).mkdir(parents=True)


WRONG = [
    pytest.param(too_small, "a side below 29 pixels, the smallest that zf5_spp", id="too small"),
    pytest.param(another_class, r"`data` must have no classes.*cow", id="another class"),
    pytest.param(empty, "`data` must have images in split 'val'", id="no images"),
    pytest.param(lambda folder: None, "must be an existing folder.*nowhere", id="no folder"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_is_wrong_with_data_is_said_before_anything_is_written(
    make, message, recipe, tmp_path
):
    make(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=message):
        training.train_model(recipe(data=str(tmp_path / "nowhere")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_training_that_has_stopped_learning_ends_early_and_stays_so(recipe, tmp_path, capsys):
    # Nothing is learned from the first epoch on.
    options = {"learning_rate": 1e-12, "num_lr_drops": 0, "patience": 1, "epochs": 4}
    still = recipe(**options, early_stopping=True, class_weight="balanced")
    assert len(training.train_model(still, tmp_path / "run").history) == 2
    assert len(training.train_model(still, tmp_path / "run").history) == 2
    assert "stopped after 2 epochs" in capsys.readouterr().err
