"""Batches of mixed sizes through a model that takes one size at a time, image by image."""

from typing import Any

import keras

from spp_keras.layers import spatial_pyramid_pooling


@keras.saving.register_keras_serializable(package="spp_keras")
class PerImage(keras.layers.Layer):
    """Applies a model, and a pyramid pooling to its maps, to each image at its own size.

    For models that `spp_keras.any_size` cannot convert, such as those with attention: the
    output of an image in a padded batch would differ from its output alone. This layer cuts
    the images out of a batch of mixed sizes and runs the model on each, on all
    processors in parallel; a batch of one size is passed on as it is.

    The backbone runs in inference mode, also in training: `BatchNormalization` with
    statistics of the batch would make the output of an image depend on the others.
    Its weights get gradients unless it is frozen.

    Args:
        backbone: `keras.Model` from `(batch, None, None, channels)` to a
            feature map `(batch, rows, columns, channels)`, or without `pooling` to a
            vector `(batch, units)`.
        pooling: `SpatialPyramidPooling` layer. Defaults to `None`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        images: Tensor `(batch, height, width, channels)`.
        sizes: Integer tensor `(batch, 2)`, height and width of each image, or
            `None` where all have the batch's size. With sizes the layer needs
            the TensorFlow backend.

    Output shape:
        `(batch, bins * channels)`, or `(batch, units)`.

    Example:

    >>> inputs = keras.Input((None, None, 3))
    >>> outputs = keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    >>> layer = PerImage(keras.Model(inputs, outputs), SpatialPyramidPooling((2, 1)))
    >>> tuple(layer(np.ones((2, 8, 9, 3)), sizes=np.array([[8, 9], [5, 4]])).shape)
    (2, 20)
    """

    def __init__(
        self,
        backbone: keras.Model,
        pooling: spatial_pyramid_pooling.SpatialPyramidPooling | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.backbone = backbone
        self.pooling = pooling
        if keras.backend.backend() == "tensorflow":
            # A loop over images of different sizes is nothing XLA can compile.
            self.supports_jit = False

    def build(self, images_shape: Any, sizes_shape: Any = None) -> None:
        if self.pooling is not None:
            self.pooling.build(self.backbone.compute_output_shape(images_shape))

    def call(self, images: Any, sizes: Any = None) -> Any:
        if sizes is None:
            return self._pool(images)
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "Images of different sizes go through this backbone one by one, at sizes known "
                "only when they arrive, which needs the TensorFlow backend. Send one size at a "
                f"time, without `sizes`. Received: backend {keras.backend.backend()!r}."
            )
        import tensorflow as tf

        def pool_alone(image_and_size: Any) -> Any:
            image, (height, width) = image_and_size[0], tf.unstack(image_and_size[1])
            return self._pool(image[tf.newaxis, :height, :width])[0]

        length = self.compute_output_shape(images.shape)[-1]
        last = self.backbone if self.pooling is None else self.pooling
        return tf.map_fn(
            pool_alone,
            (images, tf.cast(sizes, tf.int32)),
            fn_output_signature=tf.TensorSpec((length,), last.compute_dtype),
            # Eager code runs one after the other, and warns of more.
            parallel_iterations=1 if tf.executing_eagerly() else 8,
        )

    def _pool(self, images: Any) -> Any:
        outputs = self.backbone(images, training=False)
        return outputs if self.pooling is None else self.pooling(outputs)

    def compute_output_shape(self, images_shape: Any) -> Any:
        shape = (images_shape[0], None, None, images_shape[-1])
        shape = self.backbone.compute_output_shape(shape)
        return shape if self.pooling is None else self.pooling.compute_output_shape(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "pooling": self.pooling and keras.saving.serialize_keras_object(self.pooling),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        parts = {
            name: value and keras.saving.deserialize_keras_object(value)
            for name, value in ((name, config.pop(name)) for name in ("backbone", "pooling"))
        }
        return cls(**parts, **config)
