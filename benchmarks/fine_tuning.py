"""Fine-tunes a network with ImageNet weights on a few photographs: whole, cropped and warped.

    pip install '.[weights]' scikit-image
    python benchmarks/fine_tuning.py
    python benchmarks/fine_tuning.py --render    # the text again, from the JSON

Classes are the photographs that come with scikit-image; images are small parts of them, turned,
mirrored, scaled, of every aspect ratio. First the top is trained on frozen features, then the
whole network, by `spp_keras.fine_tune`. Squares have as many pixels as whole images on average.
The results are OUT/fine_tuning.json, and OUT/fine_tuning.md for the documents.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fine_tuning_tables as tables
import machines

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import keras
import numpy as np
import scikit_photographs
import skimage
import tensorflow as tf

import spp_keras
from spp_keras.data import Crop, Pipeline, Records, Warp, Whole, load_records
from spp_keras.zoo import efficientnet_lite0

_SHORT_SIDE, _BATCH_SIZE = 112, 16
_FOLDER = {"train": 6, "validation": 12, "areas": (0.01, 0.04)}
_LEVELS = (2, 1)
_TOP_EPOCHS, _EPOCHS = 60, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Fine-tunes in all ways with all seeds and writes both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default: 3)")
    machines.render_option(parser)
    machines.out_option(parser)
    options = parser.parse_args(arguments)
    if options.render:
        return machines.render(options.out / "fine_tuning", tables.markdown)
    began = machines.begin()
    machine = machines.describe("python benchmarks/fine_tuning.py")
    machine["versions"] |= {
        "spp_keras": spp_keras.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "scikit-image": skimage.__version__,
    }
    rows = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            scikit_photographs.make_folder(folder, seed=seed, **_FOLDER)
            records = [load_records(folder, split) for split in ("train", "validation")]
            for name, policies in _choose_policies(records[0]).items():
                rows.append({"name": name, "seed": seed, **_fine_tune(records, policies, seed)})
                machines.say(str(rows[-1]))
    machines.finish(machine, began)
    text = tables.markdown({"machine": machine, "rows": rows})
    machines.publish(options.out / "fine_tuning", machine, rows, text)
    return 0


def _choose_policies(train: Records) -> dict[str, tuple[Any, Any]]:
    """For training and validation."""
    whole = Whole(short_side=_SHORT_SIDE)
    side = round(np.sqrt(whole.output_sizes(train.sizes).prod(axis=1, dtype="int64").mean()))
    crop = {"image_sizes": (side,), "short_side": side}
    return {
        "whole": (whole, whole),
        "crop": (Crop(position="random", **crop), Crop(position="center", **crop)),
        "warp": (Warp(image_size=side),) * 2,
    }


def _fine_tune(records: Sequence[Records], policies: Sequence[Any], seed: int) -> dict[str, Any]:
    """Accuracies and seconds of both phases."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    train = Pipeline(records[0], policies[0], batch_size=_BATCH_SIZE, flip=True, seed=seed)
    validation = Pipeline(records[1], policies[1], batch_size=_BATCH_SIZE, shuffle=False)
    model = efficientnet_lite0(len(train.classes), weights="imagenet", levels=_LEVELS)
    clock, start = _Clock(), time.perf_counter()
    history = spp_keras.fine_tune(
        model,
        train,
        validation,
        top_epochs=_TOP_EPOCHS,
        epochs=_EPOCHS,
        seed=seed,
        callbacks=[clock],
        verbose=0,
    ).history
    end = time.perf_counter()
    epochs = [history["phase"].count(phase) for phase in ("top", "network")]
    best_of_top = int(np.argmin(history["val_loss"][: epochs[0]]))
    result = model.evaluate(validation, verbose=0, return_dict=True)
    accuracies = (history["val_accuracy"][best_of_top], result["accuracy"])
    return {
        "images": [len(part) for part in records],
        "classes": len(train.classes),
        "levels": _LEVELS,
        "accuracies": [round(float(accuracy), 4) for accuracy in accuracies],
        # Of the top with the vectors, and of the network.
        "seconds": [round(clock.ended[0] - start, 1), round(end - clock.ended[0], 1)],
        "epochs": epochs,
    }


class _Clock(keras.callbacks.Callback):
    """When each phase ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[float] = []

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.ended.append(time.perf_counter())


if __name__ == "__main__":
    sys.exit(main())
