"""Serving signatures of a classifier."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from spp_keras.data import safe_decoding
from spp_keras.export.tf_serving import input_decoding
from spp_keras.export.tf_serving.graph_writer import Signature
from spp_keras.layers import PerImage, SpatialPyramidPooling


class ServedParts(NamedTuple):
    """A classifier in parts: up to its pooling, its hidden layers, its last layer.

    Args:
        pool: From images of one size to pooled vectors.
        hidden: From pooled vectors to the input of the last layer; `None` if there
            is no layer between.
        last: The last layer.
        names: Names of the layers whose outputs are the pooled vectors and the input of
            the last layer.
    """

    pool: keras.Model
    hidden: keras.Model | None
    last: keras.layers.Layer
    names: tuple[str, str]

    def compute_features(self, pooled: Any) -> tuple[Any, Any]:
        """The pooled vectors and the inputs of the last layer."""
        return pooled, pooled if self.hidden is None else self.hidden(pooled)


def build_classifier_signatures(
    model: keras.Model,
    labels: Sequence[str],
    files: input_decoding.FileInputs,
    *,
    top_k: int,
) -> dict[str, Signature]:
    """Builds the signatures that `export_saved_model` describes.

    Args:
        model: The classifier.
        labels: Class names.
        files: How image files are decoded.
        top_k: Number of classes that `bytes` returns.
    """
    parts = split_for_serving(model)
    # Not None: `resolve_size_policy` has checked that there is a limit.
    max_pixels: Any = files.size_policy.max_pixels(files.limits.max_aspect)
    label_table = tf.constant(list(labels))

    def classify(images: Any) -> dict[str, Any]:
        return {"scores": model(input_decoding.limit_pixels(images, max_pixels, "bytes"))}

    def extract_features(images: Any) -> dict[str, Any]:
        pooled = parts.pool(input_decoding.limit_pixels(images, max_pixels, "bytes"))
        return dict(zip(parts.names, parts.compute_features(pooled), strict=True))

    def pool_files(image_bytes: Any) -> tuple[Any, dict[str, Any]]:
        def pool(image: safe_decoding.DecodedImage) -> dict[str, Any]:
            return {"pooled": tf.cast(parts.pool(image.pixels[tf.newaxis]), tf.float32)[0]}

        blank = {"pooled": tf.zeros(parts.pool.output_shape[-1:])}
        results = input_decoding.map_files(pool, blank, files, image_bytes)
        return results.pop("pooled"), results

    def classify_files(image_bytes: Any) -> dict[str, Any]:
        pooled, errors = pool_files(image_bytes)
        scores, indices = tf.math.top_k(parts.last(parts.compute_features(pooled)[1]), k=top_k)
        results = {"scores": scores, "indices": indices, "labels": tf.gather(label_table, indices)}
        if errors:
            is_good = errors["error_codes"][:, tf.newaxis] == safe_decoding.OK
            blank = {"scores": 0.0, "indices": -1, "labels": ""}
            results = {name: tf.where(is_good, results[name], blank[name]) for name in results}
        return results | errors

    def extract_file_features(image_bytes: Any) -> dict[str, Any]:
        pooled, errors = pool_files(image_bytes)
        return dict(zip(parts.names, parts.compute_features(pooled), strict=True)) | errors

    def spec_of_images(dtype: str) -> tuple[tf.TensorSpec]:
        return (tf.TensorSpec((None, *model.inputs[0].shape[1:]), dtype, name="images"),)

    files_spec = (tf.TensorSpec((None,), tf.string, name="image_bytes"),)
    return {
        "serving_default": Signature(classify, spec_of_images("float32")),
        "uint8": Signature(classify, spec_of_images("uint8")),
        "bytes": Signature(classify_files, files_spec),
        "features": Signature(extract_features, spec_of_images("float32")),
        "bytes_features": Signature(extract_file_features, files_spec),
    }


def split_for_serving(model: keras.Model) -> ServedParts:
    """Splits a classifier behind its pooling and before its last layer."""
    pooling_types = (SpatialPyramidPooling, PerImage, keras.layers.Flatten)
    pooling = [layer for layer in model.layers if isinstance(layer, pooling_types)]
    dense = [layer for layer in model.layers[:-1] if isinstance(layer, keras.layers.Dense)]
    if len(pooling) != 1 or not isinstance(model.layers[-1], keras.layers.Dense):
        raise ValueError(
            "`model` must pool once, by a pyramid or by `Flatten`, and end in a `Dense` layer, as "
            f"the networks of this zoo and `spp_classifier` do. Received: model={model.name!r}."
        )
    pool, last = pooling[0], model.layers[-1]
    last_hidden = dense[-1] if dense else pool
    return ServedParts(
        pool=keras.Model(model.input, pool.output, name=f"{model.name}_pool"),
        hidden=keras.Model(pool.output, last.input) if last.input is not pool.output else None,
        last=last,
        names=(pool.name, last_hidden.name),
    )
