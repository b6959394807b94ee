"""The cases that run in an environment of their own: PyTorch, ONNX Runtime, OpenVINO."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import openvino
import openvino.opset13 as ops
import pooling_inputs as inputs
import torch
import torchvision
from torch.nn.functional import adaptive_max_pool2d
from worker import THREADS, Prepared, case, serve


@case("whole", "PyTorch `adaptive_max_pool2d`", "channels last")
def _whole(setting: str) -> Prepared:
    x = _channels_last(inputs.maps(setting))
    return Prepared(lambda: _pyramid(x), _by_bin)


@case("whole", "OpenVINO `AdaptiveMaxPool`", "compiled for one size")
def _whole_openvino(setting: str) -> Prepared:
    x = _channels_first(inputs.maps(setting))
    parameter = ops.parameter(x.shape, np.float32)
    grids = [
        ops.adaptive_max_pool(parameter, np.array([bins, bins], "int64"), "i32").output(0)
        for bins in inputs.LEVELS
    ]
    return _openvino([_concatenated(grids)], {parameter: x})


@case("mixed", "PyTorch, one by one", "channels last, sixteen calls")
def _mixed(setting: str) -> Prepared:
    maps = [_channels_last(x[np.newaxis]) for x in inputs.mixed_maps()]
    return Prepared(lambda: torch.cat([_pyramid(x) for x in maps]), _by_bin)


@case("gradient", "PyTorch `adaptive_max_pool2d`", "channels last; the first of a tie has it all")
def _gradient(setting: str) -> Prepared:
    mixed = "mixed" in setting
    maps = [x[np.newaxis] for x in inputs.mixed_maps()] if mixed else [inputs.maps(setting)]
    maps = [_channels_last(x).requires_grad_() for x in maps]
    upstream = inputs.upstream(setting).reshape(-1, inputs.BINS, inputs.CHANNELS)
    parts = np.split(upstream, np.cumsum([bins**2 for bins in inputs.LEVELS])[:-1], axis=1)
    flat = [part.swapaxes(1, 2).reshape(len(part), -1) for part in parts]
    arriving = torch.from_numpy(np.concatenate(flat, axis=1)).split([len(x) for x in maps])

    def gradients() -> list[torch.Tensor]:
        with torch.enable_grad():
            return [
                torch.autograd.grad(_pyramid(x), x, slopes)[0]
                for x, slopes in zip(maps, arriving, strict=True)
            ]

    def answer(gradients: list[torch.Tensor]) -> np.ndarray:
        flat = [x.permute(0, 2, 3, 1).reshape(-1, inputs.CHANNELS) for x in gradients]
        return torch.cat(flat).numpy()

    return Prepared(gradients, answer)


@case("windows", "torchvision `roi_pool`", "four tensors as they come")
def _windows_torchvision(setting: str) -> Prepared:
    x = torch.from_numpy(_feature_map())
    rois = torch.from_numpy(inputs.inclusive_rois(setting))
    return Prepared(
        lambda: [torchvision.ops.roi_pool(x, rois, bins) for bins in inputs.LEVELS], _by_bin
    )


@case("windows", "PyTorch, one by one", "crops through `adaptive_max_pool2d`, channels last")
def _windows_torch(setting: str) -> Prepared:
    x = _channels_last(inputs.feature_map()[np.newaxis])
    edges = inputs.windows(setting).tolist()
    return Prepared(
        lambda: torch.cat([_pyramid(x[:, :, t:b, left:right]) for t, left, b, right in edges]),
        _by_bin,
    )


@case("windows", "ONNX Runtime `MaxRoiPool`", "four tensors as they come")
def _windows_onnx(setting: str) -> Prepared:
    values = {"x": _feature_map(), "rois": inputs.inclusive_rois(setting)}
    tensor, floats = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    nodes = [
        onnx.helper.make_node(
            "MaxRoiPool", ["x", "rois"], [f"level{bins}"], pooled_shape=[bins] * 2
        )
        for bins in inputs.LEVELS
    ]
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
    return Prepared(lambda: session.run(None, values), _by_bin)


@case("windows", "OpenVINO `ROIPooling`", "four tensors as they come, memory used again")
def _windows_openvino(setting: str) -> Prepared:
    return _windows_in_openvino(setting, concatenated=False)


@case("windows", "OpenVINO `ROIPooling`, joined", "one tensor as ours, memory used again")
def _windows_openvino_joined(setting: str) -> Prepared:
    return _windows_in_openvino(setting, concatenated=True)


@case("windows", "floor: PyTorch `fill_`", "the same, into memory in hand")
def _windows_floor(setting: str) -> Prepared:
    memory = torch.empty((len(inputs.windows(setting)), inputs.BINS * inputs.CHANNELS))
    return Prepared(lambda: memory.fill_(1))


def _windows_in_openvino(setting: str, concatenated: bool) -> Prepared:
    values = [_feature_map(), inputs.inclusive_rois(setting)]
    parameters = [ops.parameter(value.shape, np.float32) for value in values]
    grids = [
        ops.roi_pooling(*parameters, [bins, bins], 1.0, "max").output(0) for bins in inputs.LEVELS
    ]
    if concatenated:
        grids = [_concatenated(grids)]
    return _openvino(grids, dict(zip(parameters, values, strict=True)))


def _openvino(
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
        return _by_bin([request.get_output_tensor(i).data for i in range(len(results))])

    return Prepared(call, answer)


def _concatenated(grids: list[openvino.Output]) -> openvino.Output:
    flat = ops.constant(np.array([0, -1], "int64"))
    return ops.concat([ops.reshape(grid, flat, True) for grid in grids], 1).output(0)


def _pyramid(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([adaptive_max_pool2d(x, bins).flatten(1) for bins in inputs.LEVELS], 1)


def _by_bin(result: torch.Tensor | np.ndarray | Sequence[torch.Tensor | np.ndarray]) -> np.ndarray:
    """One tensor or one a level, channels first, as `(items, bins, channels)`."""
    tensors = result if isinstance(result, list) else [result]
    vectors = np.concatenate([np.asarray(t).reshape(len(t), -1) for t in tensors], axis=1)
    parts = np.split(
        vectors, np.cumsum([bins**2 * inputs.CHANNELS for bins in inputs.LEVELS])[:-1], axis=1
    )
    grids = [part.reshape(len(part), inputs.CHANNELS, -1).swapaxes(1, 2) for part in parts]
    return np.concatenate(grids, axis=1)


def _feature_map() -> np.ndarray:
    return _channels_first(inputs.feature_map()[np.newaxis])


def _channels_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def _channels_last(x: np.ndarray) -> torch.Tensor:
    # A view of NumPy's may have a stride of 0 for a batch of one: then PyTorch takes the slow way.
    tensor = torch.from_numpy(x).permute(0, 3, 1, 2)
    return tensor.clone(memory_format=torch.channels_last)


if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(False)
    serve(["torch", "torchvision", "onnxruntime", "openvino"])
