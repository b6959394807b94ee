"""Quantization to int8, with chosen layers left in float32.

TFLite's int8 kernels of a normalization are slower than the rest of the network, and
8 bits are too few for squares; int8 scores would tie. So these layers stay in float32.
`tf.lite.experimental.QuantizationDebugger` takes names of operations to leave alone. Two
things have no function in TensorFlow: finding these operations by layer, and 8-bit
weights for a dense layer whose sums stay in float32. Both read and edit the file through
the schema that `ai_edge_litert` publishes.

`ai-edge-quantizer` (now `litert-quantizer`) has rules by layer and quantizes networks whose
pyramid is an average, EfficientNet-Lite0 among them. It is not used for these either: in
benchmarks/pretrained_exports.py its file has the same size, takes as long and names the
network's class as often, but its probabilities differ three times as much at most. It pins
one release of ai-edge-litert, and has no int8 rule for REDUCE_MAX, which every other pyramid
uses. If TensorFlow drops `tf.lite`, take it all the same: give it the float32 file, static
rules for all operations, none for the float layers and for tensors that are not float32,
and a dynamic rule for the last layer.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from spp_keras import _progress

_ACTIVATIONS = schema.BuiltinOperator.SOFTMAX, schema.BuiltinOperator.LOGISTIC


def quantize(
    converter: Any, requests: Sequence[dict[str, np.ndarray]], float_layers: Sequence[str]
) -> bytes:
    """Converts a model to int8 but for some layers.

    Args:
        converter: A `tf.lite.TFLiteConverter` with optimizations on.
        requests: Inputs to calibrate with, by name.
        float_layers: Names of the layers that stay in float32. Of dense ones
            among them the weights become int8, too.

    Returns:
        The content of the file.
    """
    converter.representative_dataset = lambda: _progress.create_bar(requests, "Calibrating")
    options = tf.lite.experimental.QuantizationDebugOptions()
    with warnings.catch_warnings():
        # TensorFlow's own use of an interpreter that has moved to another package.
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter is deprecated")
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_options=options
        )
    # Not by new `debugger.options`, which convert once more to compare, and fail where every
    # layer stays in float32.
    options.denylisted_nodes = list(_find_operations(debugger.calibrated_model, float_layers))
    return _quantize_float_weights(debugger.get_nondebug_quantized_model())


def _find_operations(content: bytes, layers: Sequence[str]) -> Iterator[str]:
    """Names of the outputs of the operations of some layers and of the last activation."""
    layer_pattern = re.compile(rf"/({'|'.join(re.escape(layer) for layer in layers)})(_\d+)?/")
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    for graph, operation, code in _list_operations(model):
        for output in operation.outputs:
            name = graph.tensors[output].name.decode()
            is_last = code in _ACTIVATIONS and output in graph.outputs
            if is_last or layer_pattern.search(name):
                yield name


def _quantize_float_weights(content: bytes) -> bytes:
    """Gives dense layers in float32 weights of 8 bits, as `quantization="dynamic"` does."""
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    for graph, operation, code in _list_operations(model):
        if code != schema.BuiltinOperator.FULLY_CONNECTED:
            continue
        weights = graph.tensors[operation.inputs[1]]
        buffer = model.buffers[weights.buffer]
        if weights.type != schema.TensorType.FLOAT32 or buffer.data is None:
            continue
        values = np.frombuffer(bytes(buffer.data), "float32")
        scale = max(float(np.abs(values).max()), 1e-30) / 127
        buffer.data = np.round(values / scale).astype("int8").view("uint8")
        weights.type = schema.TensorType.INT8
        weights.quantization = schema.QuantizationParametersT()
        weights.quantization.scale = np.array([scale], "float32")
        weights.quantization.zeroPoint = np.zeros(1, "int64")
        operation.builtinOptions.asymmetricQuantizeInputs = True
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _list_operations(model: Any) -> Iterator[tuple[Any, Any, int]]:
    """Every operation with its graph and its code."""
    for graph in model.subgraphs:
        for operation in graph.operators or ():
            yield graph, operation, model.operatorCodes[operation.opcodeIndex].builtinCode
