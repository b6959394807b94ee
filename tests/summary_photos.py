"""A folder of photographs with everything odd that a summary of them tells."""

import numpy as np
from photographs import encoded, photograph
from PIL import Image

# Split, class and name of each image, and its height and width as they lie in the file.
SIZES = {
    "train/cat/1.png": (64, 96),
    "train/cat/2.png": (96, 64),
    "train/cat/3.png": (60, 61),
    "train/cat/turned.jpg": (50, 120),
    "train/cat/wide.jpg": (40, 400),
    "train/dog/gray.png": (70, 70),
    "train/dog/cmyk.jpg": (80, 100),
    "train/dog/narrow.png": (90, 24),
    "validation/cat/1.png": (70, 90),
    "validation/dog/1.png": (33, 50),
}
# The same bytes: in two classes, and in both splits.
COPIES = {
    "train/dog/copy of cat.png": "train/cat/1.png",
    "validation/cat/2.png": "train/cat/2.png",
}
DAMAGED = ("train/dog/half.jpg", "train/dog/text.jpg")
ORDER = sorted([*SIZES, *COPIES])


def make_photos(root):
    files = {}
    for number, (name, (height, width)) in enumerate(SIZES.items()):
        picture = Image.fromarray(photograph(height, width, number))
        options = {}
        if "turned" in name:
            options["exif"] = Image.Exif()
            options["exif"][0x112] = 6
        mode = {"gray": "L", "cmyk": "CMYK"}.get(name.split("/")[-1].split(".")[0], "RGB")
        form = "JPEG" if name.endswith(".jpg") else "PNG"
        files[name] = encoded(picture.convert(mode), form, **options)
    files |= {copy: files[name] for copy, name in COPIES.items()}
    files["train/dog/half.jpg"] = files["train/cat/wide.jpg"][:-900]
    files["train/dog/text.jpg"] = b"<html>"
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def upright_size(root, name):
    """Height and width as Pillow shows the image, by a reader of its own."""
    with Image.open(root / name) as image:
        width, height = image.size
        return (width, height) if image.getexif().get(0x112, 1) >= 5 else (height, width)


def crop_loss(height, width):
    """What a square of 224 / 256 of the short side leaves out."""
    side = int(np.floor(min(height, width) * 224 / 256 + 0.5))
    return 1 - side * side / (height * width)
