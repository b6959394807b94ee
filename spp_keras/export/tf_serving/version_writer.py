"""The next version of a model in a repository that TensorFlow Serving reads."""

import contextlib
import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _files, model_repository
from spp_keras.export.tf_serving import classifier_signatures, graph_writer, warm_up


def write_version(
    model: keras.Model,
    to: Path,
    labels: Sequence[str],
    asked: dict[str, classifier_signatures.Signature],
    side: int,
    orientation: str,
) -> Path:
    """Writes it aside and renames it, so that a server finds all of it or nothing.

    Args:
        model: Model whose variables the signatures use.
        to: Folder of the model in its repository.
        labels: Name of each class.
        asked: The signatures by name.
        side: Of the square image that each is asked about before it serves.
        orientation: Which way up the signatures take image files, `"exif"` or `"file"`.

    Returns:
        Path of the version's folder.
    """
    # Graph and labels beside the weights.
    _files.check_free_space(to, _count_bytes(model) + 10_000_000)
    folder = to / str(max(model_repository.list_versions(to), default=0) + 1)
    with _errors_of_the_disk(), _files.create_folder(folder) as beside:
        graph_writer.write_graph(model, asked, beside)
        (beside / "assets").mkdir(exist_ok=True)
        (beside / "assets" / model_repository.LABELS).write_text(
            "".join(f"{one}\n" for one in labels)
        )
        (beside / "assets" / model_repository.ORIENTATION).write_text(f"{orientation}\n")
        requests = {name: warm_up.make_request(one.inputs, side) for name, one in asked.items()}
        warm_up.write_warm_up(beside, to.name, requests)
    model_repository.write_config(to.parent)
    return folder


def _count_bytes(model: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) * weight.value.dtype.size for weight in model.weights)


@contextlib.contextmanager
def _errors_of_the_disk() -> Iterator[None]:
    """Errors of TensorFlow as Python's, and of a name that another export took first."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"the model could not be written: {error.message}") from error
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise OSError(
                f"{error.filename2} was made by another export meanwhile: run this one again."
            ) from error
        raise
