"""What a served model can be asked: each signature a function of the graph."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from spp_keras.data import image_rules, safe_decoding
from spp_keras.export.tf_serving import input_decoding
from spp_keras.zoo.model_parts import ModelParts, split_at_pooling


class Signature(NamedTuple):
    """A function that a server calls by name.

    Args:
        call: From tensors to a dictionary of tensors.
        inputs: A `tf.TensorSpec` for each argument; its name is the client's.
    """

    call: Callable[..., dict[str, Any]]
    inputs: tuple[tf.TensorSpec, ...]


def build_classifier_signatures(
    model: keras.Model,
    labels: Sequence[str],
    files: input_decoding.FileInputs,
    *,
    top: int,
) -> dict[str, Signature]:
    """The signatures of a network that scores classes, see `spp_keras.export.export_saved_model`."""
    parts, feature_names = _split(model)
    # There are that many: see `checks.view`.
    max_pixels: Any = files.view.max_pixels(files.limits.max_aspect)
    names = tf.constant(list(labels))

    def name_features(vectors: Any) -> dict[str, Any]:
        features = (vectors, parts.apply_hidden(vectors))
        return dict(zip(feature_names, features, strict=True))

    def scores(images: Any) -> dict[str, Any]:
        return {"scores": model(input_decoding.limit_pixels(images, max_pixels, "bytes"))}

    def features(images: Any) -> dict[str, Any]:
        images = input_decoding.limit_pixels(images, max_pixels, "bytes")
        return name_features(parts.pool(images))

    def pooled(image_bytes: Any) -> tuple[Any, dict[str, Any]]:
        def pool(image: safe_decoding.DecodedImage) -> dict[str, Any]:
            return {"vectors": tf.cast(parts.pool(image.pixels[tf.newaxis]), tf.float32)[0]}

        blank = {"vectors": tf.zeros(parts.pooling.output.shape[-1:])}
        found = input_decoding.map_files(pool, blank, files, image_bytes)
        return found.pop("vectors"), found

    def classified(image_bytes: Any) -> dict[str, Any]:
        vectors, found = pooled(image_bytes)
        scores, indices = tf.math.top_k(parts.apply_top(vectors), k=top)
        answer = {"scores": scores, "indices": indices, "labels": tf.gather(names, indices)}
        if found:
            good = found["error_codes"][:, tf.newaxis] == image_rules.OK
            blank = {"scores": 0.0, "indices": -1, "labels": ""}
            answer = {name: tf.where(good, answer[name], blank[name]) for name in answer}
        return answer | found

    def features_of_bytes(image_bytes: Any) -> dict[str, Any]:
        vectors, found = pooled(image_bytes)
        return name_features(vectors) | found

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


def _split(model: keras.Model) -> tuple[ModelParts, tuple[str, str]]:
    """The parts of a network, and the names of the layers whose vectors are features."""
    parts = split_at_pooling(model)
    if not parts.top or not isinstance(parts.top[-1], keras.layers.Dense):
        raise ValueError(
            "`model` must end in a `Dense` layer behind its pooling, as the networks of this zoo "
            f"and of `spp_classifier` do. Received: model={model.name!r}."
        )
    hidden = [layer.name for layer in parts.top[:-1] if isinstance(layer, keras.layers.Dense)]
    return parts, (parts.pooling.name, [parts.pooling.name, *hidden][-1])
