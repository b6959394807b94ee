"""Whether an image can be used, found out by decoding it as training will.

Pillow reads the header, which costs nothing and bounds what comes next;
`tf.io.decode_image` then decodes the whole, since what it cannot decode would
stop an epoch.
"""

import collections
import io
import os
import re
import warnings
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from spp_keras.data import byte_strings, exif, image_formats, image_reader, webp
from spp_keras.data.sources import Candidate

# The classes and not `PIL.Image.open`, which warns of large images before it can be asked how
# large they are.
_READERS = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
UNSUPPORTED_BMP = "is a BMP image of a kind TensorFlow gets wrong: convert it to JPEG"
ANIMATED_WEBP = "is an animated WebP image: convert it to JPEG"
_MODES = {
    "1": "gray",
    "L": "gray",
    "LA": "alpha",
    "RGBA": "alpha",
    "P": "palette",
    "CMYK": "CMYK",
    "I;16": "16-bit",
    "I": "16-bit",
}


class ImageLimits(NamedTuple):
    """What an image must be to be used.

    Args:
        min_side: Pixels that the shorter side must have. Defaults to `16`.
        max_pixels: Pixels that it may have. Nothing beyond the header is read
            of an image that has more. Defaults to `64_000_000`.
        max_aspect: How many times as long as the shorter side the longer side
            may be. Defaults to `16`.
    """

    min_side: int = 16
    max_pixels: int = 64_000_000
    max_aspect: float = 16


class Inspection(NamedTuple):
    """What an image is, or why it cannot be used.

    Args:
        size: Height and width as decoded, upright.
        converted: What it was before it was turned to RGB: `"gray"`,
            `"palette"`, `"CMYK"`, `"16-bit"`, `"alpha"` or `"animated"`;
            `None` if it was RGB.
        reason: Why it cannot be used; `None` if it can.
        orientation: EXIF orientation by which its pixels have to be turned, 1 to 8; 1 if it
            is taken as it lies in the file.
    """

    size: tuple[int, int] = (0, 0)
    converted: str | None = None
    reason: str | None = None
    orientation: int = 1


def inspect_image(
    image: bytes,
    limits: ImageLimits = ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
) -> Inspection:
    """Tells whether an encoded image can be used, and what it is.

    JPEG, PNG, GIF, BMP and WebP can, where TensorFlow turns them into the right RGB:
    gray, palette, CMYK, 16 bits (the upper eight), alpha (dropped), the first
    frame of an animation. It gets palettes in BMP wrong, cuts GIF frames
    smaller than their canvas out of it and cannot be trusted with animations in WebP, so
    these are refused.

    Args:
        image: Bytes of the encoded image.
        limits: What it must be. Defaults to `Limits()`.
        orientation: `"exif"` turns the image as its EXIF orientation says; `"file"` takes
            its pixels as they lie in the file. Defaults to `"exif"`.

    Returns:
        A `Inspection`.

    Example:

    >>> gray = tf.io.encode_png(tf.zeros((20, 30, 1), "uint8")).numpy()
    >>> inspect_image(gray)
    Finding(size=(20, 30), converted='gray', reason=None, orientation=1)
    >>> inspect_image(b"Not found").reason
    'is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG'
    """
    if not image:
        return Inspection(reason="is empty")
    kind = image_formats.detect_format(image)
    if kind is None:
        return Inspection(reason=image_formats.REFUSAL)
    reason = _unusable_webp(image, limits) if kind == "WebP" else None
    if reason:
        return Inspection(reason=reason)
    try:
        header = _READERS[kind](io.BytesIO(image))
        size = (header.height, header.width)
        converted = _conversion(header, image)
    # Damaged bytes raise whatever they happen to hit, struct.error and IndexError too.
    except Exception as error:
        return Inspection(reason=f"has a header that is cut short or damaged: {error}")
    # By the same operations as inside exported graphs, so that sizes and pixels always agree.
    turn = 1 if orientation == "file" else int(exif.read_orientation_compiled(image))
    upright = size if turn < 5 else size[::-1]
    reason = _out_of_limits(upright, limits)
    if reason:
        return Inspection(reason=reason)
    try:
        with tf.device("CPU:0"):
            # An image with alpha in WebP must be asked for all of its channels.
            channels = 0 if kind == "WebP" else 3
            decoded = tf.io.decode_image(image, channels, expand_animations=False)[..., :3]
    except tf.errors.OpError as error:
        return Inspection(reason=f"is cut short or damaged: {_message(error)}")
    if tuple(decoded.shape) != (*size, 3):
        return Inspection(
            reason=f"has {size[0]}x{size[1]} pixels, of which TensorFlow decodes "
            f"{'x'.join(str(side) for side in decoded.shape[:2])}: convert it to JPEG"
        )
    if header.format == "BMP" and not _is_same(header, decoded):
        return Inspection(reason=UNSUPPORTED_BMP)
    return Inspection(upright, converted, None, turn)


def inspect_images(
    candidates: Iterable[Candidate],
    files: Sequence[str],
    limits: ImageLimits = ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
) -> Generator[tuple[Candidate, Inspection], None, None]:
    """Inspects images in threads, in order, a few ahead of what is asked for.

    Args:
        candidates: The images. What the source gave up on is passed on.
        files: Paths of the files that their spans number.
        limits: What each must be. Defaults to `Limits()`.
        orientation: As for `inspect_image`. Defaults to `"exif"`.

    Returns:
        An iterator over pairs of candidate and `Inspection`.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "text.jpg"
    >>> _ = path.write_text("Not found")
    >>> [(_, finding)] = inspect_images([Candidate("text", (0, 0, 9))], [str(path)])
    >>> finding.reason
    'is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG'
    """
    threads = os.cpu_count() or 1
    ahead: collections.deque = collections.deque()
    with ThreadPoolExecutor(threads) as pool, warnings.catch_warnings():
        # Of notes that cameras left, which nobody here reads.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            for candidate in candidates:
                work = pool.submit(_inspect_candidate, candidate, files, limits, orientation)
                ahead.append((candidate, work))
                if len(ahead) > 4 * threads:
                    first, finding = ahead.popleft()
                    yield first, finding.result()
            while ahead:
                first, finding = ahead.popleft()
                yield first, finding.result()
        finally:
            for _, finding in ahead:
                finding.cancel()


def _inspect_candidate(
    candidate: Candidate,
    files: Sequence[str],
    limits: ImageLimits,
    orientation: str,
) -> Inspection:
    if candidate.reason:
        return Inspection(reason=candidate.reason)
    length = candidate.span[2]
    # Of 16-bit RGBA, the longest there is, uncompressed.
    if length > 8 * limits.max_pixels:
        return Inspection(reason=f"has {length} bytes, too many for {limits.max_pixels} pixels")
    try:
        image = image_reader.read_span(files, candidate.span)
    except OSError as error:
        return Inspection(reason=f"cannot be read: {error.strerror}")
    return inspect_image(image, limits, orientation)


def _unusable_webp(image: bytes, limits: ImageLimits) -> str | None:
    """Why not even the header of a WebP image can be left to decoders."""
    with tf.device("CPU:0"):
        header = byte_strings.read_bytes(
            tf.constant(image[: webp.HEADER_BYTES]), 0, webp.HEADER_BYTES
        )
        if webp.is_animated(header):
            return ANIMATED_WEBP
        # Pillow takes memory for the pixels before it can be asked for the size.
        height, width = webp.read_size(header).numpy().tolist()
    if height * width > limits.max_pixels:
        return _out_of_limits((height, width), limits)
    return None


def _conversion(header: Any, image: bytes) -> str | None:
    if getattr(header, "is_animated", False):
        return "animated"
    # Pillow shows 16-bit colors as 8-bit ones; the depth is byte 24 of every PNG.
    if header.format == "PNG" and image[24] == 16:
        return "16-bit"
    return _MODES.get(header.mode)


def _out_of_limits(size: tuple[int, int], limits: ImageLimits) -> str | None:
    height, width = size
    shorter, longer = min(size), max(size)
    if height * width > limits.max_pixels:
        return f"has {height}x{width} pixels, more than {limits.max_pixels}"
    if shorter < limits.min_side:
        return f"has {height}x{width} pixels, fewer than {limits.min_side} on a side"
    if longer > limits.max_aspect * shorter:
        return f"has {height}x{width} pixels, one side over {limits.max_aspect} times the other"
    return None


def _is_same(header: Any, decoded: tf.Tensor) -> bool:
    """Whether Pillow decodes the same, as it must where nothing was lost."""
    try:
        return np.array_equal(decoded, header.convert("RGB"))
    except Exception:
        return False


def _message(error: tf.errors.OpError) -> str:
    """What TensorFlow says, without the names of its nodes."""
    first = error.message.splitlines()[0]
    return re.sub(r"^\{\{.*?\}\} |,? ?\[Op:\w+\].*$", "", first)
