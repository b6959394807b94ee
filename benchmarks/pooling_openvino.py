"""The cases of OpenVINO and of ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import openvino
import openvino.opset13 as ops
import pooling_inputs as inputs
from pooling_torch import by_bin
from worker import THREADS, Prepared, case

_FOUR = "four tensors as they come, memory used again"
_ONE = "one tensor as ours, memory used again"


@case("whole", f"OpenVINO `AdaptiveMaxPool`, {inputs.FIRST}", "compiled for one size")
def _whole_first(setting: str) -> Prepared:
    x = _channels_first(inputs.maps(setting))
    parameter = ops.parameter(x.shape, np.float32)
    return _compiled([_concatenated([_grid(parameter, n) for n in inputs.LEVELS])], {parameter: x})


@case("whole", f"OpenVINO `AdaptiveMaxPool`, {inputs.GIVEN}", "compiled for one size")
def _whole_given(setting: str) -> Prepared:
    x = _channels_first(inputs.maps(setting))
    parameter = ops.parameter(x.shape, np.float32)
    return _compiled([_concatenated(_levels(_grid(parameter, 6)))], {parameter: x})


@case("windows", f"OpenVINO `ROIPooling`, {inputs.FIRST}", _FOUR)
def _windows_first(setting: str) -> Prepared:
    return _windows(setting, given=False, joined=False)


@case("windows", f"OpenVINO `ROIPooling`, {inputs.GIVEN}", _FOUR)
def _windows_given(setting: str) -> Prepared:
    return _windows(setting, given=True, joined=False)


@case("windows", f"OpenVINO `ROIPooling`, joined, {inputs.FIRST}", _ONE)
def _windows_joined_first(setting: str) -> Prepared:
    return _windows(setting, given=False, joined=True)


@case("windows", f"OpenVINO `ROIPooling`, joined, {inputs.GIVEN}", _ONE)
def _windows_joined_given(setting: str) -> Prepared:
    return _windows(setting, given=True, joined=True)


@case("windows", f"ONNX Runtime `MaxRoiPool`, {inputs.FIRST}", "four tensors as they come")
def _windows_onnx_first(setting: str) -> Prepared:
    return _windows_onnx(setting, [_roi_node(bins) for bins in inputs.LEVELS])


@case("windows", f"ONNX Runtime `MaxRoiPool`, {inputs.GIVEN}", "four tensors as they come")
def _windows_onnx_given(setting: str) -> Prepared:
    nodes = [_roi_node(6)]
    for bins, source in inputs.DERIVATIONS:
        window = [source // bins] * 2
        names = [f"level{source}"], [f"level{bins}"]
        nodes.append(onnx.helper.make_node("MaxPool", *names, kernel_shape=window, strides=window))
    return _windows_onnx(setting, nodes)


def _windows(setting: str, given: bool, joined: bool) -> Prepared:
    values = [_feature_map(), inputs.inclusive_rois(setting)]
    parameters = [ops.parameter(value.shape, np.float32) for value in values]

    def pooled(bins: int) -> openvino.Output:
        return ops.roi_pooling(*parameters, [bins, bins], 1.0, "max").output(0)

    grids = _levels(pooled(6)) if given else [pooled(bins) for bins in inputs.LEVELS]
    if joined:
        grids = [_concatenated(grids)]
    return _compiled(grids, dict(zip(parameters, values, strict=True)))


def _grid(x: openvino.op.Parameter, bins: int) -> openvino.Output:
    return ops.adaptive_max_pool(x, np.array([bins, bins], "int64"), "i32").output(0)


def _levels(finest: openvino.Output) -> list[openvino.Output]:
    grids = {6: finest}
    for bins, source in inputs.DERIVATIONS:
        window, none = [source // bins] * 2, [0, 0]
        grids[bins] = ops.max_pool(grids[source], window, [1, 1], none, none, window).output(0)
    return [grids[bins] for bins in inputs.LEVELS]


def _concatenated(grids: list[openvino.Output]) -> openvino.Output:
    flat = ops.constant(np.array([0, -1], "int64"))
    return ops.concat([ops.reshape(grid, flat, True) for grid in grids], 1).output(0)


def _compiled(
    results: list[openvino.Output], values: dict[openvino.op.Parameter, np.ndarray]
) -> Prepared:
    model = openvino.Model(results, list(values))
    # By default it rounds to bfloat16 where the processor has that.
    options = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(model, "CPU", options)
    request = compiled.create_infer_request()
    for number, value in enumerate(values.values()):
        request.set_input_tensor(number, openvino.Tensor(value))

    def call() -> openvino.InferRequest:
        request.infer()
        return request

    def answer(request: openvino.InferRequest) -> np.ndarray:
        return by_bin([request.get_output_tensor(i).data for i in range(len(results))])

    return Prepared(call, answer)


def _roi_node(bins: int) -> onnx.NodeProto:
    return onnx.helper.make_node(
        "MaxRoiPool", ["x", "rois"], [f"level{bins}"], pooled_shape=[bins] * 2
    )


def _windows_onnx(setting: str, nodes: list[onnx.NodeProto]) -> Prepared:
    values = {"x": _feature_map(), "rois": inputs.inclusive_rois(setting)}
    tensor, floats = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "pyramid",
        [tensor(name, floats, value.shape) for name, value in values.items()],
        [tensor(f"level{bins}", floats, None) for bins in inputs.LEVELS],
    )
    opsets = [onnx.helper.make_opsetid("", 16)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return Prepared(lambda: session.run(None, values), by_bin)


def _feature_map() -> np.ndarray:
    return _channels_first(inputs.feature_map()[np.newaxis])


def _channels_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
