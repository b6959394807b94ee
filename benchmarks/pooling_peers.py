"""The cases that run in an environment of their own: PyTorch, ONNX Runtime, OpenVINO."""

import pooling_openvino  # noqa: F401 (registers its cases)
import pooling_torch  # noqa: F401
import torch
from worker import THREADS, serve

if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(False)
    serve(["torch", "torchvision", "onnxruntime", "openvino"])
