"""Positions of records and features in TFRecord files, without copying an image.

TensorFlow reads such files from their beginning; an epoch in any order, which resumes at any step,
needs the place of every image.

A file is a sequence of records: length (8 bytes), its checksum (4), as many bytes,
their checksum (4). The bytes are a `tf.train.Example`, a protocol buffer that
has the encoded image in it as it is.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

_OVERHEAD = 12 + 4
_VARINT, _FIXED_64, _DELIMITED, _FIXED_32 = 0, 1, 2, 5


def read_records(path: str, skip: int, take: int, count: int) -> Iterator[tuple[int, int, bytes]]:
    """Reads some of the records of a file.

    Args:
        path: Path of the file.
        skip: Number of records to skip.
        take: Number of records to yield after those.
        count: Number of records that the file must have.

    Returns:
        An iterator over triples of index, offset of the bytes, and the bytes.

    Example:

    >>> import tempfile
    >>> path = f"{tempfile.mkdtemp()}/x.tfrecord"
    >>> with tf.io.TFRecordWriter(path) as writer:
    ...     for record in (b"one", b"two", b"three"):
    ...         writer.write(record)
    >>> list(read_records(path, skip=1, take=2, count=3))
    [(1, 31, b'two'), (2, 50, b'three')]
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        offset = 0
        for index in range(skip + take):
            file.seek(offset)
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
            if offset + _OVERHEAD + length > size:
                raise ValueError(
                    f"{path!r} must have {count} whole records. It ends within record {index}: "
                    f"prepare the data set again."
                )
            if index >= skip:
                file.seek(offset + 12)
                yield index, offset + 12, file.read(length)
            offset += _OVERHEAD + length


def parse_features(example: bytes) -> dict[str, tuple[int, int]]:
    """Start and end of every serialized `tf.train.Feature` in a `tf.train.Example`.

    Example:

    >>> feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))
    >>> example = tf.train.Example(features=tf.train.Features(feature={"label": feature}))
    >>> serialized = example.SerializeToString()
    >>> [(key, (start, end))] = parse_features(serialized).items()
    >>> key, serialized[start:end] == feature.SerializeToString()
    ('label', True)
    """
    features = {}
    for start, end in _find_fields(example, 0, len(example), 1):
        for entry in _find_fields(example, start, end, 1):
            key = next(_find_fields(example, *entry, 1), (0, 0))
            value = next(_find_fields(example, *entry, 2), (0, 0))
            features[example[slice(*key)].decode()] = value
    return features


def find_first_bytes(example: bytes, feature: tuple[int, int]) -> tuple[int, int] | None:
    """Start and end of the first value of a feature that holds bytes.

    Example:

    >>> feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"image"]))
    >>> serialized = feature.SerializeToString()
    >>> start, end = find_first_bytes(serialized, (0, len(serialized)))
    >>> serialized[start:end]
    b'image'
    """
    for values in _find_fields(example, *feature, 1):
        for value in _find_fields(example, *values, 1):
            return value
    return None


def _find_fields(data: bytes, start: int, end: int, field_number: int) -> Iterator[tuple[int, int]]:
    """Start and end of the length-delimited fields with a number."""
    while start < end:
        tag, start = _read_varint(data, start)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, start = _read_varint(data, start)
            continue
        if kind == _DELIMITED:
            length, start = _read_varint(data, start)
        elif kind in (_FIXED_64, _FIXED_32):
            length = 8 if kind == _FIXED_64 else 4
        else:
            raise ValueError(f"the record must be a tf.train.Example, which has no field of {kind}")
        if start + length > end:
            raise ValueError("the record must be a tf.train.Example. It ends within a field")
        if number == field_number and kind == _DELIMITED:
            yield start, start + length
        start += length


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
        shift += 7
