"""A loaded model as a function of one image."""

from collections.abc import Callable
from typing import Generic, TypeVar

from spp_keras.serving import image_inputs

Result = TypeVar("Result")


class LoadedModel(Generic[Result]):
    """A function from an image to a result.

    Args:
        function: Function from the bytes of an image file to the result.
        orientation: How the model orients image files: `"exif"`, as their EXIF orientation
            says, or `"file"`, as their pixels are stored.

    Attributes:
        orientation: See above.
    """

    def __init__(self, function: Callable[[bytes], Result], orientation: str):
        self._function, self.orientation = function, orientation

    def __call__(self, image: image_inputs.ImageLike) -> Result:
        """The result for an image.

        Args:
            image: The path of a file, the bytes of one, a PIL image, or an array of RGB
                pixels, uint8 `(height, width, 3)`. `FileNotFoundError` is raised if there
                is no file; what is wrong with a file is the `error` of the result.
        """
        return self._function(image_inputs.encode_image(image))
