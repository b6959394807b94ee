import io

import numpy as np
import pytest
from photographs import encoded, photograph
from PIL import Image

from spp_keras.data import image_ops
from spp_keras.serving import image_inputs

PICTURE = Image.fromarray(photograph(20, 30))


def with_colors(picture):
    """Its first color is transparent."""
    picture.info["transparency"] = 0
    return picture


PICTURES = {
    "L": PICTURE.convert("L"),
    "LA": PICTURE.convert("LA"),
    "1": PICTURE.convert("1"),
    "P": PICTURE.quantize(16),
    "P with transparent colors": with_colors(PICTURE.quantize(16)),
    "RGB": PICTURE,
    "RGBA": Image.fromarray(np.dstack([photograph(20, 30), photograph(20, 30, 1)[..., :1]])),
    "16 bits": Image.fromarray(np.arange(600, dtype="uint16").reshape(20, 30) * 109),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_has_the_pixels_that_its_file_has(kind):
    file = encoded(PICTURES[kind])
    expected = image_ops.decode_image(file)
    picture = Image.open(io.BytesIO(file))
    np.testing.assert_array_equal(
        image_ops.decode_image(image_inputs.encode_image(picture)), expected
    )
    drawn = np.asarray(image_inputs.convert_to_rgb(picture)).astype(int)
    np.testing.assert_allclose(drawn, expected.numpy().astype(int), atol=1)


def test_a_photograph_is_turned_as_its_camera_noted():
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.open(io.BytesIO(encoded(photograph(20, 30), "PNG", exif=exif)))
    expected = np.rot90(photograph(20, 30), -1)
    np.testing.assert_array_equal(image_inputs.convert_to_rgb(picture), expected)
    # Models that take pixels as the file has them still can.
    file = image_inputs.encode_image(picture)
    np.testing.assert_array_equal(image_ops.decode_image(file), expected)
    np.testing.assert_array_equal(image_ops.decode_image(file, orientation=1), photograph(20, 30))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((4, 5), "uint8"), ValueError, r"np\.stack.*Received: shape \(4, 5\)"),
        (np.zeros((4, 5, 1), "uint8"), ValueError, r"Received: shape \(4, 5, 1\)"),
        (np.zeros((4, 5, 4), "uint8"), ValueError, r"RGBA\. Received: shape \(4, 5, 4\)"),
        (np.zeros((2, 4, 5, 3), "uint8"), ValueError, r"Received: shape \(2, 4, 5, 3\)"),
        (np.zeros((0, 5, 3), "uint8"), ValueError, r"Received: shape \(0, 5, 3\)"),
        (np.zeros((4, 5, 3)), ValueError, r"must be uint8.*Received: float64"),
        (None, TypeError, "`image` must be a path, .* an array of object"),
        (Image.new("F", (5, 4)), ValueError, "Received: a PIL image of mode 'F'"),
    ],
)
def test_what_is_no_image_is_refused_with_what_to_do(image, error, message):
    with pytest.raises(error, match=message):
        image_inputs.encode_image(image)
