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
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin

from spp_keras.data import reading
from spp_keras.data.sources import Candidate

# By first bytes, as `tf.io.decode_image` goes, and not by the name of the file. The classes and
# not `PIL.Image.open`, which warns of large images before it can be asked how large they are.
_READERS = {
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"GIF8": GifImagePlugin.GifImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
}
_OTHER_FORMATS = {
    r"RIFF....WEBP": "WebP",
    r"II\*\0|MM\0\*": "TIFF",
    r"....ftyp(avif|avis)": "AVIF",
    r"....ftyp(hei|hev|mif1|msf1)": "HEIF",
    r"\xff\x0a|\0\0\0\x0cJXL ": "JPEG XL",
    r"\0\0\0\x0cjP  ": "JPEG 2000",
    r"8BPS": "Photoshop",
}
_MODES = {
    "1": "grey",
    "L": "grey",
    "LA": "alpha",
    "RGBA": "alpha",
    "P": "palette",
    "CMYK": "CMYK",
    "I;16": "16-bit",
    "I": "16-bit",
}


class Limits(NamedTuple):
    """What an image must be to be used.

    Args:
        least_side: Pixels that the shorter side must have. Defaults to `16`.
        most_pixels: Pixels that it may have. Nothing beyond the header is read
            of an image that has more. Defaults to `64_000_000`.
        most_aspect: How many times as long as the shorter side the longer side
            may be. Defaults to `16`.
    """

    least_side: int = 16
    most_pixels: int = 64_000_000
    most_aspect: float = 16


class Finding(NamedTuple):
    """What an image is, or why it cannot be used.

    Args:
        size: Height and width as decoded.
        converted: What it was before it was turned to RGB: `"grey"`,
            `"palette"`, `"CMYK"`, `"16-bit"`, `"alpha"` or `"animated"`;
            `None` if it was RGB.
        reason: Why it cannot be used; `None` if it can.
    """

    size: tuple[int, int] = (0, 0)
    converted: str | None = None
    reason: str | None = None


def inspect(image: bytes, limits: Limits = Limits()) -> Finding:  # noqa: B008  immutable
    """Tells whether an encoded image can be used, and what it is.

    JPEG, PNG, GIF and BMP can, where TensorFlow turns them into the right RGB:
    grey, palette, CMYK, 16 bits (the upper eight), alpha (dropped), the first
    frame of an animation. It gets palettes in BMP wrong and cuts GIF frames
    smaller than their canvas out of it, so these are refused. The orientation
    that a camera noted (EXIF) is ignored, here as in training.

    Args:
        image: Bytes of the encoded image.
        limits: What it must be. Defaults to `Limits()`.

    Returns:
        A `Finding`.

    Example:

    >>> grey = tf.io.encode_png(tf.zeros((20, 30, 1), "uint8")).numpy()
    >>> inspect(grey)
    Finding(size=(20, 30), converted='grey', reason=None)
    >>> inspect(b"Not found").reason
    'is no JPEG, PNG, GIF or BMP image'
    """
    if not image:
        return Finding(reason="is empty")
    reader = next((_READERS[magic] for magic in _READERS if image.startswith(magic)), None)
    if reader is None:
        return Finding(reason=_what_else(image))
    try:
        header = reader(io.BytesIO(image))
        size = (header.height, header.width)
        converted = _conversion(header, image)
    # Damaged bytes raise whatever they happen to hit, struct.error and IndexError too.
    except Exception as error:
        return Finding(reason=f"has a header that is cut short or damaged: {error}")
    reason = _out_of_limits(size, limits)
    if reason:
        return Finding(reason=reason)
    try:
        with tf.device("CPU:0"):
            decoded = tf.io.decode_image(image, channels=3, expand_animations=False)
    except tf.errors.OpError as error:
        return Finding(reason=f"is cut short or damaged: {_message(error)}")
    if tuple(decoded.shape) != (*size, 3):
        return Finding(
            reason=f"has {size[0]}x{size[1]} pixels, of which TensorFlow decodes "
            f"{'x'.join(str(side) for side in decoded.shape[:2])}; convert it to JPEG"
        )
    if header.format == "BMP" and not _is_same(header, decoded):
        return Finding(reason="is a BMP image of a kind TensorFlow gets wrong; convert it to JPEG")
    return Finding(size, converted)


def inspect_all(
    candidates: Iterable[Candidate],
    files: Sequence[str],
    limits: Limits = Limits(),  # noqa: B008  immutable
) -> Generator[tuple[Candidate, Finding], None, None]:
    """Inspects images in threads, in order, a few ahead of what is asked for.

    Args:
        candidates: The images. What the source gave up on is passed on.
        files: Paths of the files that their spans number.
        limits: What each must be. Defaults to `Limits()`.

    Returns:
        An iterator over pairs of candidate and `Finding`.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "text.jpg"
    >>> _ = path.write_text("Not found")
    >>> [(_, finding)] = inspect_all([Candidate("text", (0, 0, 9))], [str(path)])
    >>> finding.reason
    'is no JPEG, PNG, GIF or BMP image'
    """
    threads = os.cpu_count() or 1
    ahead: collections.deque = collections.deque()
    with ThreadPoolExecutor(threads) as pool, warnings.catch_warnings():
        # Of notes that cameras left, which nobody here reads.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            for candidate in candidates:
                ahead.append((candidate, pool.submit(_inspect_candidate, candidate, files, limits)))
                if len(ahead) > 4 * threads:
                    first, finding = ahead.popleft()
                    yield first, finding.result()
            while ahead:
                first, finding = ahead.popleft()
                yield first, finding.result()
        finally:
            for _, finding in ahead:
                finding.cancel()


def _inspect_candidate(candidate: Candidate, files: Sequence[str], limits: Limits) -> Finding:
    if candidate.reason:
        return Finding(reason=candidate.reason)
    length = candidate.span[2]
    # Of 16-bit RGBA, the longest there is, uncompressed.
    if length > 8 * limits.most_pixels:
        return Finding(reason=f"has {length} bytes, too many for {limits.most_pixels} pixels")
    try:
        image = reading.read_span(files, candidate.span)
    except OSError as error:
        return Finding(reason=f"cannot be read: {error.strerror}")
    return inspect(image, limits)


def _what_else(image: bytes) -> str:
    start = image[:16].decode("latin-1")
    for pattern, name in _OTHER_FORMATS.items():
        if re.match(pattern, start, re.DOTALL):
            return f"is a {name} image; convert it to JPEG"
    return "is no JPEG, PNG, GIF or BMP image"


def _conversion(header: Any, image: bytes) -> str | None:
    if getattr(header, "is_animated", False):
        return "animated"
    # Pillow shows 16-bit colours as 8-bit ones; the depth is byte 24 of every PNG.
    if header.format == "PNG" and image[24] == 16:
        return "16-bit"
    return _MODES.get(header.mode)


def _out_of_limits(size: tuple[int, int], limits: Limits) -> str | None:
    height, width = size
    shorter, longer = min(size), max(size)
    if height * width > limits.most_pixels:
        return f"has {height}x{width} pixels, more than {limits.most_pixels}"
    if shorter < limits.least_side:
        return f"has {height}x{width} pixels, fewer than {limits.least_side} on a side"
    if longer > limits.most_aspect * shorter:
        return f"has {height}x{width} pixels, one side over {limits.most_aspect} times the other"
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
