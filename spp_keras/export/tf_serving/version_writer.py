"""Writing the next version of a model into a repository of TensorFlow Serving."""

import contextlib
import errno
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _files, model_repository
from spp_keras.export import graph_writer
from spp_keras.export.tf_serving import warm_up


def write_version(
    model: keras.Model,
    output: Path,
    labels: Sequence[str],
    signatures: Mapping[str, graph_writer.Signature],
    warm_up_size: int,
    orientation: str,
    background: str,
) -> Path:
    """Writes a version under a hidden name and renames it, so that no server loads a part of it.

    Args:
        model: Model whose variables the signatures use.
        output: Folder of the model in its repository.
        labels: Class names.
        signatures: The signatures by name.
        warm_up_size: Side of the square image in the warm-up requests.
        orientation: How the signatures orient image files, `"exif"` or `"file"`.
        background: The color behind transparent images.

    Returns:
        Path of the version's folder.
    """
    # Graph and labels beside the weights.
    _files.check_free_space(output, _count_bytes(model) + 10_000_000)
    version = output / str(max(model_repository.list_versions(output), default=0) + 1)
    with _translate_write_errors(), _files.create_folder(version) as folder:
        graph_writer.write_graph(model, signatures, folder)
        assets = folder / "assets"
        assets.mkdir(exist_ok=True)
        (assets / model_repository.LABELS).write_text("".join(f"{label}\n" for label in labels))
        (assets / model_repository.ORIENTATION).write_text(f"{orientation}\n")
        (assets / model_repository.BACKGROUND).write_text(f"{background}\n")
        requests = {
            name: warm_up.make_request(signature.inputs, warm_up_size)
            for name, signature in signatures.items()
        }
        warm_up.write_warm_up(folder, output.name, requests)
    model_repository.write_config(output.parent)
    return version


def _count_bytes(model: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) * weight.value.dtype.size for weight in model.weights)


@contextlib.contextmanager
def _translate_write_errors() -> Iterator[None]:
    """Turns errors of TensorFlow into `OSError`, and explains a version that exists by now."""
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
