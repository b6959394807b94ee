"""The model class of the zoo: one network that takes images in every form."""

import functools
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from spp_keras.layers import PadRagged
from spp_keras.zoo import layer_chain, pipeline_inputs
from spp_keras.zoo.value_range import RangeCheck

if TYPE_CHECKING or keras.backend.backend() == "tensorflow":
    from spp_keras.zoo.range_checked_model import RangeCheckedModel as Base
else:
    Base = keras.Model


@keras.saving.register_keras_serializable(package="spp_keras")
class ImageModel(Base):
    """A functional model that takes images in every form in which Keras can send them.

    `fit`, `evaluate`, `predict` and calls take:

    - images of one size, `(batch, height, width, channels)`;
    - a `tf.RaggedTensor` of images that each have their own size, on the
      TensorFlow backend;
    - `{"images": ..., "sizes": (batch, 2)}` or `[images, sizes]`, images padded to
      one size and the height and width of each. `{"images": ...}` alone is either
      of the first two.

    `fit`, `evaluate` and `predict` also take a `spp_keras.data.Pipeline`, with no word
    about steps or order, on one device and on several.

    What it cannot take it refuses: above all it never drops `sizes`, as a plain
    functional model does. It is made as any functional model is, from a graph with
    the input `images` or with `images` and `sizes`, see `with_sizes`; both take
    every form. It trains under every strategy of `tf.distribute`.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> again = ImageModel(model.input, model.output)
    >>> padded, sizes = np.zeros((2, 64, 96, 3)), np.array([[64, 50], [40, 96]])
    >>> tuple(again({"images": padded, "sizes": sizes}).shape), tuple(again(padded).shape)
    ((2, 10), (2, 10))
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # By this layer the networks of the zoo bring pixels to the range of their trunk.
        scales = any(layer.name == "preprocessing" for layer in self.layers)
        self.range_check = RangeCheck(self.name if scales else None)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = self._in_one_form(inputs)
        self.range_check.look(_parts(inputs)[0])
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs: Any, training: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        # Once more, as `stateless_call` comes here at once.
        inputs = self._in_one_form(inputs)
        if self._has_graph_for(inputs):
            return super().call(inputs, training=training, mask=mask, **kwargs)
        images, sizes = _parts(inputs)
        images = keras.ops.convert_to_tensor(images, dtype=self._images.dtype)
        return layer_chain.apply_layers(self, images, sizes, training)

    def compute_output_spec(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        inputs = self._in_one_form(inputs)
        if not self._has_graph_for(inputs):
            inputs = images = _parts(inputs)[0]
            if isinstance(self.input, dict):
                sizes = keras.KerasTensor((images.shape[0], 2), "int32")
                inputs = {"images": images, "sizes": sizes}
        return super().compute_output_spec(inputs, training=training, mask=mask)

    @functools.wraps(keras.Model.fit)
    def fit(self, *args: Any, **kwargs: Any) -> Any:
        return super().fit(**pipeline_inputs.fit_arguments(self, *args, **kwargs))

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        return super().evaluate(**pipeline_inputs.evaluate_arguments(self, *args, **kwargs))

    @functools.wraps(keras.Model.predict)
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return super().predict(**pipeline_inputs.predict_arguments(self, *args, **kwargs))

    @property
    def input_spec(self) -> Any:
        """What Keras checks before a call; the layers check `sizes`."""
        if not self._takes_sizes:
            return super().input_spec
        shape = (None, *self._images.shape[1:])
        return [keras.layers.InputSpec(shape=shape, allow_last_axis_squeeze=True, name="images")]

    @property
    def _images(self) -> Any:
        return self.input["images"] if isinstance(self.input, dict) else self.inputs[0]

    @property
    def _takes_sizes(self) -> bool:
        names = set(self.input) if isinstance(self.input, dict) else {"images"}
        mixed = any(isinstance(layer, PadRagged) for layer in self.layers)
        return mixed and names <= {"images", "sizes"}

    def _has_graph_for(self, inputs: Any) -> bool:
        """Whether these are the inputs of the graph that the model was made from."""
        if not self._takes_sizes:
            return True
        return isinstance(self.input, dict) if isinstance(inputs, dict) else len(self.inputs) == 1

    def _in_one_form(self, inputs: Any) -> Any:
        """Images alone, or a dictionary of them and what else the model takes."""
        if self._takes_sizes and isinstance(inputs, list | tuple):
            inputs = self._by_names(inputs)
        if not isinstance(inputs, dict):
            return inputs
        given = {name: value for name, value in inputs.items() if value is not None}
        needed = set(self.input) - {"sizes"} if isinstance(self.input, dict) else {"images"}
        may = {"sizes"} if self._takes_sizes else set()
        if not needed <= set(given) <= needed | may:
            words = f"the keys {sorted(needed)}" + (" and may have 'sizes'" if may else "")
            if "sizes" in set(given) - may:
                words += "; it does not mix sizes, so send images of one size without padding"
            raise ValueError(
                f"`inputs` of {self.name!r} that are a dictionary must have {words}. "
                f"Received: a dictionary with the keys {sorted(inputs)}."
            )
        if len(given) == 1:
            return given["images"]
        # Keras takes no arrays beside tensors.
        return {name: self._as_tensor(name, value) for name, value in given.items()}

    def _by_names(self, inputs: Any) -> Any:
        """What a list holds as a dictionary, or its only entry."""
        if len(inputs) == 1:
            return inputs[0]
        shape = tuple(getattr(inputs[-1], "shape", None) or np.shape(inputs[-1]))
        if len(inputs) != 2 or len(shape) != 2:
            raise ValueError(
                f"`inputs` of {self.name!r} that are a list must be [images, sizes], `sizes` of "
                "shape (batch, 2); images of different sizes become a batch by `tf.ragged.stack`. "
                f"Received: a list of {len(inputs)}, the last of shape {shape}."
            )
        return dict(zip(("images", "sizes"), inputs, strict=True))

    def _as_tensor(self, name: str, value: Any) -> Any:
        if isinstance(value, keras.KerasTensor):
            return value
        own = self.input if isinstance(self.input, dict) else {"images": self._images}
        return keras.ops.convert_to_tensor(value, own[name].dtype if name in own else "int32")


def _parts(inputs: Any) -> tuple[Any, Any]:
    """Images and sizes of inputs in one form."""
    if isinstance(inputs, dict):
        return inputs["images"], inputs.get("sizes")
    return inputs, None
