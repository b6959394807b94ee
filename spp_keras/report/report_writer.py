"""Run folder in, one HTML file out."""

from collections.abc import Sequence
from pathlib import Path

from spp_keras import _checks, _files, run_folder
from spp_keras.report import classifier_report, detector_report, html
from spp_keras.run_folder import RunFolder


def write_report(
    run: str | Path,
    to: str | Path | None = None,
    *,
    repeats: Sequence[str | Path] = (),
    compare: Sequence[str | Path] = (),
    data: str = "",
    data_dir: str = "",
    split: str = "",
    images: int | None = None,
) -> Path:
    """Writes what is known of a run into one HTML file, photographs included.

    Of a network: facts, tests with their spread, curves, what the pyramid sees, right and
    wrong examples, and which classes are taken for which. Of a detector: its average
    precision and what it finds. The file needs no other file and asks no host for anything.
    It has some hundred kilobytes; of a detector, some fifty for each photograph.

    The network is asked about validation images as `spp-keras predict` would show them.
    Scores are kept in the run folder, as `spp_keras.evaluation.protocol_evaluation` keeps those of
    `"full"`, so that neither makes again what the other has made.

    Args:
        run: Folder that `spp-keras train` or `spp-keras train-detector` made.
        to: Path of the file, ending in `.html`. Defaults to `report.html` in the folder.
        repeats: Folders of the same training with other seeds, whose tests are averaged
            with those of this run. Defaults to none.
        compare: Folders of other trainings, whose tests on the same images are shown in the
            same table. Defaults to none.
        data: Folder or data set to take photographs from. Defaults to what the run
            was tested on in training.
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `""`.
        split: Split to take them from. Defaults to that for validation.
        images: How many to look at, 0 for none. Defaults to 600; of a detector, which
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
    run = Path(run)
    to = run / run_folder.REPORT if to is None else Path(to)
    if to.suffix.lower() != ".html" or to.is_dir():
        raise ValueError(f"`to` must be a file ending in .html. Received: to={str(to)!r}.")
    if images is not None:
        _checks.at_least(images, 0, "images")
    chosen = {"data": data, "data_dir": data_dir, "split": split}
    run_files = RunFolder(run)
    if (run / run_folder.DETECTOR).is_file() or (run_files.exists and run_files.is_detector):
        for name, others in (("repeats", repeats), ("compare", compare)):
            if others:
                raise ValueError(
                    f"`{name}` is for runs that name photographs, and this is that of a detector: "
                    f"leave it out. Received: {name}={[str(one) for one in others]}."
                )
        sections = detector_report.sections(run, 12 if images is None else images, **chosen)
    else:
        count = 600 if images is None else images
        seeds, others = ([Path(one) for one in given] for given in (repeats, compare))
        sections = classifier_report.sections(run, seeds, others, count, **chosen)
    _files.write_file(to, html.render_document(run.resolve().name, sections))
    return to
