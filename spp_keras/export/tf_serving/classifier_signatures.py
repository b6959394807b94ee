"""What a served model can be asked: each signature a function of the graph."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from spp_keras.data import image_rules, safe_decoding
from spp_keras.export.tf_serving import input_decoding
from spp_keras.layers import PerImage, SpatialPyramidPooling


class Signature(NamedTuple):
    """A function that a server calls by name.

    Args:
        call: From tensors to a dictionary of tensors.
        inputs: A `tf.TensorSpec` for each argument; its name is the client's.
    """

    call: Callable[..., dict[str, Any]]
    inputs: tuple[tf.TensorSpec, ...]


class ServedParts(NamedTuple):
    """A network cut where images of any size have become vectors of one length.

    Args:
        pool: From images of one size to vectors.
        hidden: From these to what the last layer gets; `None` if that is it.
        last: The last layer.
        names: Of the layers whose outputs the two vectors are.
    """

    pool: keras.Model
    hidden: keras.Model | None
    last: keras.layers.Layer
    names: tuple[str, str]

    def features(self, vectors: Any) -> tuple[Any, Any]:
        """The two vectors, from the first."""
        return vectors, vectors if self.hidden is None else self.hidden(vectors)


def build_classifier_signatures(
    model: keras.Model,
    labels: Sequence[str],
    files: input_decoding.FileInputs,
    *,
    top: int,
) -> dict[str, Signature]:
    """The signatures of a network that scores classes, see `spp_keras.export.export_saved_model`."""
    parts = split_for_serving(model)
    # There are that many: see `checks.view`.
    max_pixels: Any = files.view.max_pixels(files.limits.max_aspect)
    names = tf.constant(list(labels))

    def scores(images: Any) -> dict[str, Any]:
        return {"scores": model(input_decoding.limit_pixels(images, max_pixels, "bytes"))}

    def features(images: Any) -> dict[str, Any]:
        vectors = parts.features(
            parts.pool(input_decoding.limit_pixels(images, max_pixels, "bytes"))
        )
        return dict(zip(parts.names, vectors, strict=True))

    def pooled(image_bytes: Any) -> tuple[Any, dict[str, Any]]:
        def pool(image: safe_decoding.DecodedImage) -> dict[str, Any]:
            return {"vectors": tf.cast(parts.pool(image.pixels[tf.newaxis]), tf.float32)[0]}

        blank = {"vectors": tf.zeros(parts.pool.output_shape[-1:])}
        found = input_decoding.map_files(pool, blank, files, image_bytes)
        return found.pop("vectors"), found

    def classified(image_bytes: Any) -> dict[str, Any]:
        vectors, found = pooled(image_bytes)
        scores, indices = tf.math.top_k(parts.last(parts.features(vectors)[1]), k=top)
        answer = {"scores": scores, "indices": indices, "labels": tf.gather(names, indices)}
        if found:
            good = found["error_codes"][:, tf.newaxis] == image_rules.OK
            blank = {"scores": 0.0, "indices": -1, "labels": ""}
            answer = {name: tf.where(good, answer[name], blank[name]) for name in answer}
        return answer | found

    def features_of_bytes(image_bytes: Any) -> dict[str, Any]:
        vectors, found = pooled(image_bytes)
        return dict(zip(parts.names, parts.features(vectors), strict=True)) | found

    def pixels(dtype: str) -> tuple[tf.TensorSpec]:
        return (tf.TensorSpec((None, *model.inputs[0].shape[1:]), dtype, name="images"),)

    file = (tf.TensorSpec((None,), tf.string, name="image_bytes"),)
    return {
        "serving_default": Signature(scores, pixels("float32")),
        "uint8": Signature(scores, pixels("uint8")),
        "bytes": Signature(classified, file),
        "features": Signature(features, pixels("float32")),
        "bytes_features": Signature(features_of_bytes, file),
    }


def split_for_serving(model: keras.Model) -> ServedParts:
    """Cuts a network behind its pooling and before its last layer."""
    kinds = (SpatialPyramidPooling, PerImage, keras.layers.Flatten)
    ends = [layer for layer in model.layers if isinstance(layer, kinds)]
    hidden = [layer for layer in model.layers[:-1] if isinstance(layer, keras.layers.Dense)]
    if len(ends) != 1 or not isinstance(model.layers[-1], keras.layers.Dense):
        raise ValueError(
            "`model` must pool once, by a pyramid or by `Flatten`, and end in a `Dense` layer, as "
            f"the networks of this zoo and `spp_classifier` do. Received: model={model.name!r}."
        )
    end, last = ends[0], model.layers[-1]
    before = hidden[-1] if hidden else end
    return ServedParts(
        pool=keras.Model(model.input, end.output, name=f"{model.name}_pool"),
        hidden=keras.Model(end.output, last.input) if last.input is not end.output else None,
        last=last,
        names=(end.name, before.name),
    )
