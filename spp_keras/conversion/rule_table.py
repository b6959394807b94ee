"""The table of rules: how each kind of layer is converted, and why so."""

from collections.abc import Callable
from typing import Any

import keras

from spp_keras import layers
from spp_keras.conversion import (
    cellwise_rules,
    merging_rules,
    per_image_rules,
    pooling_rules,
    sliding_rules,
)

Rule = Callable[..., Any]

_LAYERS: dict[type, Rule] = {
    # Read neighboring cells: cells beyond an image have to be what the layer pads with.
    keras.layers.Conv2D: sliding_rules.convert_sliding,
    keras.layers.DepthwiseConv2D: sliding_rules.convert_sliding,
    keras.layers.SeparableConv2D: sliding_rules.convert_sliding,
    keras.layers.MaxPooling2D: sliding_rules.convert_sliding,
    keras.layers.AveragePooling2D: sliding_rules.convert_sliding,
    layers.LocalResponseNormalization: sliding_rules.convert_local_response_normalization,
    # Change the size of images.
    keras.layers.ZeroPadding2D: sliding_rules.convert_zero_padding,
    keras.layers.Cropping2D: sliding_rules.convert_cropping,
    keras.layers.UpSampling2D: sliding_rules.convert_upsampling,
    # Reduce or draw for each image.
    keras.layers.GlobalAveragePooling2D: per_image_rules.convert_global_pooling,
    keras.layers.GlobalMaxPooling2D: per_image_rules.convert_global_pooling,
    keras.layers.BatchNormalization: per_image_rules.convert_batch_normalization,
    keras.layers.GroupNormalization: per_image_rules.convert_group_normalization,
    keras.layers.LayerNormalization: per_image_rules.convert_layer_normalization,
    keras.layers.UnitNormalization: per_image_rules.convert_unit_normalization,
    keras.layers.SpatialDropout2D: per_image_rules.convert_per_image_noise,
    keras.layers.Dropout: per_image_rules.convert_dropout,
    keras.layers.AlphaDropout: per_image_rules.convert_alpha_dropout,
    # Map each cell on its own.
    keras.layers.Activation: cellwise_rules.convert_activation,
    keras.layers.Dense: cellwise_rules.convert_cellwise,
    keras.layers.ELU: cellwise_rules.convert_zero_preserving,
    keras.layers.GaussianDropout: cellwise_rules.convert_zero_preserving,
    keras.layers.GaussianNoise: cellwise_rules.convert_cellwise,
    keras.layers.Identity: cellwise_rules.convert_zero_preserving,
    keras.layers.LeakyReLU: cellwise_rules.convert_zero_preserving,
    keras.layers.Normalization: cellwise_rules.convert_constant_normalization,
    keras.layers.PReLU: cellwise_rules.convert_prelu,
    keras.layers.ReLU: cellwise_rules.convert_relu,
    keras.layers.RMSNormalization: cellwise_rules.convert_over_channels,
    keras.layers.Rescaling: cellwise_rules.convert_cellwise,
    keras.layers.Softmax: cellwise_rules.convert_over_channels,
    # Merge maps of one size.
    keras.layers.Add: merging_rules.convert_merging,
    keras.layers.Average: merging_rules.convert_merging,
    keras.layers.Concatenate: merging_rules.convert_concatenation,
    keras.layers.Maximum: merging_rules.convert_merging,
    keras.layers.Minimum: merging_rules.convert_merging,
    keras.layers.Multiply: merging_rules.convert_merging,
    keras.layers.Subtract: merging_rules.convert_merging,
    # Make vectors of one length.
    layers.AdaptiveAveragePooling2D: pooling_rules.convert_pyramid,
    layers.AdaptiveMaxPooling2D: pooling_rules.convert_pyramid,
    layers.SpatialPyramidPooling: pooling_rules.convert_pyramid,
    keras.layers.Flatten: pooling_rules.convert_flatten,
    keras.layers.Reshape: pooling_rules.convert_reshape,
}
# Layers by their package and name: not public, or of packages that need not be there.
_NAMED: dict[tuple[str, str], Rule] = {
    ("keras", "LayerScale"): cellwise_rules.convert_cellwise,
    ("keras", "StochasticDepth"): per_image_rules.convert_per_image_noise,
    ("keras_hub", "DropPath"): per_image_rules.convert_per_image_noise,
    ("keras_hub", "HGNetV2LearnableAffineBlock"): cellwise_rules.convert_cellwise,
    ("keras_hub", "LayerScale2d"): cellwise_rules.convert_channels_last,
    ("keras_hub", "RmsNorm2d"): cellwise_rules.convert_channels_last,
}
# `keras.ops` and operators on symbolic tensors, whose classes are not public.
_OPERATIONS: dict[str, Rule] = {
    **dict.fromkeys(("Add", "Maximum", "Minimum"), merging_rules.convert_merging),
    **dict.fromkeys(("Multiply", "Subtract"), merging_rules.convert_merging),
    **dict.fromkeys(("Divide", "TrueDivide"), merging_rules.convert_division),
    "Concatenate": merging_rules.convert_concatenation,
    **dict.fromkeys(("Absolute", "Elu", "Gelu"), cellwise_rules.convert_zero_preserving),
    **dict.fromkeys(("HardSilu", "LeakyRelu", "Negative"), cellwise_rules.convert_zero_preserving),
    "ReLU": cellwise_rules.convert_relu,
    **dict.fromkeys(("Relu", "Relu6", "Selu"), cellwise_rules.convert_zero_preserving),
    **dict.fromkeys(("Silu", "Square", "Tanh"), cellwise_rules.convert_zero_preserving),
    **dict.fromkeys(("Cast", "Clip", "HardSigmoid"), cellwise_rules.convert_cellwise),
    **dict.fromkeys(("LogSigmoid", "Sigmoid", "Softplus"), cellwise_rules.convert_cellwise),
    **dict.fromkeys(("LogSoftmax", "Softmax"), cellwise_rules.convert_over_channels),
    "GetItem": sliding_rules.convert_slice,
    "Split": cellwise_rules.convert_split,
    **dict.fromkeys(("Max", "Mean"), per_image_rules.convert_reduction),
    "Pad": sliding_rules.convert_pad,
    "Reshape": pooling_rules.convert_reshape,
}
_registered: dict[type, Rule] = {}


def register_rule(layer_class: type, rule: Rule) -> None:
    """Registers how `spp_keras.any_size` converts a layer of yours.

    Args:
        layer_class: Class of the layer, an exact match: subclasses need rules of their own.
        rule: Function `rule(graph, layer, *args, **kwargs)`. The arguments are those of the
            layer's call: a `spp_keras.conversion.FeatureMap` for each map. It returns a
            `FeatureMap`, or a symbolic tensor with one row for each image.
            `spp_keras.conversion.convert_cellwise` is the rule of layers that map each cell
            on its own.

    Example:

    >>> class Half(keras.layers.Layer):
    ...     def call(self, inputs):
    ...         return inputs / 2
    >>> register_rule(Half, convert_cellwise)
    """
    if not (isinstance(layer_class, type) and issubclass(layer_class, keras.Operation)):
        raise ValueError(
            f"`layer_class` must be a class of Keras layers. Received: layer_class={layer_class!r}."
        )
    if not callable(rule):
        raise ValueError(f"`rule` must be a function. Received: rule={rule!r}.")
    _registered[layer_class] = rule


def find_rule(layer: keras.Operation) -> Rule | None:
    """The rule of a layer or operation, `None` for none.

    Example:

    >>> find_rule(keras.layers.ELU()).__name__
    'convert_zero_preserving'
    """
    layer_class = type(layer)
    if layer_class in _registered:
        return _registered[layer_class]
    if layer_class in _LAYERS:
        return _LAYERS[layer_class]
    if not isinstance(layer, keras.Layer):
        return _OPERATIONS.get(layer_class.__name__)
    package = layer_class.__module__.partition(".")[0]
    return _NAMED.get((package, layer_class.__name__))
