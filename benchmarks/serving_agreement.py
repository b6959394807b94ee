"""Agreement of the exports of a run with its network: a row of JSON for each export.

    python benchmarks/serving_agreement.py runs/zf5_spp-shapes

On the validation images of the run, each as the network sees it.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spp_keras import data, export, pretrained, serving
from spp_keras.data import image_reader, splits
from spp_keras.report import training_status
from spp_keras.run_folder import RunFolder

# Names of the rows, and the quantization of each.
QUANTIZATIONS = {"float32": "none", "float16": "float16", "dynamic": "dynamic", "int8": "int8"}


def main(path: str) -> int:
    """Exports a run to every target and compares the scores of every image."""
    run = RunFolder(pretrained.find_run(path))
    files, classes = _load_validation(run)
    count = len(run.labels)
    expected = _predict(serving.load_predictor(run, top_k=count), files, run.labels)
    with tempfile.TemporaryDirectory() as folder:
        exports = {
            "SavedModel": export.export_model(run, Path(folder) / "models" / "x", top_k=count)
        }
        for name, quantization in QUANTIZATIONS.items():
            output = Path(folder) / f"{name}.tflite"
            exports[f"TFLite, {name}"] = export.export_model(run, output, quantization=quantization)
        for name, exported in exports.items():
            scores = _predict(serving.load_predictor(exported, top_k=count), files, run.labels)
            row = {
                "images": len(files),
                "name": name,
                "same class": float((scores.argmax(1) == expected.argmax(1)).mean()),
                "largest difference": float(np.abs(scores - expected).max()),
                "right": float((scores.argmax(1) == classes).mean()),
                "right, network": float((expected.argmax(1) == classes).mean()),
                "training": training_status.describe_training([run.path]),
            }
            print(json.dumps(row), flush=True)
    return 0


def _load_validation(run: RunFolder) -> tuple[list[bytes], np.ndarray]:
    """The validation images and their classes."""
    recipe = run.recipe
    data_dir = recipe.data_dir or None
    split = recipe.validation_split or splits.choose_splits(recipe.data, data_dir)[1]
    records = data.load_records(recipe.data, split, data_dir, progress=False)
    reader = image_reader.ImageReader(records.files, records.spans)
    files = [reader.read(reader.row(index)).numpy() for index in range(len(records))]
    return files, records.labels


def _predict(
    predict: Callable[[bytes], serving.Prediction], files: list[bytes], labels: tuple[str, ...]
) -> np.ndarray:
    """Scores by class, a row for each image."""
    predictions = [predict(file) for file in files]
    scores = [dict(zip(p.labels, p.scores, strict=True)) for p in predictions]
    return np.array([[row[label] for label in labels] for row in scores])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="run of a classifier, or name of a trained one")
    sys.exit(main(parser.parse_args().run))
