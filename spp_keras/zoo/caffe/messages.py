"""The protobuf messages of Caffe's files, as far as they are needed.

Names and numbers are those of Caffe's `caffe.proto`, in the three forms that Caffe has had:
`layer { type: "Convolution" }`, before it `layers { type: CONVOLUTION }`, and before that, in
the network released with SPP-net, `layers { layer { type: "conv" } }`.

The tables below have the content of a `caffe.proto`, and `protobuf` parses by them. A generated
`caffe_pb2.py` is not simpler: it is a serialized blob that no reader can check, needs `protoc`
to be made, and a `protobuf` at least as new as that `protoc` to be loaded.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Message -> field -> (number, type, default); `*` marks a repeated field. Weights are packed
# lists of floats. They are declared as bytes: a Python list of tens of millions of floats would
# take gigabytes.
_FIELDS: dict[str, dict[str, Any]] = {
    "BlobShape": {"dim": (1, "int64*")},
    "BlobProto": {
        "num": (1, "int64"),
        "channels": (2, "int64"),
        "height": (3, "int64"),
        "width": (4, "int64"),
        "data": (5, "bytes*"),
        "shape": (7, "BlobShape"),
        "double_data": (8, "bytes*"),
    },
    "ConvolutionParameter": {
        "num_output": (1, "int64"),
        "bias_term": (2, "bool", "true"),
        "pad": (3, "int64*"),
        "kernel_size": (4, "int64*"),
        "group": (5, "int64", "1"),
        "stride": (6, "int64*"),
        "pad_h": (9, "int64"),
        "pad_w": (10, "int64"),
        "kernel_h": (11, "int64"),
        "kernel_w": (12, "int64"),
        "stride_h": (13, "int64"),
        "stride_w": (14, "int64"),
        "dilation": (18, "int64*"),
    },
    "PoolingParameter": {
        "pool": (1, "PoolMethod"),
        "kernel_size": (2, "int64*"),
        "stride": (3, "int64*"),
        "pad": (4, "int64*"),
        "kernel_h": (5, "int64"),
        "kernel_w": (6, "int64"),
        "stride_h": (7, "int64"),
        "stride_w": (8, "int64"),
        "pad_h": (9, "int64"),
        "pad_w": (10, "int64"),
        "global_pooling": (12, "bool"),
    },
    "LRNParameter": {
        "local_size": (1, "int64", "5"),
        "alpha": (2, "float", "1"),
        "beta": (3, "float", "0.75"),
        "norm_region": (4, "NormRegion"),
        "k": (5, "float", "1"),
    },
    "InnerProductParameter": {
        "num_output": (1, "int64"),
        "bias_term": (2, "bool", "true"),
        "axis": (5, "int64", "1"),
        "transpose": (6, "bool"),
    },
    "ConcatParameter": {"concat_dim": (1, "int64", "1"), "axis": (2, "int64", "1")},
    "DropoutParameter": {"dropout_ratio": (1, "float", "0.5"), "scale_train": (2, "bool")},
    "ReLUParameter": {"negative_slope": (1, "float")},
    "InputParameter": {"shape": (1, "BlobShape*")},
    "LayerParameter": {
        "name": (1, "string"),
        "type": (2, "string"),
        "bottom": (3, "string*"),
        "top": (4, "string*"),
        "blobs": (7, "BlobProto*"),
        "concat_param": (104, "ConcatParameter"),
        "convolution_param": (106, "ConvolutionParameter"),
        "dropout_param": (108, "DropoutParameter"),
        "inner_product_param": (117, "InnerProductParameter"),
        "lrn_param": (118, "LRNParameter"),
        "pooling_param": (121, "PoolingParameter"),
        "relu_param": (123, "ReLUParameter"),
        "input_param": (143, "InputParameter"),
    },
    "V1LayerParameter": {
        "layer": (1, "V0LayerParameter"),
        "bottom": (2, "string*"),
        "top": (3, "string*"),
        "name": (4, "string"),
        "type": (5, "LayerType"),
        "blobs": (6, "BlobProto*"),
        "concat_param": (9, "ConcatParameter"),
        "convolution_param": (10, "ConvolutionParameter"),
        "dropout_param": (12, "DropoutParameter"),
        "inner_product_param": (17, "InnerProductParameter"),
        "lrn_param": (18, "LRNParameter"),
        "pooling_param": (19, "PoolingParameter"),
        "relu_param": (30, "ReLUParameter"),
    },
    # Name, type and blobs have Caffe's numbers. The parameters of the SPP-net release come from
    # a Caffe whose numbers were never published; they are ours, and only text is read by them.
    "V0LayerParameter": {
        "name": (1, "string"),
        "type": (2, "string"),
        "blobs": (50, "BlobProto*"),
        "concat_param": (2001, "ConcatParameter"),
        "conv_param": (2002, "ConvolutionParameter"),
        "dropout_param": (2003, "DropoutParameter"),
        "inner_product_param": (2004, "InnerProductParameter"),
        "lrn_param": (2005, "LRNParameter"),
        "pool_param": (2006, "PoolingParameter"),
        "relu_param": (2007, "ReLUParameter"),
    },
    "NetParameter": {
        "name": (1, "string"),
        "layers": (2, "V1LayerParameter*"),
        "input": (3, "string*"),
        "input_dim": (4, "int64*"),
        "input_shape": (8, "BlobShape*"),
        "layer": (100, "LayerParameter*"),
    },
}

# Names of the values of the enum `LayerType`, from 0.
LAYER_TYPES = (  # noqa: SIM905  one line each would be a page
    "NONE ACCURACY BNLL CONCAT CONVOLUTION DATA DROPOUT EUCLIDEAN_LOSS FLATTEN HDF5_DATA "
    "HDF5_OUTPUT IM2COL IMAGE_DATA INFOGAIN_LOSS INNER_PRODUCT LRN MULTINOMIAL_LOGISTIC_LOSS "
    "POOLING RELU SIGMOID SOFTMAX SOFTMAX_LOSS SPLIT TANH WINDOW_DATA ELTWISE POWER "
    "SIGMOID_CROSS_ENTROPY_LOSS HINGE_LOSS MEMORY_DATA ARGMAX THRESHOLD DUMMY_DATA SLICE MVN "
    "ABSVAL SILENCE CONTRASTIVE_LOSS EXP DECONVOLUTION"
).split()

_ENUMS = {
    "LayerType": LAYER_TYPES,
    "PoolMethod": ["MAX", "AVE", "STOCHASTIC"],
    "NormRegion": ["ACROSS_CHANNELS", "WITHIN_CHANNEL"],
}


def _describe_file() -> descriptor_pb2.FileDescriptorProto:
    """The descriptor that `protoc` would make from the tables."""
    types = descriptor_pb2.FieldDescriptorProto
    package = "spp_keras.caffe"
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package=package)
    for name, values in _ENUMS.items():
        # Each enum in a message of its own: names of values must differ within a scope.
        enum = file.message_type.add(name=f"{name}s").enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field_name, (number, type_name, *default) in fields.items():
            repeated = type_name.endswith("*")
            label = types.LABEL_REPEATED if repeated else types.LABEL_OPTIONAL
            type_name = type_name.removesuffix("*")
            field = message.field.add(name=field_name, number=number, label=label)
            if type_name in _ENUMS:
                field.type = types.TYPE_ENUM
                field.type_name = f".{package}.{type_name}s.{type_name}"
            elif type_name in _FIELDS:
                field.type, field.type_name = types.TYPE_MESSAGE, f".{package}.{type_name}"
            else:
                field.type = types.Type.Value(f"TYPE_{type_name.upper()}")
            if default:
                field.default_value = default[0]
    return file


# A pool of our own, apart from the messages of an installed Caffe.
POOL = descriptor_pool.DescriptorPool()
POOL.Add(_describe_file())
NetParameter = message_factory.GetMessageClass(
    POOL.FindMessageTypeByName("spp_keras.caffe.NetParameter")
)
