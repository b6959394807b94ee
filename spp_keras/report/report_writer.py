"""The report about a run: one HTML file."""

from collections.abc import Sequence
from pathlib import Path

from spp_keras import _checks, _files, run_folder
from spp_keras.report import classifier_report, detector_report, html
from spp_keras.run_folder import RunFolder


def write_report(
    run: str | Path,
    output: str | Path | None = None,
    *,
    repeats: Sequence[str | Path] = (),
    compare: Sequence[str | Path] = (),
    data: str = "",
    data_dir: str = "",
    split: str = "",
    images: int | None = None,
) -> Path:
    """Writes a report about a run, one HTML file with all its pictures.

    Of a classifier: facts, test results with confidence intervals, learning curves, what
    the pyramid responds to, correct and wrong predictions and the confusion matrix. Of a
    detector: its average precision and detections. The page loads nothing from elsewhere.
    It has some hundred kilobytes; of a detector, some fifty for each image.

    Args:
        run: Folder that `spp-keras train` or `spp-keras train-detector` made.
        output: Path of the file, ending in `.html`. Defaults to `report.html` in the folder.
        repeats: Folders of the same training with other seeds, whose tests are averaged
            with those of this run. Defaults to none.
        compare: Folders of other trainings, whose tests on the same images are shown in the
            same table. Defaults to none.
        data: Image folder or data set to predict. Defaults to what the run
            was tested on in training.
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `""`.
        split: Split of the data. Defaults to that for validation.
        images: Number of images, 0 for none. Defaults to 600; of a detector, which
            has them all drawn, to 12.

    Returns:
        The path of the file.

    Example:

    >>> import tempfile
    >>> from spp_keras import detection
    >>> run = Path(tempfile.mkdtemp())
    >>> trunk, vectors = zf5_spp(include_top=False, width=0.0625), keras.Input((16,))
    >>> head = keras.Model(vectors, keras.layers.Dense(2, "sigmoid")(vectors))
    >>> detection.Detector(
    ...     trunk, head, labels=["cat", "dog"], grid=(16, 14), levels=(1,), scales=(120,)
    ... ).save(run / "detector.keras")
    >>> write_report(run).read_text().splitlines()[0]
    '<!doctype html>'
    """
    folder = RunFolder(run)
    output = folder / run_folder.REPORT if output is None else Path(output)
    if output.suffix.lower() != ".html" or output.is_dir():
        raise ValueError(
            f"`output` must be a file ending in .html. Received: output={str(output)!r}."
        )
    if images is not None:
        _checks.at_least(images, 0, "images")
    options = {"data": data, "data_dir": data_dir, "split": split}
    if (folder / run_folder.DETECTOR).is_file() or (folder.exists and folder.is_detector):
        for name, runs in (("repeats", repeats), ("compare", compare)):
            if runs:
                raise ValueError(
                    f"`{name}` is for runs of classifiers, and this is a detector's: leave it "
                    f"out. Received: {name}={[str(path) for path in runs]}."
                )
        sections = detector_report.sections(
            folder.path, 12 if images is None else images, **options
        )
    else:
        count = 600 if images is None else images
        paths = ([Path(path) for path in runs] for runs in (repeats, compare))
        seeds, others = paths
        sections = classifier_report.sections(folder.path, seeds, others, count, **options)
    _files.write_file(output, html.render_document(folder.path.resolve().name, sections))
    return output
