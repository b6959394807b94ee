"""How far what was exported from a run agrees with the network: a row of JSON for each form.

    python benchmarks/serving_agreement.py runs/zf5_spp-shapes

On the validation images of the run, each as the network sees it.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spp_keras import data, export, recipes, run_folder, serving, trained
from spp_keras.data import image_reader, splits
from spp_keras.report import training_status


def main(run: str) -> int:
    """Exports in every form and asks each about every image."""
    found, (files, labels) = trained.load(run), _validation(run)
    expected = _scores(serving.load_predictor(run, top=len(found.labels)), files, found.labels)
    with tempfile.TemporaryDirectory() as folder:
        saved = export.export_model(
            found.network,
            Path(folder) / "models" / "x",
            labels=found.labels,
            size_policy=found.view,
            top_k=len(found.labels),
        )
        exported = {"SavedModel": saved}
        calibration = trained.sample(run, found.view)
        for form in ("float32", "float16", "dynamic", "int8"):
            exported[f"TFLite, {form}"] = export.export_model(
                found.network,
                Path(folder) / f"{form}.tflite",
                labels=found.labels,
                size_policy=found.view,
                quantization="none" if form == "float32" else form,
                calibration_images=calibration if form == "int8" else None,
            )
        for name, path in exported.items():
            ask = serving.load_predictor(path, top=len(found.labels))
            scores = _scores(ask, files, found.labels)
            row = {
                "images": len(files),
                "name": name,
                "same class": float((scores.argmax(1) == expected.argmax(1)).mean()),
                "largest difference": float(np.abs(scores - expected).max()),
                "right": float((scores.argmax(1) == labels).mean()),
                "right, network": float((expected.argmax(1) == labels).mean()),
                "training": training_status.describe_training([Path(run)]),
            }
            print(json.dumps(row), flush=True)
    return 0


def _validation(run: str) -> tuple[list[bytes], np.ndarray]:
    recipe = recipes.read_recipe(Path(run) / run_folder.RECIPE)
    data_dir = recipe.data_dir or None
    split = recipe.validation_split or splits.choose_splits(recipe.data, data_dir)[1]
    found = data.load_records(recipe.data, split, data_dir, progress=False)
    reader = image_reader.ImageReader(found.files, found.spans)
    files = [reader.read(reader.row(number)).numpy() for number in range(len(found))]
    return files, found.labels


def _scores(
    ask: Callable[[bytes], serving.Prediction], files: list[bytes], labels: tuple[str, ...]
) -> np.ndarray:
    """Scores by class, a row for each image."""
    answers = [ask(file) for file in files]
    return np.array(
        [[dict(zip(a.labels, a.scores, strict=True))[label] for label in labels] for a in answers]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
