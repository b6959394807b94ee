"""The class of networks for images of any size: one model that takes images in every form."""

import functools
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from spp_keras.layers import PadRagged
from spp_keras.models import graph_run, image_batches, pipeline_inputs, weight_loading
from spp_keras.models.range_check import RangeCheck

if TYPE_CHECKING or keras.backend.backend() == "tensorflow":
    from spp_keras.models.tensorflow_training import RangeCheckedModel as Base
else:
    Base = image_batches.WeighsByImages


@keras.saving.register_keras_serializable(package="spp_keras")
class ImageModel(Base):
    """A functional model that takes images in every form in which Keras can send them.

    `fit`, `evaluate`, `predict` and calls take:

    - images of one size, `(batch, height, width, channels)`;
    - a `tf.RaggedTensor` of images that each have their own size, on the
      TensorFlow backend;
    - `{"images": ..., "sizes": (batch, 2)}` or `[images, sizes]`, images padded to
      one size and the height and width of each. `{"images": ...}` alone is either
      of the first two;
    - `{"images": canvases, "placements": (images, 5)}` or `[canvases, placements]`,
      several images on each canvas, see `spp_keras.layers.PadRagged`.

    `fit`, `evaluate` and `predict` also take a `spp_keras.data.Pipeline`, without
    arguments for steps or shuffling, on one device and on several.

    Other inputs are refused. Above all it never drops `sizes`, as a plain
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
        # The networks of the zoo scale pixels 0..255 by this layer.
        expects_pixels = any(layer.name == "preprocessing" for layer in self.layers)
        self.range_check = RangeCheck(self.name if expects_pixels else None)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = self._normalize_inputs(inputs)
        self.range_check.check(_split_inputs(inputs)[0])
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs: Any, training: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        # Again, since `stateless_call` calls this method directly.
        inputs = self._normalize_inputs(inputs)
        if self._has_graph_for(inputs):
            return super().call(inputs, training=training, mask=mask, **kwargs)
        images, others = _split_inputs(inputs)
        images = keras.ops.convert_to_tensor(images, dtype=self._images.dtype)
        return graph_run.apply_model(self, images, training=training, **others)

    def compute_output_spec(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        inputs = self._normalize_inputs(inputs)
        if not self._has_graph_for(inputs):
            images, others = _split_inputs(inputs)
            if "placements" in others:
                images = keras.KerasTensor((None, *images.shape[1:]), images.dtype)
            inputs = images
            if isinstance(self.input, dict):
                sizes = keras.KerasTensor((images.shape[0], 2), "int32")
                inputs = {"images": images, "sizes": sizes}
        return super().compute_output_spec(inputs, training=training, mask=mask)

    @functools.wraps(keras.Model.fit)
    def fit(self, *args: Any, **kwargs: Any) -> Any:
        return super().fit(**pipeline_inputs.make_fit_arguments(self, *args, **kwargs))

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        return super().evaluate(**pipeline_inputs.make_evaluate_arguments(self, *args, **kwargs))

    @functools.wraps(keras.Model.predict)
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return super().predict(**pipeline_inputs.make_predict_arguments(self, *args, **kwargs))

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Loads a weight file, each layer by its name.

        Keras goes by positions, which may be others in a file of the model that
        `spp_keras.any_size` was given. So a `.weights.h5` or `.keras` file of that model, of
        this network, or of a part of either loads into this network, or is refused with a list of
        what differs. Other files are loaded as by Keras.

        Args:
            filepath: Path of the file.
            skip_mismatch: Whether layers that the file has not, or with other shapes, are left
                as they are, with a warning. Defaults to `False`.
            **kwargs: See `keras.Model.load_weights`.
        """
        path = str(filepath)
        if kwargs or "://" in path or not path.endswith((".weights.h5", ".keras")):
            super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)
        else:
            weight_loading.load_by_name(self, path, skip_mismatch)

    @property
    def input_spec(self) -> Any:
        """The shape of images that Keras checks before a call; layers check `sizes`."""
        if not self._takes_sizes:
            return super().input_spec
        shape = (None, *self._images.shape[1:])
        return [keras.layers.InputSpec(shape=shape, allow_last_axis_squeeze=True, name="images")]

    @property
    def jit_compile(self) -> bool:
        """Whether XLA compiles steps: as Keras decides, but on TensorFlow when asked to alone.

        There it compiles anew for each size: `compile(jit_compile=True)` is for batches and
        canvases of one size.
        """
        return super().jit_compile

    @jit_compile.setter
    def jit_compile(self, value: bool) -> None:
        entrances = [layer for layer in self.layers if isinstance(layer, PadRagged)]
        supported = [layer.supports_jit for layer in entrances]
        for layer in entrances:
            layer.supports_jit = True
        keras.Model.jit_compile.fset(self, value)
        for layer, supports_jit in zip(entrances, supported, strict=True):
            layer.supports_jit = supports_jit

    @property
    def layers(self) -> list[keras.Layer]:
        """The layers; those with weights in the order of the model that this one was made from.

        So weights, files of weights and the state of an optimizer have one order in both.
        """
        layers: list[keras.Layer] = super().layers
        order = next((x.layer_order for x in layers if isinstance(x, PadRagged)), ())
        by_name = {layer.name: layer for layer in layers}
        ordered = iter([by_name[name] for name in order if name in by_name])
        names = set(order)
        return [next(ordered) if layer.name in names else layer for layer in layers]

    @property
    def _images(self) -> Any:
        return self.input["images"] if isinstance(self.input, dict) else self.inputs[0]

    @property
    def _takes_sizes(self) -> bool:
        names = set(self.input) if isinstance(self.input, dict) else {"images"}
        # Asked on every call, for which the order of the layers does not matter.
        mixed = any(isinstance(layer, PadRagged) for layer in super().layers)
        return mixed and names <= {"images", "sizes"}

    def _has_graph_for(self, inputs: Any) -> bool:
        """Whether inputs have the structure of the graph that the model was made from."""
        if not self._takes_sizes:
            return True
        if isinstance(inputs, dict):
            return isinstance(self.input, dict) and "placements" not in inputs
        return len(self.inputs) == 1

    def _normalize_inputs(self, inputs: Any) -> Any:
        """Images alone, or a dictionary of images and other inputs."""
        if self._takes_sizes and isinstance(inputs, list | tuple):
            inputs = self._name_inputs(inputs)
        if not isinstance(inputs, dict):
            return inputs
        present = {name: value for name, value in inputs.items() if value is not None}
        required = set(self.input) - {"sizes"} if isinstance(self.input, dict) else {"images"}
        optional = {"sizes", "placements"} if self._takes_sizes else set()
        too_many = {"sizes", "placements"} <= set(present)
        if not required <= set(present) <= required | optional or too_many:
            rule = f"the keys {sorted(required)}"
            rule += " and may have 'sizes' or 'placements'" if optional else ""
            if "sizes" in set(present) - optional:
                rule += "; it does not mix sizes, so send images of one size without padding"
            raise ValueError(
                f"`inputs` of {self.name!r} that are a dictionary must have {rule}. "
                f"Received: a dictionary with the keys {sorted(inputs)}."
            )
        if len(present) == 1:
            return present["images"]
        # Keras does not take arrays beside tensors.
        return {name: self._as_tensor(name, value) for name, value in present.items()}

    def _name_inputs(self, inputs: Any) -> Any:
        """The entries of a list as a dictionary, or its only entry."""
        if len(inputs) == 1:
            return inputs[0]
        shapes = [tuple(getattr(x, "shape", None) or np.shape(x)) for x in inputs]
        if image_batches.is_placements_first(inputs):
            # The order that steps of a training have.
            inputs, shapes = inputs[::-1], shapes[::-1]
        if len(inputs) != 2 or len(shapes[1]) != 2:
            raise ValueError(
                f"`inputs` of {self.name!r} that are a list must be [images, sizes], `sizes` of "
                "shape (batch, 2); images of different sizes become a batch by `tf.ragged.stack`. "
                f"Received: a list of {len(inputs)}, the last of shape {shapes[-1]}."
            )
        return dict(
            zip(("images", "placements" if shapes[1][1] == 5 else "sizes"), inputs, strict=True)
        )

    def _as_tensor(self, name: str, value: Any) -> Any:
        if isinstance(value, keras.KerasTensor):
            return value
        tensors = self.input if isinstance(self.input, dict) else {"images": self._images}
        dtype = tensors[name].dtype if name in tensors else "int32"
        if name == "placements":
            dtype = None  # `PadRagged` refuses fractions, and makes int32 of the others.
        return keras.ops.convert_to_tensor(value, dtype)


def _split_inputs(inputs: Any) -> tuple[Any, dict[str, Any]]:
    """Images, and sizes or placements, of normalized inputs."""
    if isinstance(inputs, dict):
        return inputs["images"], {name: x for name, x in inputs.items() if name != "images"}
    return inputs, {}
