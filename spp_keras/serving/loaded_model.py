"""A loaded model as a function of one image, and the SavedModels behind it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import tensorflow as tf

from spp_keras import model_repository
from spp_keras.data import backgrounds, image_conversion
from spp_keras.serving import image_inputs

Result = TypeVar("Result")


class LoadedModel(Generic[Result]):
    """A function from an image to a result.

    Args:
        function: Function from the bytes of an image file to the result.
        orientation: How the model orients image files: `"exif"`, as their EXIF orientation
            says, or `"file"`, as their pixels are stored.
        background: The color behind transparent images. Defaults to `"white"`.
        fail: Makes a result of the reason why a file cannot be converted. Defaults to `None`,
            the error is raised.

    Attributes:
        orientation: See above.
        background: See above.
    """

    def __init__(
        self,
        function: Callable[[bytes], Result],
        orientation: str,
        background: str = backgrounds.WHITE,
        fail: Callable[[str], Result] | None = None,
    ):
        self._function, self._fail = function, fail
        self.orientation, self.background = orientation, background

    def __call__(self, image: image_inputs.ImageLike) -> Result:
        """The result for an image.

        Args:
            image: The path of a file, the bytes of one, a PIL image, or an array of RGB
                pixels, uint8 `(height, width, 3)`. `FileNotFoundError` is raised if there
                is no file; what is wrong with a file is the `error` of the result.
        """
        try:
            return self._function(image_inputs.encode_image(image))
        except image_conversion.ConversionError as error:
            if self._fail is None:
                raise
            return self._fail(error.fault.reason)


def find_version(path: Path) -> Path | None:
    """The SavedModel of a path: itself, or the highest version in it; `None` if neither.

    Args:
        path: A SavedModel, a folder of its versions, or anything else.
    """
    version = path if (path / "saved_model.pb").is_file() else model_repository.latest_version(path)
    return version if version is not None and (version / "saved_model.pb").is_file() else None


def call_signature(
    signature: Callable[..., dict[str, Any]], **inputs: Any
) -> tuple[dict[str, Any], str | None]:
    """Calls a signature with one image file.

    Args:
        signature: A signature that takes `image_bytes`.
        **inputs: The inputs, without the batch axis.

    Returns:
        The outputs without the batch axis, and what is wrong with the file or `None`.
    """
    batch = {name: tf.convert_to_tensor(value)[tf.newaxis] for name, value in inputs.items()}
    try:
        outputs = signature(**batch)
    except tf.errors.InvalidArgumentError as error:
        return {}, _extract_reason(error.message)
    row = {name: value[0].numpy() for name, value in outputs.items()}
    if row.get("errors"):
        return {}, row["errors"].decode()
    return row, None


def _extract_reason(message: str) -> str:
    """The words of the graph about the only image, without those of TensorFlow around them."""
    return message.partition("`image_bytes` 0 ")[2].partition("]")[0] or message
