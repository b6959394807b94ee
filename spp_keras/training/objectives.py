"""Loss and metrics of a training; images that fill up a replica's batch do not count."""

from typing import Any

import keras

from spp_keras._private_apis import copy_direction


@keras.saving.register_keras_serializable(package="spp_keras")
class PerImageMetric(keras.metrics.Metric):
    """A metric that counts each image with a positive sample weight once.

    The sample weights of a pipeline make the loss independent of the batch sizes; an
    accuracy counts images.

    Args:
        metric: The metric of the counted images.
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
            is_counted = keras.ops.greater(keras.ops.convert_to_tensor(sample_weight), 0)
            sample_weight = keras.ops.cast(is_counted, "float32")
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
    """Chooses loss and metrics of a classifier; the first metric decides which weights are best.

    Args:
        classes: Number of classes.
        multi_label: Whether an image may have any number of classes.
    """
    if multi_label:
        metrics = [
            keras.metrics.AUC(
                curve="PR", multi_label=True, num_labels=classes, name="mean_average_precision"
            ),
            keras.metrics.BinaryCrossentropy(name="cross_entropy"),
        ]
        loss = keras.losses.BinaryCrossentropy()
    else:
        metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        if classes >= 100:
            metrics.append(keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5_accuracy"))
        metrics.append(keras.metrics.SparseCategoricalCrossentropy(name="cross_entropy"))
        loss = keras.losses.SparseCategoricalCrossentropy()
    return loss, [PerImageMetric(metric) for metric in metrics]
