"""What `serving.py` measures in one process: signatures of a SavedModel, TFLite files."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from serving_inputs import photographs
from worker import THREADS, Prepared, case, serve

from spp_keras import data, export, zoo
from spp_keras.data import image_ops as single

CLASSES = 1000
LONGEST_SIDE = 512
# Eight photographs of about 375x500, upright and lying, as one request.
SIZES = [(375, 500), (500, 375), (333, 500), (500, 333), (360, 480), (281, 500), (480, 360)]
SIZES.append((400, 500))
_SIDE = round((sum(height * width for height, width in SIZES) / len(SIZES)) ** 0.5)
_FOLDER = Path(tempfile.mkdtemp())
_WIDTHS = {"width 1": 1.0, "width 0.25": 0.25}


@functools.cache
def _network(setting: str) -> keras.Model:
    return zoo.zf5_spp(classes=CLASSES, width=_WIDTHS[setting])


@functools.cache
def _served(setting: str) -> dict[str, Any]:
    saved = export.export_model(
        _network(setting),
        _FOLDER / "models" / setting.replace(" ", "_"),
        labels=[str(number) for number in range(CLASSES)],
        size_policy=data.Whole(longest_side=LONGEST_SIDE),
    )
    loaded = tf.saved_model.load(str(saved))
    return {**loaded.signatures, "kept": loaded}


@functools.cache
def _files() -> tf.Tensor:
    return tf.constant(photographs(SIZES))


@case(
    "request", "ready pixels, one size", f"`uint8`, eight images of {_SIDE}x{_SIDE}, as many pixels"
)
def _ready(setting: str) -> Prepared:
    images = np.random.default_rng(0).integers(0, 256, (len(SIZES), _SIDE, _SIDE, 3), "uint8")
    images, asked = tf.constant(images), _served(setting)["uint8"]
    return Prepared(lambda: asked(images=images), pixels=len(SIZES))


@case("request", "bare decoding", "the files of `bytes`, decoded four at once and thrown away")
def _bare(setting: str) -> Prepared:
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def decode(files: Any) -> Any:
        return tf.map_fn(
            lambda file: tf.reduce_max(single.decode_image(file)),
            files,
            fn_output_signature=tf.uint8,
            parallel_iterations=4,
        )

    return Prepared(lambda: decode(_files()), pixels=len(SIZES))


@case("request", "`bytes`, mixed sizes", "eight files, each of its own size, to labels")
def _bytes(setting: str) -> Prepared:
    asked = _served(setting)["bytes"]
    return Prepared(lambda: asked(image_bytes=_files()), pixels=len(SIZES))


@case("request", "ready pixels, one by one", "`uint8`, eight requests, each of its own size")
def _one_by_one(setting: str) -> Prepared:
    images, asked = (
        [single.decode_image(file)[tf.newaxis] for file in _files()],
        _served(setting)["uint8"],
    )
    return Prepared(lambda: [asked(images=image) for image in images], pixels=len(SIZES))


@functools.cache
def _lite_file(form: str, size: tuple[int, int] | None) -> Path:
    path = _FOLDER / f"{form}-{size}.tflite"
    calibration = None
    if form == "int8":
        height, width = size or (375, 500)
        calibration = [
            single.decode_image(file).numpy() for file in photographs([(height, width)] * 20)
        ]
    return export.export_model(
        _network("width 1"),
        path,
        labels=[str(number) for number in range(CLASSES)],
        quantization="none" if form == "float32" else form,
        image_size=size,
        calibration_images=calibration,
    )


def _lite_case(form: str) -> Callable[[str], Prepared]:
    def prepare(setting: str) -> Prepared:
        from ai_edge_litert.interpreter import Interpreter

        sides, _, kind = setting.partition(", ")
        size = tuple(int(side) for side in sides.split("x"))
        path = _lite_file(form, None if kind == "resized" else size)
        interpreter = Interpreter(str(path), num_threads=THREADS)
        (images,) = interpreter.get_input_details()
        interpreter.resize_tensor_input(images["index"], (1, *size, 3))
        interpreter.allocate_tensors()
        pixels = np.random.default_rng(0).integers(0, 256, (1, *size, 3)).astype(images["dtype"])
        interpreter.set_tensor(images["index"], pixels)
        megabytes = path.stat().st_size / 1e6
        return Prepared(interpreter.invoke, pixels=1, remark=lambda: f"{megabytes:.1f} MB")

    return prepare


for _form in ("float32", "float16", "dynamic", "int8"):
    case("device", _form)(_lite_case(_form))


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    serve(["spp_keras", "tensorflow", "keras", "ai-edge-litert", "numpy"])
