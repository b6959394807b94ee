"""Sizes of the frames in an AVIF file, which decide what decoding allocates.

The container tells a size of its own, which may be a lie: a decoder believes the frames.
"""

from collections.abc import Iterator

_SEQUENCE_HEADER = 1
_TO_THE_END = 0


def list_frame_sizes(image: bytes) -> list[tuple[int, int]]:
    """Height and width in each AV1 sequence header of an AVIF file.

    Args:
        image: Bytes of the file. What is wrong with it may raise any error.

    Example:

    >>> list_frame_sizes(bytes.fromhex("0000000866747970"))
    []
    """
    sizes = []
    for kind, start, end in _list_boxes(image, 0, len(image)):
        if kind == b"meta":
            for content in _list_items(image, start + 4, end):
                sizes += list(_list_sequence_sizes(content))
    return sizes


class _Bits:
    """Unsigned integers of any number of bits, one after the other."""

    def __init__(self, content: bytes):
        self._bits, self._count, self._place = int.from_bytes(content), 8 * len(content), 0

    def read(self, count: int) -> int:
        self._place += count
        if self._place > self._count:
            raise ValueError("a header ends too early")
        return self._bits >> (self._count - self._place) & ((1 << count) - 1)


def _list_boxes(image: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and start and end of the content, of the boxes in a part of the file."""
    while start + 8 <= end:
        length, kind = int.from_bytes(image[start : start + 4]), image[start + 4 : start + 8]
        header = 8
        if length == 1:
            length, header = int.from_bytes(image[start + 8 : start + 16]), 16
        stop = end if length == _TO_THE_END else min(start + length, end)
        if stop < start + header:
            raise ValueError("a box ends before it begins")
        yield kind, start + header, stop
        start = stop


def _list_items(image: bytes, start: int, end: int) -> Iterator[bytes]:
    """The contents of the items that a `meta` box locates."""
    boxes = {kind: (first, last) for kind, first, last in _list_boxes(image, start, end)}
    first, last = boxes[b"iloc"]
    fields = _Bits(image[first:last])
    version, _ = fields.read(8), fields.read(24)
    sizes = [8 * fields.read(4) for _ in range(4)]
    offset_size, length_size, base_size, index_size = sizes
    wide = 32 if version == 2 else 16
    for _ in range(fields.read(wide)):
        fields.read(wide)
        in_data_box = version > 0 and fields.read(16) & 15 == 1
        fields.read(16)
        base = fields.read(base_size)
        if in_data_box:
            base += boxes[b"idat"][0]
        content = b""
        for _ in range(fields.read(16)):
            fields.read(index_size if version > 0 else 0)
            offset, length = base + fields.read(offset_size), fields.read(length_size)
            stop = len(image) if length == _TO_THE_END else offset + length
            content += image[offset:stop]
            if len(content) > len(image):
                raise ValueError("an item is longer than the file")
        yield content


def _list_sequence_sizes(content: bytes) -> Iterator[tuple[int, int]]:
    """Height and width in the sequence headers among the units of an AV1 stream."""
    place = 0
    while place < len(content):
        kind, has_extension, has_size = (content[place] >> shift for shift in (3, 2, 1))
        place += 1 + (has_extension & 1)
        length = len(content) - place
        if has_size & 1:
            length, place = _read_length(content, place)
        if kind & 15 == _SEQUENCE_HEADER:
            yield _read_sequence_size(content[place : place + min(length, 1000)])
        place += length


def _read_length(content: bytes, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, and the place after it."""
    number = 0
    for index in range(8):
        number |= (content[place + index] & 127) << (7 * index)
        if not content[place + index] & 128:
            return number, place + index + 1
    raise ValueError("a length has too many bytes")


def _read_sequence_size(content: bytes) -> tuple[int, int]:
    """Height and width in a sequence header, as in section 5.5 of the AV1 specification."""
    bits = _Bits(content)
    bits.read(4)
    if bits.read(1):
        bits.read(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    return height, width


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.read(1):
        bits.read(64)
        if bits.read(1):
            zeros = 0
            while not bits.read(1):
                zeros += 1
            bits.read(zeros)
        if bits.read(1):
            delay_bits = bits.read(5) + 1
            bits.read(32 + 5 + 5)
    has_display_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if delay_bits and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_display_delay and bits.read(1):
            bits.read(4)
