"""Images in the page."""

import base64
import io

import numpy as np
from PIL import Image

from spp_keras.report import html

_QUALITY = 82


def data_uri(pixels: np.ndarray, longest: int) -> str:
    """An image as JPEG in a `data:` address, its aspect kept.

    Args:
        pixels: uint8 `(height, width, 3)`.
        longest: Pixels that its longer side may have. A smaller one stays as it is.

    Example:

    >>> data_uri(np.zeros((30, 40, 3), "uint8"), 20)[:23]
    'data:image/jpeg;base64,'
    """
    picture, file = Image.fromarray(pixels), io.BytesIO()
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    picture.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def read_image(pixels: np.ndarray, longest: int, alt: str) -> html.Markup:
    """An element that shows an image at its own aspect.

    Args:
        pixels: As for `data_uri`.
        longest: As for `data_uri`.
        alt: What is on it, in words.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, longest / max(height, width))
    return html.tag(
        "img",
        src=data_uri(pixels, longest),
        alt=alt,
        width=max(1, round(width * scale)),
        height=max(1, round(height * scale)),
    )
