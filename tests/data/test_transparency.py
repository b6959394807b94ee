"""Transparent images are drawn on a background, as Pillow draws them."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from image_files import DEEP, GRAY, IMAGE, PALETTE, RGB, USABLE, WITH_ALPHA, chunk, deep_png
from photographs import encoded
from PIL import Image

from spp_keras import data
from spp_keras.data import backgrounds, image_ops, safe_decoding, transparency

BACKGROUNDS = {"white": (255, 255, 255), "#2040ff": (32, 64, 255), "Navy": (0, 0, 128)}


def with_colors(png, *levels):
    """The PNG with one color that is transparent."""
    place = png.index(b"IDAT") - 4
    return png[:place] + chunk(b"tRNS", struct.pack(f">{len(levels)}H", *levels)) + png[place:]


TRANSPARENT = {
    "RGBA": encoded(WITH_ALPHA),
    "gray with alpha": encoded(WITH_ALPHA.convert("LA")),
    "palette": encoded(PALETTE, transparency=bytes(range(0, 256, 8))),
    "palette of one color": encoded(PALETTE, transparency=3),
    "gray with a color": with_colors(encoded(Image.fromarray(GRAY)), int(GRAY[3, 3])),
    "RGB with a color": with_colors(encoded(IMAGE), *map(int, RGB[3, 3])),
    "WebP": encoded(WITH_ALPHA, "WEBP", lossless=True, exact=True),
    "lossy WebP": encoded(WITH_ALPHA, "WEBP"),
}


@pytest.fixture(scope="module")
def on_navy():
    return safe_decoding.make_decoder(data.Whole(), background="navy")


def drawn_by_pillow(file, color):
    image = Image.open(io.BytesIO(file)).convert("RGBA")
    canvas = Image.new("RGBA", image.size, (*color, 255))
    return np.asarray(Image.alpha_composite(canvas, image).convert("RGB")).astype(int)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("kind", TRANSPARENT)
def test_transparent_images_are_drawn_on_the_background(kind, background):
    file, color = TRANSPARENT[kind], BACKGROUNDS[background]
    drawn = image_ops.decode_image(file, background=background).numpy()
    # Both round to the nearest level; Pillow's arithmetic is a shift short of exact.
    np.testing.assert_allclose(drawn.astype(int), drawn_by_pillow(file, color), atol=1)
    window = image_ops.decode_window(file, (48, 64), (5, 7, 20, 30), (20, 30), None, background)
    np.testing.assert_array_equal(window, drawn[5:25, 7:37])


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_decode_safely_draws_on_the_background(kind, on_navy):
    expected = image_ops.decode_image(TRANSPARENT[kind], background="navy")
    np.testing.assert_array_equal(on_navy(TRANSPARENT[kind]).pixels, expected)


def test_sixteen_bits_are_drawn_by_their_upper_bytes():
    file = deep_png(np.dstack([DEEP, DEEP[::-1], DEEP[:, ::-1], DEEP[::-1, ::-1]]), 6)
    alpha = (DEEP[::-1, ::-1] >> 8)[..., None].astype(float)
    color = np.dstack([DEEP, DEEP[::-1], DEEP[:, ::-1]]) >> 8
    expected = (color * alpha + 255 * (255 - alpha)) / 255
    np.testing.assert_allclose(image_ops.decode_image(file), expected, atol=0.5)
    # Transparent is a color of 16 bits, not all that share its upper byte.
    one = image_ops.decode_image(with_colors(deep_png(DEEP, 0), int(DEEP[20, 20])))
    expected = np.dstack([np.where(DEEP[20, 20] == DEEP, 255, DEEP >> 8)] * 3)
    np.testing.assert_array_equal(one, expected)


def test_every_color_and_alpha_is_rounded_to_the_nearest_level():
    color, alpha = np.mgrid[:256, :256].astype("uint8")
    for behind in (0, 1, 100, 255):
        drawn = transparency.draw_on_background(np.dstack([color] * 3 + [alpha]), (behind,) * 3)
        exact = (color * alpha.astype(float) + behind * (255.0 - alpha)) / 255
        np.testing.assert_array_equal(drawn, np.dstack([np.rint(exact)] * 3))


@pytest.mark.parametrize("kind", USABLE)
def test_opaque_images_are_what_they_were(kind):
    file = USABLE[kind][0]
    if USABLE[kind][1] != "alpha" and "with alpha" not in kind:
        expected = image_ops.decode_image(file).numpy()
        np.testing.assert_array_equal(image_ops.decode_image(file, background="red"), expected)
        if "JPEG" not in kind:
            before = tf.io.decode_image(file, 3, expand_animations=False)
            np.testing.assert_array_equal(expected, before)


def test_a_name_of_a_chunk_by_chance_changes_nothing():
    noted = encoded(IMAGE)
    place = noted.index(b"IDAT") - 4
    noted = noted[:place] + chunk(b"tEXt", b"Comment\0tRNS") + noted[place:]
    np.testing.assert_array_equal(image_ops.decode_image(noted), RGB)


@pytest.mark.parametrize("background", ["whiter", "", "#12", "#ff000080", None, (255, 0, 0), 3])
def test_what_is_no_color_is_refused(background):
    with pytest.raises(ValueError, match=r"`background` must be the name .*Received: background="):
        backgrounds.parse_background(background)
