"""The orientation that a camera wrote into an image file (EXIF), read inside the graph."""

from typing import Any, NamedTuple

import tensorflow as tf

from spp_keras.data import byte_strings, image_formats

# Steps of the walk through a file's parts: a PNG of 32 MB in parts of 8 KB. A file that has
# more before its EXIF block, as hostile ones may, counts as one without.
_MOST_STEPS = 4096
_MOST_TAGS = 512
_ORIENTATION, _SHORT = 0x0112, 3
_EXIF = b"Exif\0\0"
# Of a JPEG, where the block has to begin.
_FIRST_BYTES = 2**16
# What is read of each part of a file: its kind, its length and the first bytes inside.
_PART = 10


class _Format(NamedTuple):
    """How a kind of file is divided into parts.

    Args:
        magic: Its first bytes; `?` is any.
        first: Where the first part begins.
        block: Beginning of the part with the EXIF block.
        last: Beginning of the part behind which there is nothing to look for.
        length: Factors on the beginning of a part that sum up to its length.
        counted: Bytes of that length that are no content.
        before: Bytes of a part before its content.
        after: Bytes of a part behind its content.
        even: Whether content of an odd length is filled up by a byte.
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

    Read from the first APP1 segment of a JPEG that holds EXIF, if it begins in the first 64
    KB, and from the `eXIf` chunk of a PNG or the `EXIF` chunk of a WebP, wherever in the
    file these are. An EXIF block that is cut short or damaged, or whose orientation is no
    SHORT from 1 to 8, counts as none. XMP is not read. Never raises.

    Args:
        encoded: Scalar string tensor, the file's bytes.

    Returns:
        int32 scalar, 1 to 8: how the pixels have to be turned, see
        `orientations.turn_pixels`; 1, which turns nothing, where there is none.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((2, 3, 1), "uint8"))
    >>> int(read_orientation(png))
    1
    """
    # Tiny operations by the dozen, for which an accelerator would have to be asked each time.
    with tf.device("CPU:0"):
        return _read_orientation(tf.convert_to_tensor(encoded))


# For those who are in no graph, where operations take a hundred times as long.
read_orientation_compiled = tf.function(
    read_orientation, input_signature=[tf.TensorSpec((), tf.string)], autograph=False
)


def _read_orientation(encoded: Any) -> Any:
    header = byte_strings.read_bytes(encoded, 0, max(len(one.magic) for one in _FORMATS))
    is_jpeg, *others = (byte_strings.starts_with(header, one.magic) for one in _FORMATS)
    kinds = tf.stack([is_jpeg & _names_exif(encoded), *others])

    def walk() -> Any:
        start, length = _find_block(encoded, tf.argmax(tf.cast(kinds, tf.int32)))
        return tf.cond(length > 0, lambda: _of_block(encoded, start, length), _none)

    return tf.cond(tf.reduce_any(kinds), walk, _none)


def _names_exif(encoded: Any) -> Any:
    """Whether a JPEG has anything that may be an EXIF block: much quicker than to walk to it."""
    parts = tf.raw_ops.StringSplitV2(
        input=[tf.strings.substr(encoded, 0, _FIRST_BYTES)], sep=_EXIF, maxsplit=1
    )
    return tf.size(parts.values) > 1


def _find_block(encoded: Any, kind: Any) -> tuple[Any, Any]:
    """Where an EXIF block begins, and its length; 0 where there is none."""
    rows = [
        (*_pattern(one.block), *_pattern(one.last), one.length + (0,) * (_PART - len(one.length)))
        for one in _FORMATS
    ]
    block_mask, block, last_mask, last, factors = tf.unstack(tf.constant(rows, tf.int64)[kind])
    numbers = [(one.first, one.counted, one.before, one.after, one.even) for one in _FORMATS]
    first, counted, before, after, even = tf.unstack(tf.constant(numbers, tf.int64)[kind])
    of_jpeg = tf.equal(kind, _JPEG)
    total = tf.cast(tf.strings.length(encoded), tf.int64)
    zero, one, size = (tf.constant(number, tf.int64) for number in (0, 1, _PART))

    def step(number: Any, place: Any, start: Any, length: Any) -> Any:
        part = tf.io.decode_raw(tf.strings.substr(encoded, place, size), tf.uint8)
        part = tf.cast(tf.ensure_shape(part, (_PART,)), tf.int64)
        is_block = tf.reduce_all(tf.bitwise.bitwise_and(part, block_mask) == block)
        is_last = tf.reduce_all(tf.bitwise.bitwise_and(part, last_mask) == last)
        content = tf.reduce_sum(part * factors) - counted
        # A segment of JPEG counts the two bytes of its length, and more bytes of 255 may
        # stand before it.
        filled = of_jpeg & tf.reduce_all(part[:2] == 255)
        broken = of_jpeg & ((part[0] != 255) | ((content < 0) & ~filled))
        start = tf.where(is_block, place + before, start)
        length = tf.where(is_block, tf.minimum(content, total - start), length)
        whole = before + content + after + even * (content % 2)
        place += tf.where(filled, one, whole)
        return number + 1, tf.where(is_block | is_last | broken, total, place), start, length

    _, _, start, length = tf.while_loop(
        lambda number, place, *_: (place + _PART <= total) & (number < _MOST_STEPS),
        step,
        (tf.constant(0), first, zero, zero),
        parallel_iterations=1,
    )
    return start, length


def _of_block(encoded: Any, start: Any, length: Any) -> Any:
    """The orientation in an EXIF block: a TIFF file, of which the first directory counts."""
    # Of JPEG it belongs to the block; elsewhere some programs write it.
    named = byte_strings.starts_with(byte_strings.read_bytes(encoded, start, len(_EXIF)), _EXIF)
    skipped = len(_EXIF) * tf.cast(named, tf.int64)
    start, length = start + skipped, length - skipped
    header = byte_strings.read_bytes(encoded, start, 8)
    little = byte_strings.starts_with(header, b"II*\0")
    big = byte_strings.starts_with(header, b"MM\0*")

    def number(content: Any) -> Any:
        """Numbers along the last axis."""
        content = tf.cast(tf.where(little, content, tf.reverse(content, [-1])), tf.int64)
        powers = [256**i for i in range(content.shape[-1])]
        return tf.reduce_sum(content * tf.constant(powers, tf.int64), axis=-1)

    place = number(header[4:])
    tags = number(byte_strings.read_bytes(encoded, start + place, 2))
    # Those that are all inside the block.
    tags = tf.minimum(tags, (length - place - 2) // 12)
    valid = (little | big) & (place >= 8) & (tags > 0)
    tags = tf.clip_by_value(tags, 1, _MOST_TAGS)
    content = byte_strings.read_bytes(encoded, start + place + 2, 12 * tags)
    content = tf.reshape(content, (-1, 12))
    wanted = number(content[:, :2]) == _ORIENTATION
    entry = content[tf.argmax(tf.cast(wanted, tf.int32))]
    value = number(entry[8:10])
    valid &= tf.reduce_any(wanted) & (number(entry[2:4]) == _SHORT) & (number(entry[4:8]) == 1)
    valid &= (value >= 1) & (value <= 8)
    return tf.cast(tf.where(valid, value, tf.ones_like(value)), tf.int32)


def _none() -> Any:
    return tf.constant(1)


def _pattern(beginning: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    # Nothing is like an empty beginning.
    return (
        byte_strings.make_pattern(beginning, _PART) if beginning else ((0,) * _PART, (1,) * _PART)
    )
