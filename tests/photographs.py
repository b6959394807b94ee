"""Pictures with the smoothness and the grain of photographs, as files hold them."""

import io

import numpy as np
from PIL import Image, ImageOps


def photograph(height, width, seed=0, coarse=16):
    drawn = np.random.default_rng((seed, height, width))
    few = drawn.uniform(0, 255, (2 + height // coarse, 2 + width // coarse, 3))
    smooth = Image.fromarray(few.astype("uint8")).resize((width, height), Image.Resampling.BICUBIC)
    grainy = np.asarray(smooth) + drawn.normal(0, 4, (height, width, 3))
    return np.clip(grainy, 0, 255).astype("uint8")


def encoded(picture, form="PNG", **options):
    file = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(file, form, **options)
    return file.getvalue()


def decoded(data, background="white"):
    """As Pillow decodes it, upright, on a background."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    canvas = Image.new("RGBA", image.size, background)
    return np.asarray(Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB"))


def bilinear(picture, target):
    """Linear interpolation between the four nearest pixels, centers at halves."""
    result = picture.astype(float)
    for axis, length in enumerate(target):
        place = (np.arange(length) + 0.5) * picture.shape[axis] / length - 0.5
        below = np.floor(place).astype(int)
        share = np.expand_dims(place - below, tuple({0, 1, 2} - {axis}))
        last = picture.shape[axis] - 1
        low, high = (np.take(result, np.clip(i, 0, last), axis) for i in (below, below + 1))
        result = low * (1 - share) + high * share
    return result.round()
