import keras
import numpy as np
import pytest

from spp_keras.training import objectives

RNG = np.random.default_rng(0)


def test_images_count_once_or_not_at_all_whatever_their_weight():
    accuracy = objectives.PerImageMetric(keras.metrics.SparseCategoricalAccuracy(name="accuracy"))
    right = total = 0
    for count in (5, 3, 1):
        labels, outputs = RNG.integers(0, 4, count), RNG.random((count, 4))
        weights = RNG.random(count) * RNG.integers(0, 2, count)
        accuracy.update_state(labels, outputs, sample_weight=weights)
        right += int(((outputs.argmax(axis=1) == labels) & (weights > 0)).sum())
        total += int((weights > 0).sum())
    assert 0 < total < 9
    assert float(accuracy.result()) == pytest.approx(right / total)
    accuracy.reset_state()
    assert float(accuracy.result()) == 0


def test_images_count_all_the_same_without_weights():
    entropy = objectives.PerImageMetric(keras.metrics.SparseCategoricalCrossentropy(name="entropy"))
    outputs = RNG.dirichlet(np.ones(3), 7)
    labels = RNG.integers(0, 3, 7)
    entropy.update_state(labels, outputs)
    expected = -np.log(outputs[np.arange(7), labels]).mean()
    assert float(entropy.result()) == pytest.approx(expected, rel=1e-5)


def test_images_without_weight_alone_are_no_number_out_of_range():
    accuracy = objectives.PerImageMetric(keras.metrics.SparseCategoricalAccuracy())
    accuracy.update_state([1], [[0.0, 1.0]], sample_weight=[0.0])
    assert float(accuracy.result()) == 0


def test_a_metric_is_made_again_from_its_config():
    metric = objectives.PerImageMetric(keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2"))
    config = keras.saving.serialize_keras_object(metric)
    again = keras.saving.deserialize_keras_object(config)
    assert (again.name, again.metric.k) == ("top2", 2)


@pytest.mark.parametrize(
    ("classes", "multi_label", "names"),
    [
        (3, False, ["accuracy", "cross_entropy"]),
        (100, False, ["accuracy", "top5_accuracy", "cross_entropy"]),
        (20, True, ["mean_average_precision", "cross_entropy"]),
    ],
    ids=["few classes", "many classes", "several labels"],
)
def test_a_classifier_is_judged_by_the_first_of_its_metrics(classes, multi_label, names):
    loss, found = objectives.choose_loss_and_metrics(classes, multi_label)
    assert [metric.name for metric in found] == names
    kind = keras.losses.BinaryCrossentropy
    assert isinstance(loss, kind) == multi_label


def test_average_precision_of_a_perfect_order_is_one():
    _, (precision, _) = objectives.choose_loss_and_metrics(2, multi_label=True)
    labels = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], "float32")
    precision.update_state(labels, 0.2 + 0.6 * labels, sample_weight=np.full(4, 0.3))
    # Of images without weight nothing is learned, however wrong.
    precision.update_state(labels, 1 - labels, sample_weight=np.zeros(4))
    assert float(precision.result()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("name", "stops"), [("accuracy", False), ("cross_entropy", True)])
def test_callbacks_know_whether_more_is_better(name, stops):
    _, found = objectives.choose_loss_and_metrics(3, multi_label=False)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=found)
    model.train_on_batch(np.zeros((2, 2)), np.zeros(2))
    stopping = keras.callbacks.EarlyStopping(f"val_{name}", patience=1)
    stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, value in enumerate((0.1, 0.2, 0.3)):
        stopping.on_epoch_end(epoch, {f"val_{name}": value})
    assert model.stop_training == stops
