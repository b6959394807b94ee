"""Metrics over images, in which those that fill up a replica's share do not count."""

from typing import Any

import keras

from spp_keras._private_apis import copy_direction


@keras.saving.register_keras_serializable(package="spp_keras")
class PerImageMetric(keras.metrics.Metric):
    """A metric in which every image counts once if it has any weight, and else not.

    The weights that a pipeline sends make the loss right whatever the sizes of
    batches; an accuracy counts images.

    Args:
        metric: Metric that does the work.
        **kwargs: See `keras.metrics.Metric`.

    Example:

    >>> accuracy = PerImageMetric(keras.metrics.SparseCategoricalAccuracy(name="accuracy"))
    >>> accuracy.update_state([0, 1], [[0.9, 0.1], [0.8, 0.2]], sample_weight=[0.5, 0.0])
    >>> float(accuracy.result())
    1.0
    """

    def __init__(self, metric: keras.metrics.Metric, **kwargs: Any):
        super().__init__(**{"name": metric.name, **kwargs})
        self.metric = metric
        copy_direction(metric, self)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if sample_weight is not None:
            counts = keras.ops.greater(keras.ops.convert_to_tensor(sample_weight), 0)
            sample_weight = keras.ops.cast(counts, "float32")
        self.metric.update_state(y_true, y_pred, sample_weight)

    def result(self) -> Any:
        return self.metric.result()

    def reset_state(self) -> None:
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        metric = keras.saving.serialize_keras_object(self.metric)
        return {**super().get_config(), "metric": metric}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        metric = keras.saving.deserialize_keras_object(config.pop("metric"))
        return cls(metric, **config)


def choose_loss_and_metrics(
    classes: int, multi_label: bool
) -> tuple[keras.losses.Loss, list[PerImageMetric]]:
    """Loss and metrics of a classifier, the metric to judge it by first.

    Args:
        classes: Number of classes.
        multi_label: Whether an image may have several, or none.
    """
    if multi_label:
        found = [
            keras.metrics.AUC(
                curve="PR", multi_label=True, num_labels=classes, name="mean_average_precision"
            ),
            keras.metrics.BinaryCrossentropy(name="cross_entropy"),
        ]
        loss = keras.losses.BinaryCrossentropy()
    else:
        found = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        if classes >= 100:
            found.append(keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5_accuracy"))
        found.append(keras.metrics.SparseCategoricalCrossentropy(name="cross_entropy"))
        loss = keras.losses.SparseCategoricalCrossentropy()
    return loss, [PerImageMetric(metric) for metric in found]
