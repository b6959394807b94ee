"""Inspection of images before training, by decoding them as training does.

Pillow reads the header, which costs nothing and bounds the memory that decoding takes;
`tf.io.decode_image` then decodes all of the image, since an image that it cannot decode
would stop an epoch.
"""

import collections
import hashlib
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

from spp_keras.data import (
    byte_strings,
    converted_copies,
    exif,
    image_conversion,
    image_formats,
    image_reader,
    image_rules,
    webp,
)
from spp_keras.data.image_rules import ImageLimits
from spp_keras.data.sources import Candidate

# The classes and not `PIL.Image.open`, which warns of large images before it tells their size.
_READERS = {
    image_formats.JPEG: JpegImagePlugin.JpegImageFile,
    image_formats.PNG: PngImagePlugin.PngImageFile,
    image_formats.GIF: GifImagePlugin.GifImageFile,
    image_formats.BMP: BmpImagePlugin.BmpImageFile,
    image_formats.WEBP: WebPImagePlugin.WebPImageFile,
}
# By the modes of Pillow.
_CONVERSIONS = {
    "1": "gray",
    "L": "gray",
    "LA": "alpha",
    "RGBA": "alpha",
    "P": "palette",
    "CMYK": "CMYK",
    "I;16": "16-bit",
    "I": "16-bit",
}


class Inspection(NamedTuple):
    """Result of the inspection of an image.

    Args:
        size: Height and width as decoded, upright.
        converted: Kind of image before the conversion to RGB: `"gray"`, `"palette"`,
            `"CMYK"`, `"16-bit"`, `"alpha"`, `"animated"`, `"AVIF"`, `"TIFF"` or `"HEIC"`;
            `None` if it was RGB.
        reason: Why the image cannot be used; `None` if it can.
        orientation: EXIF orientation by which the pixels have to be turned, 1 to 8; 1 if
            they are taken as they lie in the file.
        digest: Digest of the file, equal for files of the same bytes; 0 if it was not asked
            for.
        copy: Path and length of the converted copy that is to be decoded in place of the file;
            `None` if there is none.
    """

    size: tuple[int, int] = (0, 0)
    converted: str | None = None
    reason: str | None = None
    orientation: int = 1
    digest: int = 0
    copy: tuple[str, int] | None = None


def inspect_image(
    image: bytes,
    limits: ImageLimits = ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
) -> Inspection:
    """Checks whether an encoded image can be used.

    JPEG, PNG, GIF, BMP and WebP can, where TensorFlow converts them to the right RGB:
    gray, palette, CMYK, 16 bits (the upper eight), alpha (on a background), the first frame of
    an animation. TensorFlow gets palettes in BMP wrong, crops GIF frames that are smaller than
    their canvas and cannot be trusted with animations in WebP, so these are refused.

    Args:
        image: Bytes of the encoded image.
        limits: Limits on its size. Defaults to `ImageLimits()`.
        orientation: `"exif"` turns the image as its EXIF orientation says; `"file"` takes
            its pixels as they lie in the file. Defaults to `"exif"`.

    Returns:
        An `Inspection`.

    Example:

    >>> gray = tf.io.encode_png(tf.zeros((20, 30, 1), "uint8")).numpy()
    >>> inspection = inspect_image(gray)
    >>> inspection.size, inspection.converted, inspection.reason
    ((20, 30), 'gray', None)
    >>> inspect_image(b"Not found").reason
    'is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG'
    """
    if not image:
        return Inspection(reason=image_rules.EMPTY.reason)
    image_format = image_formats.detect_format(image)
    if image_format is None:
        return Inspection(reason=image_rules.UNKNOWN_FORMAT.reason)
    if image_format in image_formats.CONVERTED:
        return Inspection(reason=image_rules.CONVERTED[image_format.name].reason)
    is_webp = image_format is image_formats.WEBP
    reason = _check_webp_header(image, limits) if is_webp else None
    if reason:
        return Inspection(reason=reason)
    try:
        header = _READERS[image_format](io.BytesIO(image))
        size = (header.height, header.width)
        converted = _describe_conversion(header, image)
    # Damaged bytes raise whatever they happen to hit, struct.error and IndexError too.
    except Exception as error:
        return Inspection(reason=f"has a header that is cut short or damaged: {error}")
    # By the same operations as inside exported graphs, so that sizes and pixels always agree.
    turn = 1 if orientation == "file" else int(exif.read_orientation_compiled(image))
    upright_size = size if turn < 5 else size[::-1]
    reason = _check_size(upright_size, limits)
    if reason:
        return Inspection(reason=reason)
    try:
        with tf.device("CPU:0"):
            # A WebP image with alpha must be decoded with all of its channels.
            channels = 0 if is_webp else 3
            pixels = tf.io.decode_image(image, channels, expand_animations=False)[..., :3]
    except tf.errors.OpError as error:
        return Inspection(reason=f"{image_rules.BROKEN.reason}: {_shorten_message(error)}")
    if tuple(pixels.shape) != (*size, 3):
        return Inspection(
            reason=f"has {size[0]}x{size[1]} pixels, of which TensorFlow decodes "
            f"{'x'.join(str(side) for side in pixels.shape[:2])}: convert it to JPEG"
        )
    if image_format is image_formats.BMP and not _equals_pillow(header, pixels):
        return Inspection(reason=image_rules.UNSUPPORTED_BMP.reason)
    return Inspection(upright_size, converted, None, turn)


def inspect_images(
    candidates: Iterable[Candidate],
    files: Sequence[str],
    limits: ImageLimits = ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
) -> Generator[tuple[Candidate, Inspection], None, None]:
    """Inspects images in threads, in order, a few ahead of the consumer, digests included.

    AVIF, TIFF and HEIC images are converted into the cache first, see `converted_copies`.

    Args:
        candidates: The images. Those that their source refused keep that reason.
        files: Paths of the files that their spans refer to.
        limits: Limits on their sizes. Defaults to `ImageLimits()`.
        orientation: As for `inspect_image`. Defaults to `"exif"`.

    Returns:
        An iterator over pairs of candidate and `Inspection`.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "text.jpg"
    >>> _ = path.write_text("Not found")
    >>> [(_, inspection)] = inspect_images([Candidate("text", (0, 0, 9))], [str(path)])
    >>> inspection.reason
    'is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG'
    """
    threads = os.cpu_count() or 1
    pending: collections.deque = collections.deque()
    with ThreadPoolExecutor(threads) as pool, warnings.catch_warnings():
        # Warnings about EXIF blocks, which are not read by Pillow here.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            for candidate in candidates:
                future = pool.submit(_inspect_candidate, candidate, files, limits, orientation)
                pending.append((candidate, future))
                if len(pending) > 4 * threads:
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()
        finally:
            for _, future in pending:
                future.cancel()


def _inspect_candidate(
    candidate: Candidate,
    files: Sequence[str],
    limits: ImageLimits,
    orientation: str,
) -> Inspection:
    if candidate.reason:
        return Inspection(reason=candidate.reason)
    fault = image_rules.find_length_fault(candidate.span[2], limits)
    if fault is not None:
        return Inspection(reason=fault.reason)
    try:
        image = image_reader.read_span(files, candidate.span)
    except OSError as error:
        return Inspection(reason=f"cannot be read: {error.strerror}")
    digest = int.from_bytes(hashlib.blake2b(image, digest_size=8).digest())
    image_format = image_formats.detect_format(image)
    if image_format not in image_formats.CONVERTED:
        return inspect_image(image, limits, orientation)._replace(digest=digest)
    try:
        path, image = converted_copies.convert_into_cache(image, limits)
    except image_conversion.ConversionError as error:
        return Inspection(reason=error.fault.reason)
    except OSError as error:
        return Inspection(reason=f"cannot be converted into the cache: {error.strerror or error}")
    inspected = inspect_image(image, limits, orientation)
    converted = None if inspected.reason else image_format.name
    return inspected._replace(digest=digest, converted=converted, copy=(str(path), len(image)))


def _check_webp_header(image: bytes, limits: ImageLimits) -> str | None:
    """Why not even the header of a WebP image can be left to Pillow, or `None`."""
    with tf.device("CPU:0"):
        header = byte_strings.read_bytes(
            tf.constant(image[: webp.HEADER_BYTES]), 0, webp.HEADER_BYTES
        )
        if webp.is_animated(header):
            return image_rules.ANIMATED_WEBP.reason
        # Pillow allocates the pixels before it tells the size.
        height, width = webp.read_size(header).numpy().tolist()
    return _check_size((height, width), limits) if height * width > limits.max_pixels else None


def _describe_conversion(header: Any, image: bytes) -> str | None:
    if getattr(header, "is_animated", False):
        return "animated"
    # Pillow shows 16-bit colors as 8-bit ones; the depth is byte 24 of every PNG.
    if header.format == "PNG" and image[24] == 16:
        return "16-bit"
    return _CONVERSIONS.get(header.mode)


def _check_size(size: tuple[int, int], limits: ImageLimits) -> str | None:
    fault = image_rules.find_size_fault(size, limits)
    return None if fault is None else fault.reason


def _equals_pillow(header: Any, pixels: tf.Tensor) -> bool:
    """Whether Pillow decodes the same pixels, as it must where nothing was lost."""
    try:
        return np.array_equal(pixels, header.convert("RGB"))
    except Exception:
        return False


def _shorten_message(error: tf.errors.OpError) -> str:
    """TensorFlow's message without the names of its nodes."""
    first_line = error.message.splitlines()[0]
    return re.sub(r"^\{\{.*?\}\} |,? ?\[Op:\w+\].*$", "", first_line)
