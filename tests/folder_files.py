"""Folders of small image files and texts."""

import io

from PIL import Image


def image(shade=0, height=20, width=30):
    file = io.BytesIO()
    Image.new("RGB", (width, height), (shade, 2 * shade, 0)).save(file, "PNG")
    return file.getvalue()


def write(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return root
