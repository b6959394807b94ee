"""The demo: train, evaluate, export, predict and report, in minutes."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import _checks, _files, evaluation, export, recipes, report, serving
from spp_keras.data import Records, image_reader, load_records
from spp_keras.report import training_status
from spp_keras.run_folder import RunFolder
from spp_keras.training import train_model

# Size of the warped images, and of the views in the evaluation.
_IMAGE_SIZE = 112
_NEEDED_BYTES = 2**30


def run_demo(output: str | Path, *, data: str = "shapes", epochs: int = 12) -> Path:
    """Trains ZF-5 with and without a pyramid, evaluates and exports, and writes a report.

    The network with a pyramid is trained on whole images at their own size, the other
    on images warped to squares. Table and report compare both, and say whether they had
    stopped learning: the default number of epochs is too small for that. A demo that was
    killed is resumed.

    Args:
        output: Folder for everything, the drawn data included.
        data: Data set of TensorFlow Datasets. Defaults to `"shapes"`, which is drawn.
        epochs: Epochs of both trainings. Defaults to 12, some minutes on two cores.

    Returns:
        The path of the report.
    """
    output = Path(output)
    _checks.at_least(epochs, 1, "epochs")
    _files.check_free_space(output, _NEEDED_BYTES)
    data_dir = str(output / "data")
    print(f"1. Drawing the images of {data!r} into {data_dir}")
    validation = load_records(data, "validation", data_dir)

    print("2. Training ZF-5 with a pyramid, each image at its own size")
    overrides = {"data": data, "data_dir": data_dir, "epochs": epochs}
    spp_run = output / "runs" / "zf5_spp"
    train_model(_read_recipe(overrides), spp_run)
    print("3. Training ZF-5 without a pyramid, every image warped to a square")
    warped_run = output / "runs" / "zf5"
    warped = {"model": "zf5", "size_policy": "warped", "image_sizes": [_IMAGE_SIZE]}
    train_model(_read_recipe(overrides | warped | {"longest_side": 0}), warped_run)

    print(f"4. Evaluating both on {len(validation)} validation images")
    table = _evaluate(spp_run, warped_run)
    _files.write_file(output / "tests.md", table + "\n")
    print(table)

    print("5. Exporting for TensorFlow Serving and as TFLite")
    saved_model, tflite = output / "saved_models" / "zf5_spp", output / "zf5_spp.tflite"
    for path in (saved_model, tflite):
        if not path.exists():
            export.export_model(RunFolder(spp_run), path)

    print("6. Predicting the tallest, the widest and a square image by all three")
    images = _write_images(validation, output / "images")
    models = {str(path.relative_to(output)): path for path in (spp_run, saved_model, tflite)}
    print(_predict(models, images))
    page = report.write_report(spp_run, compare=[warped_run])
    print(f"7. The report is {page}; next:")
    paths = [shlex.quote(str(path)) for path in (saved_model, output / "images", spp_run)]
    print(f"  {_find_command()} predict {paths[0]} {paths[1]}")
    print(f"  {_find_command()} app {paths[2]}")
    return page


def _read_recipe(overrides: Mapping[str, Any]) -> recipes.Recipe:
    return recipes.read_recipe("zf5_spp/shapes", task="classification", **overrides)


def _evaluate(spp_run: Path, warped_run: Path) -> str:
    """A table of both in Markdown, and whether they had stopped learning."""
    protocols = ["crop", "full", "10-view-map", "96-view+full"]
    warped = evaluation.evaluate(warped_run, "warp", view_size=_IMAGE_SIZE)
    spp = evaluation.evaluate(spp_run, protocols, view_size=_IMAGE_SIZE)
    table = evaluation.format_results([*warped["rows"], *spp["rows"]])
    return f"{table}\n\n{training_status.describe_training([warped_run, spp_run])}"


def _write_images(records: Records, folder: Path) -> list[tuple[Path, str]]:
    """The tallest, the widest and the squarest image as files, with their labels."""
    heights, widths = records.sizes.T.astype("float64")
    aspect = np.log(widths / heights)
    images = []
    for index in map(int, (np.argmin(aspect), np.argmax(aspect), np.argmin(np.abs(aspect)))):
        label = records.classes[records.labels[index]]
        path = folder / f"{label}-{widths[index]:.0f}x{heights[index]:.0f}.jpg"
        _files.write_file(path, image_reader.read_span(records.files, records.spans[index]))
        images.append((path, label))
    return images


def _predict(models: Mapping[str, Path], images: list[tuple[Path, str]]) -> str:
    lines = []
    for name, model in models.items():
        predict = serving.load_predictor(model, 1)
        for path, label in images:
            prediction = predict(path.read_bytes())
            answer = prediction.error or f"{prediction.labels[0]} {prediction.scores[0]:.3f}"
            lines.append(f"  {name:<20} {path.name:<24} {answer:<20} (is {label})")
    return "\n".join(lines)


def _find_command() -> str:
    """The command that starts `spp-keras` where its environment may not be active."""
    script = Path(sys.executable).with_name("spp-keras")
    if not script.exists():
        return shlex.join([sys.executable, "-m", "spp_keras.cli"])
    on_path = shutil.which("spp-keras")
    if on_path and Path(on_path).samefile(script):
        return "spp-keras"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))
