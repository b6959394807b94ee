"""One picture as files of every EXIF orientation, and a plain reader of their orientation."""

import io
import struct

from PIL import Image

ORIENTATIONS = range(1, 9)
# What a camera held that way makes of the upright picture.
LYING = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
FORMS = {"JPEG": {"quality": 95, "subsampling": 0}, "PNG": {}, "WebP": {"lossless": True}}


def lying(picture, orientation):
    """The pixels that a file of that orientation has of an upright picture."""
    image = Image.fromarray(picture)
    return image.transpose(LYING[orientation]) if orientation in LYING else image


def tiff(*entries, order="<", place=8):
    """A TIFF structure with a directory of `(tag, type, count, value)`."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", place)
    rows = [struct.pack(order + "HHIHH", *entry, 0) for entry in entries]
    return (
        head
        + b"\0" * (place - 8)
        + struct.pack(order + "H", len(rows))
        + b"".join(rows)
        + b"\0" * 4
    )


def orientation_tag(value, order="<"):
    # A maker's tag before it, as cameras write it.
    return tiff((0x010F, 2, 4, 0), (0x0112, 3, 1, value), order=order)


def file(picture, form, orientation, block=None):
    """An upright picture in a file of that orientation, or with that EXIF block."""
    block = orientation_tag(orientation) if block is None else block
    encoded = io.BytesIO()
    exif = block if form == "PNG" else b"Exif\0\0" + block
    lying(picture, orientation).save(encoded, form, exif=exif, **FORMS[form])
    return encoded.getvalue()


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def plain_orientation(data):
    """What `read_orientation` says, in plain Python."""
    block = _block(data)
    if block is None:
        return 1
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        return 1
    (place,) = struct.unpack(order + "I", block[4:8])
    if place < 8 or place + 2 > len(block):
        return 1
    (count,) = struct.unpack(order + "H", block[place : place + 2])
    for number in range(min(count, 512)):
        entry = block[place + 2 + 12 * number :][:12]
        if len(entry) < 12:
            break
        tag, kind, values, value = struct.unpack(order + "HHIH", entry[:10])
        if tag == 0x0112:
            return value if (kind, values) == (3, 1) and 1 <= value <= 8 else 1
    return 1


def _block(data):
    if data.startswith(b"\xff\xd8\xff"):
        return _of_jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _of_chunks(data, 8, ">I4s", b"eXIf", b"IEND", 4)
    if data.startswith(b"RIFF") and data[8:16] == b"WEBPVP8X":
        return _of_chunks(data, 12, "<4sI", b"EXIF", None, 0)
    return None


def _of_jpeg(data):
    if data.find(b"Exif\0\0", 0, 2**16) < 0:
        return None
    place = 2
    while place + 10 <= len(data):
        if data[place] != 0xFF:
            return None
        if data[place + 1] == 0xFF:
            place += 1
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if data[place + 1] == 0xDA or length < 2:
            return None
        content = data[place + 4 : place + 2 + length]
        if data[place + 1] == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
            return content
        place += 2 + length
    return None


def _of_chunks(data, place, form, wanted, last, after):
    while place + 10 <= len(data):
        head = struct.unpack(form, data[place : place + 8])
        name, length = head if isinstance(head[0], bytes) else head[::-1]
        if name == wanted:
            return data[place + 8 : place + 8 + length]
        if name == last:
            return None
        place += 8 + length + after + (length % 2 if wanted == b"EXIF" else 0)
    return None
