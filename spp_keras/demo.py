"""Everything once, in minutes: train, test, export, ask, report."""

import shlex
import shutil
import sys
from pathlib import Path

import numpy as np

from spp_keras import _checks, _files, evaluation, export, recipes, report, serving, trained
from spp_keras.data import Records, image_reader, load_records
from spp_keras.report import training_status
from spp_keras.training import train_model

# Of the squares that the network without a pyramid sees, and of the views of the other.
_SIDE = 112
_NEEDED_GIB = 1.0


def run_demo(folder: str | Path, *, data: str = "shapes", epochs: int = 12) -> Path:
    """Trains ZF-5 with a pyramid and without, tests, exports and asks them, and writes a report.

    The one with a pyramid sees images at their own size, the other sees them warped to a
    square. Table and report have both, and say whether they had stopped learning: the default
    number of epochs is not enough for it. What is there already is not made again: a killed demo
    goes on.

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
    unseen = load_records(data, "validation", data_dir)

    print("2. Training ZF-5 with a pyramid, each image at its own size")
    common = {"data": data, "data_dir": data_dir, "epochs": epochs}
    pyramid = folder / "runs" / "zf5_spp"
    train_model(_recipe(common), pyramid)
    print("3. Training ZF-5 without one, every image warped to a square")
    warping = folder / "runs" / "zf5"
    square = {"model": "zf5", "sizes": "warped", "image_sizes": [_SIDE], "longest_side": 0}
    train_model(_recipe(common | square), warping)

    print(f"4. Testing both on {len(unseen)} photographs that they have not seen")
    text = _tested(pyramid, warping)
    _files.write_file(folder / "tests.md", text + "\n")
    print(text)

    print("5. Exporting for TensorFlow Serving and for TFLite")
    found = trained.load(pyramid)
    saved, lite = folder / "saved_models" / "zf5_spp", folder / "zf5_spp.tflite"
    if not saved.exists():
        export.export_model(found.network, saved, labels=found.labels, size_policy=found.view)
    if not lite.exists():
        export.export_model(found.network, lite, labels=found.labels, size_policy=found.view)

    print("6. Asking the run and both exports about the longest, the widest and a square one")
    photographs = _photographs(unseen, folder / "photographs")
    print(
        _answers({str(one.relative_to(folder)): one for one in (pyramid, saved, lite)}, photographs)
    )
    written = report.write_report(pyramid, compare=[warping])
    print(f"7. {written} shows it all; next:")
    model, run = shlex.quote(str(saved)), shlex.quote(str(pyramid))
    print(
        f"  {_command()} predict --model {model} {shlex.quote(str(folder / 'photographs'))}/*.jpg"
    )
    print(f"  {_command()} serve {run}")
    return written


def _recipe(changes: dict[str, object]) -> recipes.Recipe:
    settings = [f"{key}={value!r}" for key, value in changes.items()]
    return recipes.read_recipe("zf5_spp/shapes", settings)


def _tested(pyramid: Path, warping: Path) -> str:
    """One table of both, in Markdown, and how long they were trained."""
    rows = [
        *evaluation.evaluate(warping, "warp", side=_SIDE)["rows"],
        *evaluation.evaluate(pyramid, ["crop", "full", "10-view-map", "96-view+full"], side=_SIDE)[
            "rows"
        ],
    ]
    return f"{evaluation.format_results(rows)}\n\n{training_status.describe_training([warping, pyramid])}"


def _photographs(unseen: Records, folder: Path) -> list[tuple[Path, str]]:
    """The tallest, the widest and the squarest, as files, with what is on them."""
    heights, widths = unseen.sizes.T.astype("float64")
    aspect = np.log(widths / heights)
    chosen = [int(np.argmin(aspect)), int(np.argmax(aspect)), int(np.argmin(np.abs(aspect)))]
    written = []
    for number in chosen:
        label = unseen.classes[unseen.labels[number]]
        path = folder / f"{label}-{widths[number]:.0f}x{heights[number]:.0f}.jpg"
        _files.write_file(path, image_reader.read_span(unseen.files, unseen.spans[number]))
        written.append((path, label))
    return written


def _answers(models: dict[str, Path], photographs: list[tuple[Path, str]]) -> str:
    lines = []
    for name, model in models.items():
        ask = serving.load_predictor(model, top=1)
        for path, label in photographs:
            answer = ask(path.read_bytes())
            said = answer.error or f"{answer.labels[0]} {answer.scores[0]:.3f}"
            lines.append(f"  {name:<20} {path.name:<24} {said:<20} (is {label})")
    return "\n".join(lines)


def _command() -> str:
    """What starts `spp-keras` in the shell that started this, whose environment may be inactive."""
    script = Path(sys.executable).with_name("spp-keras")
    if not script.exists():
        return shlex.join([sys.executable, "-m", "spp_keras.cli"])
    found = shutil.which("spp-keras")
    if found and Path(found).samefile(script):
        return "spp-keras"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))


def _check_room(folder: Path) -> None:
    place = next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(place).free / 2**30
    if free < _NEEDED_GIB:
        raise OSError(
            f"{str(folder)!r} must have {_NEEDED_GIB:g} GiB free; there are {free:.2f}. Give "
            "another folder, or make room."
        )
