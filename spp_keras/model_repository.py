"""Names inside a repository of models that TensorFlow Serving reads, spelled here alone.

A repository holds a folder for each model, which holds a folder for each version,
named by a number: the server takes the highest and polls for a higher one.
"""

import re
from pathlib import Path

from spp_keras import _files

MODELS = "models.config"
BATCHING = "batching.config"
LABELS = "labels.txt"
ORIENTATION = "orientation.txt"
WARM_UP = "tf_serving_warmup_requests"
# Where the server's own container image looks for models.
SERVED_FROM = "/models"

# Endings by which other programs know their own files and folders of a model.
_OTHER_FORMS = (
    *(".onnx", ".keras", ".h5", ".hdf5", ".ckpt", ".npz", ".pb", ".pbtxt", ".meta"),
    *(".savedmodel", ".saved_model", ".tf", ".json", ".yaml", ".yml", ".txt", ".html", ".pkl"),
    *(".pickle", ".joblib", ".pt", ".pth", ".pt2", ".torchscript", ".safetensors", ".gguf"),
    *(".mlmodel", ".mlpackage", ".engine", ".plan", ".trt", ".xml", ".bin", ".lite", ".task"),
    *(".caffemodel", ".prototxt", ".params", ".mar", ".zip", ".gz", ".tgz", ".tar", ".whl"),
)
# What may lie beside models and is none.
_DOCUMENTS = {MODELS, BATCHING, "README.md"}


def read_orientation(version: Path) -> str:
    """Which way up a version of a model takes image files, `"exif"` or `"file"`.

    Args:
        version: Folder of the version.
    """
    path = version / "assets" / ORIENTATION
    # Models of 0.1.0 say nothing of EXIF and know nothing of it.
    return path.read_text().strip() if path.is_file() else "file"


def check_model_path(model: str | Path) -> None:
    """Raises unless a path is that of a model in a repository, or can become it."""
    model = Path(model)
    needed = "`to` must be REPOSITORY/MODEL, such as saved_models/zf5_spp"
    _check_ending(model)
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", model.name) or model.name.startswith("."):
        raise ValueError(
            f"{needed}, and must end in a name of letters, digits, '_', '-' and '.', since "
            f"clients put it into addresses. Received: to={str(model)!r}."
        )
    if re.fullmatch("[0-9]+", model.name):
        raise ValueError(
            f"{needed}: the version, a number, is chosen for you. Received: to={str(model)!r}."
        )
    if model.exists() and not _is_model(model):
        strange = [path.name for path in _seen(model) if not _is_version(path)]
        raise ValueError(
            f"{needed}. What is there is no folder of versions: it holds "
            f"{', '.join(map(repr, strange[:3]))}. Received: to={str(model)!r}."
        )
    repository = model.resolve().parent
    if repository.exists():
        for path in _seen(repository):
            if path.name not in _DOCUMENTS and not _is_model(path):
                raise ValueError(
                    f"{needed}. {str(repository)!r} is no repository: it holds {path.name!r}, "
                    "which is no model. Take a new folder, or one that holds models alone. "
                    f"Received: to={str(model)!r}."
                )


def list_versions(model: str | Path) -> list[int]:
    """Numbers of the versions of a model, ascending.

    Example:

    >>> list_versions("saved_models/none_yet")
    []
    """
    model = Path(model)
    return sorted(int(path.name) for path in _seen(model) if _is_version(path))


def latest_version(model: str | Path) -> Path | None:
    """The folder of the version that a server would load, or `None`."""
    found = [path for path in _seen(Path(model)) if _is_version(path)]
    return max(found, key=lambda path: int(path.name), default=None)


def write_config(repository: str | Path) -> None:
    """Writes `models.config`, which names every model there, and `batching.config`.

    What is in the second is the operator's: it is written once.
    """
    repository = Path(repository)
    names = sorted(path.name for path in _seen(repository) if path.is_dir() and list_versions(path))
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
# Written by `spp-keras export`: every model of this folder, as the server's container sees it.
# A server that is no container wants its own path in the place of /models.
"""
_BATCHING = """\
# For --enable_batching. Requests of files are joined whatever the sizes of their images, and each
# image's answer stays its answer alone; export with `--errors report`, or a file that is no image
# refuses all requests that were joined with its own. Requests of pixels that meet must have one
# size, or all of them fail. Never set `pad_variable_length_inputs`, which pads with a pixel.
# No request may hold more than `max_batch_size` images.
max_batch_size { value: 16 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 64 }
"""


def _check_ending(model: Path) -> None:
    ending = model.suffix.lower()
    if ending in _OTHER_FORMS:
        raise ValueError(
            "`to` must be a folder for TensorFlow Serving, such as saved_models/zf5_spp, or, for "
            f"`spp-keras export` and `export_tflite`, a file that ends in .tflite: {ending} is not "
            "written. A file of Keras is written by the network itself, "
            "`spp_keras.load_run(RUN).model.save('model.keras')`. "
            f"Received: to={str(model)!r}."
        )
    if ending == ".tflite":
        raise ValueError(
            "`to` must be a folder for TensorFlow Serving, such as saved_models/zf5_spp; a TFLite "
            "file is written by `export_tflite`, and by `spp-keras export` where the name ends in "
            f".tflite, in small letters. Received: to={str(model)!r}."
        )


def _seen(folder: Path) -> list[Path]:
    """What a folder holds, but for what is hidden, such as a version being written."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _is_version(path: Path) -> bool:
    return path.is_dir() and re.fullmatch("[0-9]+", path.name) is not None


def _is_model(path: Path) -> bool:
    return path.is_dir() and all(map(_is_version, _seen(path)))
