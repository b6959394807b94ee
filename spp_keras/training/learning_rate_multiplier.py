"""An optimizer by which chosen layers learn more slowly than the others, or not at all."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from spp_keras import _checks


@keras.saving.register_keras_serializable(package="spp_keras")
class LearningRateMultiplier(keras.optimizers.Optimizer):
    """Multiplies the updates of chosen layers: layer-wise, or discriminative, learning rates.

    Every step of the optimizer inside is made, and of the change of each chosen variable its
    share is kept. So momentum, schedules and weight decay are scaled along, also under Adam, to
    which scaled gradients make no difference. It has the variables of the optimizer inside, and
    its learning rate, which callbacks set as usual.

    Reference:

    - [Howard and Ruder, 2018](https://arxiv.org/abs/1801.06146), Section 3.2

    Args:
        optimizer: The `keras.optimizers.Optimizer` inside.
        multipliers: Factors >= 0 by names of layers, which may be paths, such as
            `"encoder/conv1"`: whatever names stand one after the other in the `path` of a
            variable. Of several that fit a variable, the one with the most names counts.
            A factor of 0 leaves the variables exactly as they are.
        name: Name of the optimizer. Defaults to `None`, that of the class.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> slowly = {"conv1": 0.0, "conv2": 0.1, "conv3": 0.1}
    >>> model.compile(LearningRateMultiplier(keras.optimizers.Adam(1e-3), slowly), "mse")
    >>> round(float(model.optimizer.learning_rate), 4)
    0.001
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        multipliers: Mapping[str, float],
        name: str | None = None,
    ):
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = _check_optimizer(optimizer)
        for key, value in multipliers.items():
            _checks.not_negative(value, f"multipliers[{key!r}]")
        self.multipliers = {key: float(value) for key, value in multipliers.items()}
        self._by_position: list[float] = []

    def build(self, variables: Sequence[Any]) -> None:
        if self.built:
            return
        self._by_position = _assign_multipliers(self.multipliers, [x.path for x in variables])
        self.inner_optimizer.build(variables)
        super().build(variables)

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        trainable_variables = list(trainable_variables)
        if not self.built:
            self.build(trainable_variables)
        multipliers = [self._by_position[self._get_variable_index(x)] for x in trainable_variables]
        scaled = [x for x, m in zip(trainable_variables, multipliers, strict=True) if m != 1]
        before = [keras.ops.copy(variable) for variable in scaled]
        self.inner_optimizer.apply(grads, trainable_variables)
        if scaled:
            _scale_updates(scaled, before, [m for m in multipliers if m != 1])

    def apply_gradients(self, grads_and_vars: Any) -> Any:
        super().apply_gradients(grads_and_vars)
        return self.iterations

    @property
    def variables(self) -> list[Any]:
        return self.inner_optimizer.variables

    @property
    def iterations(self) -> Any:
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def loss_scale_factor(self) -> Any:
        return self.inner_optimizer.loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: Any) -> None:
        # The constructor of Keras sets it to its default.
        if hasattr(self, "inner_optimizer"):
            self.inner_optimizer.loss_scale_factor = value

    def set_weights(self, weights: Sequence[Any]) -> None:
        self.inner_optimizer.set_weights(weights)

    def exclude_from_weight_decay(self, *args: Any, **kwargs: Any) -> None:
        self.inner_optimizer.exclude_from_weight_decay(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        # Not that of the base class, whose settings are those of the optimizer inside.
        return {
            "optimizer": keras.saving.serialize_keras_object(self.inner_optimizer),
            "multipliers": self.multipliers,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        optimizer = keras.saving.deserialize_keras_object(
            config["optimizer"], custom_objects=custom_objects
        )
        return cls(**{**config, "optimizer": optimizer})


def _check_optimizer(optimizer: Any) -> keras.optimizers.Optimizer:
    rule = "`optimizer` must be a `keras.optimizers.Optimizer`"
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(f"{rule}. Received: optimizer={optimizer!r}.")
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            f"{rule} that loss scaling is put around: `LossScaleOptimizer(LearningRateMultiplier("
            "...))`, as `compile` does by itself. Received: a `LossScaleOptimizer`."
        )
    if optimizer.use_ema or isinstance(optimizer, _KEEPS_WEIGHTS):
        raise ValueError(
            f"{rule} that keeps no averages of the weights, which would be those of unscaled "
            f"updates: leave `use_ema` out. Received: {type(optimizer).__name__!r} with "
            f"use_ema={optimizer.use_ema}."
        )
    return optimizer


_KEEPS_WEIGHTS = (keras.optimizers.MultiOptimizer, keras.optimizers.ScheduleFreeAdamW)


def _assign_multipliers(multipliers: Mapping[str, float], paths: Sequence[str]) -> list[float]:
    """The multiplier of each variable; an error for a key that fits none."""
    keys = {key: key.split("/") for key in multipliers}
    unused, assigned = set(keys), []
    for path in paths:
        names = path.split("/")
        fitting = [key for key, parts in keys.items() if _contains(names, parts)]
        unused -= set(fitting)
        best = max(fitting, key=lambda key: len(keys[key]), default=None)
        assigned.append(1.0 if best is None else multipliers[best])
    if unused:
        layers = ", ".join(dict.fromkeys(path.rpartition("/")[0] for path in paths))
        raise ValueError(
            f"`multipliers` must name layers whose variables are trained: {layers}. "
            f"Received: {', '.join(map(repr, sorted(unused)))}, which none of them fits."
        )
    return assigned


def _contains(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether parts stand one after the other in names."""
    starts = range(len(names) - len(parts) + 1)
    return any(list(names[start : start + len(parts)]) == list(parts) for start in starts)


def _scale_updates(
    variables: Sequence[Any], before: Sequence[Any], multipliers: Sequence[float]
) -> None:
    """Takes back of the updates of variables what is beyond their multipliers."""
    if keras.backend.backend() != "tensorflow":
        for variable, old, multiplier in zip(variables, before, multipliers, strict=True):
            variable.assign(_interpolate(variable.value, old, multiplier))
        return
    import tensorflow as tf

    def update(strategy: tf.distribute.Strategy, before: Sequence[Any]) -> None:
        for variable, old, multiplier in zip(variables, before, multipliers, strict=True):
            strategy.extended.update(
                variable.value, _assign_share, args=(old, multiplier), group=False
            )

    # With a strategy, variables of all replicas are updated from outside of them.
    tf.distribute.get_replica_context().merge_call(update, args=(before,))


def _assign_share(variable: Any, old: Any, multiplier: float) -> None:
    variable.assign(_interpolate(variable, old, multiplier))


def _interpolate(new: Any, old: Any, multiplier: float) -> Any:
    return old + keras.ops.cast(multiplier, old.dtype) * (new - old) if multiplier else old
