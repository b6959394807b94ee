"""Everything once, in minutes: train, test, export, ask, report."""

import shutil
from pathlib import Path

import numpy as np

from spp_keras import _checks, _files, evaluation, export, report, serving, trained
from spp_keras.data import Records, load, reading
from spp_keras.training import train
from spp_keras.zoo import recipes

# Of the squares that the network without a pyramid sees, and of the views of the other.
_SIDE = 112
_NEEDED_GIB = 1.0


def demo(folder: str | Path, *, data: str = "shapes", epochs: int = 12) -> Path:
    """Trains ZF-5 with a pyramid and without, tests, exports and asks them, and writes a report.

    The one with a pyramid sees images at their own size, the other sees them warped to a
    square. What is there already is not made again: a killed demo goes on.

    Args:
        folder: Folder for everything, the drawn data included.
        data: Data set of TensorFlow Datasets. Defaults to `"shapes"`, which is drawn.
        epochs: Of both trainings. Defaults to 12, some minutes on two cores.

    Returns:
        The HTML file of the report.
    """
    folder = Path(folder)
    _checks.at_least(epochs, 1, "epochs")
    _check_room(folder)
    data_dir = str(folder / "data")
    print(f"1. Drawing the photographs of {data!r} into {data_dir}")
    unseen = load(data, "validation", data_dir)

    print("2. Training ZF-5 with a pyramid, each image at its own size")
    common = {"data": data, "data_dir": data_dir, "epochs": epochs}
    pyramid = folder / "runs" / "zf5_spp"
    train(_recipe(common), pyramid)
    print("3. Training ZF-5 without one, every image warped to a square")
    warping = folder / "runs" / "zf5"
    square = {"model": "zf5", "sizes": "warped", "image_sizes": [_SIDE], "longest_side": 0}
    train(_recipe(common | square), warping)

    print(f"4. Testing both on {len(unseen)} photographs that they have not seen")
    table = _tested(pyramid, warping)
    _files.write(folder / "tests.md", table + "\n")
    print(table)

    print("5. Exporting for TensorFlow Serving and for TFLite")
    found = trained.load(pyramid)
    saved, lite = folder / "saved_models" / "zf5_spp", folder / "zf5_spp.tflite"
    if not saved.exists():
        export.save(found.network, saved, labels=found.labels, view=found.view)
    if not lite.exists():
        export.save_tflite(found.network, lite, labels=found.labels, view=found.view)

    print("6. Asking the run and both exports about the longest, the widest and a square one")
    print(_answers([pyramid, saved, lite], _photographs(unseen, folder / "photographs")))
    written = report.write(pyramid)
    print(f"7. {written} shows it all; next:")
    print(f"  spp-keras predict --model {saved} {folder / 'photographs'}/*.jpg")
    print(f"  spp-keras serve {pyramid}")
    return written


def _recipe(changes: dict[str, object]) -> recipes.Recipe:
    settings = [f"{key}={value!r}" for key, value in changes.items()]
    return recipes.read("zf5_spp/shapes", settings)


def _tested(pyramid: Path, warping: Path) -> str:
    """One table of both, in Markdown."""
    rows = [
        *evaluation.evaluate(warping, "warp", side=_SIDE)["rows"],
        *evaluation.evaluate(pyramid, ["crop", "full", "10-view-map", "96-view+full"], side=_SIDE)[
            "rows"
        ],
    ]
    return evaluation.table(rows)


def _photographs(unseen: Records, folder: Path) -> list[tuple[Path, str]]:
    """The tallest, the widest and the squarest, as files, with what is on them."""
    heights, widths = unseen.sizes.T.astype("float64")
    aspect = np.log(widths / heights)
    chosen = [int(np.argmin(aspect)), int(np.argmax(aspect)), int(np.argmin(np.abs(aspect)))]
    written = []
    for number in chosen:
        label = unseen.classes[unseen.labels[number]]
        path = folder / f"{label}-{widths[number]:.0f}x{heights[number]:.0f}.jpg"
        _files.write(path, reading.read_span(unseen.files, unseen.spans[number]))
        written.append((path, label))
    return written


def _answers(models: list[Path], photographs: list[tuple[Path, str]]) -> str:
    lines = []
    for model in models:
        ask = serving.load(model, top=1)
        for path, label in photographs:
            answer = ask(path.read_bytes())
            said = answer.error or f"{answer.labels[0]} {answer.scores[0]:.3f}"
            lines.append(f"  {model.name:<16} {path.name:<24} {said:<20} (is {label})")
    return "\n".join(lines)


def _check_room(folder: Path) -> None:
    place = next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(place).free / 2**30
    if free < _NEEDED_GIB:
        raise OSError(
            f"{str(folder)!r} must have {_NEEDED_GIB:g} GiB free; there are {free:.2f}. Give "
            "another folder, or make room."
        )
