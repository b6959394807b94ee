"""Small Keras networks that `spp_keras.any_size` converts, or cannot."""

import keras


def every_rule() -> keras.Model:
    """A network whose converted form has every layer that a conversion puts in."""
    images = keras.Input((None, None, 3))
    x = keras.layers.Normalization()(images)
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(x)
    # Half the rows, rounded up and rounded down: as many where their number is even.
    x = keras.layers.Concatenate()([x, keras.layers.MaxPooling2D(2)(images)])
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(x)
    x = keras.layers.GroupNormalization(7)(x)
    x = keras.layers.SeparableConv2D(4, 3, strides=2, padding="same")(x)
    x = keras.layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False)(x)
    x = keras.layers.MaxPooling2D(3, 1, padding="same")(x)
    x = keras.layers.MaxPooling2D(2, 1, padding="same")(keras.layers.ReLU()(x))
    x = keras.layers.MaxPooling2D(3, 2, padding="same")(x)
    x = keras.layers.AveragePooling2D(2, 2, padding="same")(x)
    x = keras.layers.UnitNormalization(axis=(1, 2, 3))(x)
    x = keras.layers.SpatialDropout2D(0.5)(x)
    weights = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = keras.layers.Multiply()([x, keras.layers.Conv2D(4, 1, activation="sigmoid")(weights)])
    vectors = keras.layers.GlobalMaxPooling2D()(x)
    return keras.Model(images, keras.layers.Dense(3)(vectors), name="every_rule")


def without_rule() -> keras.Model:
    """A network with a layer that has no rule and nothing inside."""
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2DTranspose(4, 3, name="transposed")(images)
    return keras.Model(images, keras.layers.GlobalMaxPooling2D()(x), name="without_rule")
