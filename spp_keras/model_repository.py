"""Names inside a model repository of TensorFlow Serving, spelled here alone.

A repository holds a folder for each model, which holds a folder for each version,
named by a number: the server loads the highest and polls for a higher one.
"""

import re
from pathlib import Path

from spp_keras import _files

MODELS = "models.config"
BATCHING = "batching.config"
LABELS = "labels.txt"
ORIENTATION = "orientation.txt"
BACKGROUND = "background.txt"
WARM_UP = "tf_serving_warmup_requests"
# Where the server's container image looks for models.
SERVED_FROM = "/models"

# Suffixes of models in the formats of other programs.
_OTHER_FORMATS = (
    *(".onnx", ".keras", ".h5", ".hdf5", ".ckpt", ".npz", ".pb", ".pbtxt", ".meta"),
    *(".savedmodel", ".saved_model", ".tf", ".json", ".yaml", ".yml", ".txt", ".html", ".pkl"),
    *(".pickle", ".joblib", ".pt", ".pth", ".pt2", ".torchscript", ".safetensors", ".gguf"),
    *(".mlmodel", ".mlpackage", ".engine", ".plan", ".trt", ".xml", ".bin", ".lite", ".task"),
    *(".caffemodel", ".prototxt", ".params", ".mar", ".zip", ".gz", ".tgz", ".tar", ".whl"),
)
# Files that may lie beside models.
_DOCUMENTS = {MODELS, BATCHING, "README.md"}


def read_orientation(version: Path) -> str:
    """How a version of a model orients image files, `"exif"` or `"file"`.

    Args:
        version: Folder of the version.
    """
    path = version / "assets" / ORIENTATION
    # Models of 0.1.0 have no such file and ignore EXIF.
    return path.read_text().strip() if path.is_file() else "file"


def read_background(version: Path) -> str:
    """The color that a version of a model has behind transparent images.

    Args:
        version: Folder of the version.
    """
    path = version / "assets" / BACKGROUND
    # Models of 0.1 show the colors that transparency hides, often white ones.
    return path.read_text().strip() if path.is_file() else "white"


def check_model_path(output: str | Path) -> None:
    """Raises unless a path is the folder of a model in a repository, or can become it.

    Args:
        output: The path.
    """
    path = Path(output)
    rule = "`output` must be REPOSITORY/MODEL, such as saved_models/zf5_spp"
    _check_suffix(path)
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", path.name) or path.name.startswith("."):
        raise ValueError(
            f"{rule}, and must end in a name of letters, digits, '_', '-' and '.', since "
            f"clients use it in URLs. Received: output={str(path)!r}."
        )
    if re.fullmatch("[0-9]+", path.name):
        raise ValueError(
            f"{rule}: the number of the version is chosen for you. Received: output={str(path)!r}."
        )
    if path.exists() and not _is_model(path):
        others = [entry.name for entry in _list_visible(path) if not _is_version(entry)]
        raise ValueError(
            f"{rule}. That folder exists and holds no versions, but "
            f"{', '.join(map(repr, others[:3]))}. Received: output={str(path)!r}."
        )
    repository = path.resolve().parent
    for entry in _list_visible(repository):
        if entry.name not in _DOCUMENTS and not _is_model(entry):
            raise ValueError(
                f"{rule}. {str(repository)!r} is no repository: it holds {entry.name!r}, "
                "which is no model. Take a new folder, or one that holds models alone. "
                f"Received: output={str(path)!r}."
            )


def list_versions(model: str | Path) -> list[int]:
    """Numbers of the versions of a model, ascending.

    Args:
        model: Folder of the model.

    Example:

    >>> list_versions("saved_models/none_yet")
    []
    """
    return sorted(int(path.name) for path in _list_visible(Path(model)) if _is_version(path))


def latest_version(model: str | Path) -> Path | None:
    """The folder of the version that a server would load, or `None`.

    Args:
        model: Folder of the model.
    """
    versions = [path for path in _list_visible(Path(model)) if _is_version(path)]
    return max(versions, key=lambda path: int(path.name), default=None)


def write_config(repository: str | Path) -> None:
    """Writes `models.config`, which lists the models, and `batching.config`.

    An existing `batching.config` is kept, since operators edit it.

    Args:
        repository: Folder of the repository.
    """
    repository = Path(repository)
    names = sorted(
        path.name for path in _list_visible(repository) if path.is_dir() and list_versions(path)
    )
    entries = [
        f'  config {{\n    name: "{name}"\n    base_path: "{SERVED_FROM}/{name}"\n'
        '    model_platform: "tensorflow"\n  }\n'
        for name in names
    ]
    text = f"model_config_list {{\n{''.join(entries)}}}\n"
    _files.write_file(repository / MODELS, _HEADING + text)
    if not (repository / BATCHING).exists():
        _files.write_file(repository / BATCHING, _BATCHING)


_HEADING = """\
# Written by `spp-keras export`: every model of this folder, at its path in the server's container.
# For a server outside a container, replace /models by the path of this folder.
"""
_BATCHING = """\
# For --enable_batching. Requests with files are batched whatever the sizes of their images, and the
# result for an image does not depend on the others. Export with `--on-error report`, or a file that
# cannot be decoded fails all requests of its batch. Requests with pixels must have one size, or all
# requests of their batch fail. Never set `pad_variable_length_inputs`: it pads with a pixel.
# No request may hold more than `max_batch_size` images.
max_batch_size { value: 16 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 64 }
"""


def _check_suffix(path: Path) -> None:
    suffix = path.suffix.lower()
    rule = "`output` must be a folder for TensorFlow Serving, such as saved_models/zf5_spp"
    if suffix in _OTHER_FORMATS:
        raise ValueError(
            f"{rule}, or a file that ends in .tflite: {suffix} is not written. For a Keras file, "
            "save the model itself: `spp_keras.load_run(RUN).model.save('model.keras')`. "
            f"Received: output={str(path)!r}."
        )
    if suffix == ".tflite":
        raise ValueError(
            f"{rule}; for a TFLite file, use `export_model`, with a name that ends in .tflite in "
            f"small letters. Received: output={str(path)!r}."
        )


def _list_visible(folder: Path) -> list[Path]:
    """The entries of a folder but for hidden ones, such as a version being written."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _is_version(path: Path) -> bool:
    return path.is_dir() and re.fullmatch("[0-9]+", path.name) is not None


def _is_model(path: Path) -> bool:
    return path.is_dir() and all(map(_is_version, _list_visible(path)))
