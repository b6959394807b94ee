"""The EXIF orientation of an image file, read inside graphs."""

from typing import Any, NamedTuple

import tensorflow as tf

from spp_keras.data import byte_strings, image_formats

# Steps of the walk through a file's parts: a PNG of 32 MB in parts of 8 KB. A file with more
# parts before its EXIF block, which may be hostile, counts as one without.
_MAX_STEPS = 4096
_MAX_TAGS = 512
_ORIENTATION, _SHORT = 0x0112, 3
_EXIF = b"Exif\0\0"
# The block of a JPEG has to begin in these bytes.
_FIRST_BYTES = 2**16
# Bytes that are read of each part of a file: its kind, length and first content.
_PART = 10


class _Format(NamedTuple):
    """How files of a format are divided into parts.

    Args:
        magic: First bytes of a file; `?` is any byte.
        first: Offset of the first part.
        block: First bytes of the part with the EXIF block.
        last: First bytes of the part at which the search ends.
        length: Factors of the first bytes of a part, whose weighted sum is its length.
        counted: Bytes of that length that are no content.
        before: Bytes of a part before its content.
        after: Bytes of a part after its content.
        even: Whether content of an odd length is padded by a byte.
    """

    magic: bytes
    first: int
    block: bytes
    last: bytes
    length: tuple[int, ...]
    counted: int
    before: int
    after: int
    even: bool


_FORMATS = (
    _Format(
        magic=image_formats.JPEG.magic,
        first=2,
        block=b"\xff\xe1??Exif\0\0",
        last=b"\xff\xda",
        length=(0, 0, 256, 1),
        counted=2,
        before=4,
        after=0,
        even=False,
    ),
    _Format(
        magic=image_formats.PNG.magic,
        first=8,
        block=b"????eXIf",
        last=b"????IEND",
        length=(2**24, 2**16, 256, 1),
        counted=0,
        before=8,
        after=4,
        even=False,
    ),
    # The other two forms of WebP have a single part.
    _Format(
        magic=image_formats.WEBP.magic + b"VP8X",
        first=12,
        block=b"EXIF",
        last=b"",
        length=(0, 0, 0, 0, 1, 256, 2**16, 2**24),
        counted=0,
        before=8,
        after=0,
        even=True,
    ),
)
_JPEG = 0


def read_orientation(encoded: Any) -> tf.Tensor:
    """The EXIF orientation of an encoded image, in TensorFlow's string operations alone.

    Read from the first APP1 segment with EXIF of a JPEG, if it begins in the first 64 KB,
    and from the `eXIf` chunk of a PNG or the `EXIF` chunk of a WebP, anywhere in the file. An
    EXIF block that is cut short or damaged, or whose orientation is no SHORT from 1 to 8,
    is ignored. XMP is not read. Never raises.

    Args:
        encoded: Scalar string tensor, the file's bytes.

    Returns:
        int32 scalar, 1 to 8, see `orientations.turn_pixels`; 1, which turns nothing, if
        there is none.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((2, 3, 1), "uint8"))
    >>> int(read_orientation(png))
    1
    """
    # Dozens of tiny operations, each of which would be launched on an accelerator.
    with tf.device("CPU:0"):
        return _read_orientation(tf.convert_to_tensor(encoded))


# For eager code, where the single operations take a hundred times as long.
read_orientation_compiled = tf.function(
    read_orientation, input_signature=[tf.TensorSpec((), tf.string)], autograph=False
)


def _read_orientation(encoded: Any) -> Any:
    header = byte_strings.read_bytes(encoded, 0, max(len(item.magic) for item in _FORMATS))
    is_jpeg, *others = (byte_strings.starts_with(header, item.magic) for item in _FORMATS)
    matches = tf.stack([is_jpeg & _contains_exif(encoded), *others])

    def walk() -> Any:
        start, length = _find_block(encoded, tf.argmax(tf.cast(matches, tf.int32)))
        return tf.cond(length > 0, lambda: _read_block(encoded, start, length), _default)

    return tf.cond(tf.reduce_any(matches), walk, _default)


def _contains_exif(encoded: Any) -> Any:
    """Whether a JPEG may have an EXIF block: much faster than walking to it."""
    parts = tf.raw_ops.StringSplitV2(
        input=[tf.strings.substr(encoded, 0, _FIRST_BYTES)], sep=_EXIF, maxsplit=1
    )
    return tf.size(parts.values) > 1


def _find_block(encoded: Any, format_index: Any) -> tuple[Any, Any]:
    """Offset and length of the EXIF block; length 0 if there is none."""
    rows = [
        (
            *_make_pattern(item.block),
            *_make_pattern(item.last),
            item.length + (0,) * (_PART - len(item.length)),
        )
        for item in _FORMATS
    ]
    block_mask, block, last_mask, last, factors = tf.unstack(
        tf.constant(rows, tf.int64)[format_index]
    )
    layouts = [(item.first, item.counted, item.before, item.after, item.even) for item in _FORMATS]
    first, counted, before, after, even = tf.unstack(tf.constant(layouts, tf.int64)[format_index])
    is_jpeg = tf.equal(format_index, _JPEG)
    total = tf.cast(tf.strings.length(encoded), tf.int64)
    zero, unit, size = (tf.constant(value, tf.int64) for value in (0, 1, _PART))

    def step(count: Any, offset: Any, start: Any, length: Any) -> Any:
        part = tf.io.decode_raw(tf.strings.substr(encoded, offset, size), tf.uint8)
        part = tf.cast(tf.ensure_shape(part, (_PART,)), tf.int64)
        is_block = tf.reduce_all(tf.bitwise.bitwise_and(part, block_mask) == block)
        is_last = tf.reduce_all(tf.bitwise.bitwise_and(part, last_mask) == last)
        content = tf.reduce_sum(part * factors) - counted
        # The length of a JPEG segment counts its own two bytes, and bytes of 255 may precede
        # the segment.
        is_padding = is_jpeg & tf.reduce_all(part[:2] == 255)
        broken = is_jpeg & ((part[0] != 255) | ((content < 0) & ~is_padding))
        start = tf.where(is_block, offset + before, start)
        length = tf.where(is_block, tf.minimum(content, total - start), length)
        total_length = before + content + after + even * (content % 2)
        offset += tf.where(is_padding, unit, total_length)
        return count + 1, tf.where(is_block | is_last | broken, total, offset), start, length

    _, _, start, length = tf.while_loop(
        lambda count, offset, *_: (offset + _PART <= total) & (count < _MAX_STEPS),
        step,
        (tf.constant(0), first, zero, zero),
        parallel_iterations=1,
    )
    return start, length


def _read_block(encoded: Any, start: Any, length: Any) -> Any:
    """The orientation in an EXIF block: a TIFF file, whose first directory has it."""
    # The prefix belongs to the block of a JPEG; elsewhere some programs write it.
    has_prefix = byte_strings.starts_with(
        byte_strings.read_bytes(encoded, start, len(_EXIF)), _EXIF
    )
    skipped = len(_EXIF) * tf.cast(has_prefix, tf.int64)
    start, length = start + skipped, length - skipped
    header = byte_strings.read_bytes(encoded, start, 8)
    little = byte_strings.starts_with(header, b"II*\0")
    big = byte_strings.starts_with(header, b"MM\0*")

    def read_integer(content: Any) -> Any:
        """Integers along the last axis."""
        content = tf.cast(tf.where(little, content, tf.reverse(content, [-1])), tf.int64)
        powers = [256**i for i in range(content.shape[-1])]
        return tf.reduce_sum(content * tf.constant(powers, tf.int64), axis=-1)

    offset = read_integer(header[4:])
    tags = read_integer(byte_strings.read_bytes(encoded, start + offset, 2))
    # Only those that are inside the block.
    tags = tf.minimum(tags, (length - offset - 2) // 12)
    valid = (little | big) & (offset >= 8) & (tags > 0)
    tags = tf.clip_by_value(tags, 1, _MAX_TAGS)
    content = byte_strings.read_bytes(encoded, start + offset + 2, 12 * tags)
    content = tf.reshape(content, (-1, 12))
    is_orientation = read_integer(content[:, :2]) == _ORIENTATION
    entry = content[tf.argmax(tf.cast(is_orientation, tf.int32))]
    value = read_integer(entry[8:10])
    valid &= (
        tf.reduce_any(is_orientation)
        & (read_integer(entry[2:4]) == _SHORT)
        & (read_integer(entry[4:8]) == 1)
    )
    valid &= (value >= 1) & (value <= 8)
    return tf.cast(tf.where(valid, value, tf.ones_like(value)), tf.int32)


def _default() -> Any:
    return tf.constant(1)


def _make_pattern(prefix: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    # Nothing matches an empty prefix.
    return byte_strings.make_pattern(prefix, _PART) if prefix else ((0,) * _PART, (1,) * _PART)
