"""Serving signatures of a classifier."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from spp_keras.data import image_rules
from spp_keras.export.graph_writer import Signature
from spp_keras.export.tf_serving import file_pooling, input_decoding
from spp_keras.zoo.model_parts import ModelParts, split_at_pooling


def build_classifier_signatures(
    model: keras.Model,
    labels: Sequence[str],
    files: input_decoding.FileInputs,
    *,
    top_k: int,
    packed_pixels: int,
) -> dict[str, Signature]:
    """Builds the signatures that `export_saved_model` describes.

    Args:
        model: The classifier.
        labels: Class names.
        files: How image files are decoded.
        top_k: Number of classes that `bytes` returns.
        packed_pixels: Pixels of images in files that are packed together.
    """
    parts, feature_names = _split(model)
    # Not None: `resolve_size_policy` has checked that there is a limit.
    max_pixels: Any = files.size_policy.max_pixels(files.limits.max_aspect)
    label_table = tf.constant(list(labels))

    def name_features(pooled: Any) -> dict[str, Any]:
        features = (pooled, parts.apply_hidden(pooled))
        return dict(zip(feature_names, features, strict=True))

    def classify(images: Any) -> dict[str, Any]:
        return {"scores": model(input_decoding.limit_pixels(images, max_pixels, "bytes"))}

    def extract_features(images: Any) -> dict[str, Any]:
        images = input_decoding.limit_pixels(images, max_pixels, "bytes")
        return name_features(parts.pool(images))

    channels = parts.pooling.output.shape[-1]
    pool_decoded = file_pooling.make_file_pooler(model, parts, packed_pixels)

    files_spec = (tf.TensorSpec((None,), tf.string, name="image_bytes"),)
    # Traced once for both signatures of files: tracing takes most of an export.
    pool_files = tf.function(
        lambda image_bytes: input_decoding.map_file_batches(
            pool_decoded, channels, files, image_bytes
        ),
        files_spec,
        autograph=False,
    )

    def classify_files(image_bytes: Any) -> dict[str, Any]:
        pooled, errors = pool_files(image_bytes)
        scores, indices = tf.math.top_k(parts.apply_top(pooled), k=top_k)
        results = {"scores": scores, "indices": indices, "labels": tf.gather(label_table, indices)}
        if errors:
            is_good = errors["error_codes"][:, tf.newaxis] == image_rules.OK
            blank = {"scores": 0.0, "indices": -1, "labels": ""}
            results = {name: tf.where(is_good, results[name], blank[name]) for name in results}
        return results | errors

    def extract_file_features(image_bytes: Any) -> dict[str, Any]:
        pooled, errors = pool_files(image_bytes)
        return name_features(pooled) | errors

    def spec_of_images(dtype: str) -> tuple[tf.TensorSpec]:
        return (tf.TensorSpec((None, *model.inputs[0].shape[1:]), dtype, name="images"),)

    return {
        "serving_default": Signature(classify, spec_of_images("float32")),
        "uint8": Signature(classify, spec_of_images("uint8")),
        "bytes": Signature(classify_files, files_spec),
        "features": Signature(extract_features, spec_of_images("float32")),
        "bytes_features": Signature(extract_file_features, files_spec),
    }


def _split(model: keras.Model) -> tuple[ModelParts, tuple[str, str]]:
    """The parts of a classifier, and the names of the layers whose outputs are features."""
    parts = split_at_pooling(model)
    if not parts.top or not isinstance(parts.top[-1], keras.layers.Dense):
        raise ValueError(
            "`model` must end in a `Dense` layer after its pooling, as the networks of this zoo "
            f"and of `spp_classifier` do. Received: model={model.name!r}."
        )
    hidden = [layer.name for layer in parts.top[:-1] if isinstance(layer, keras.layers.Dense)]
    return parts, (parts.pooling.name, [parts.pooling.name, *hidden][-1])
