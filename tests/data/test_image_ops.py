import io

import exif_files
import numpy as np
import pytest
import tensorflow as tf
from photographs import bilinear, decoded, encoded, photograph
from PIL import Image, ImageOps

from spp_keras.data import image_ops

HEIGHT, WIDTH = 97, 131
FORMS = {
    "JPEG": {"quality": 92, "subsampling": "4:2:0"},
    "JPEG wide colors": {"quality": 92, "subsampling": "4:2:2", "progressive": True},
    "JPEG full colors": {"quality": 92, "subsampling": "4:4:4"},
    "PNG": {},
    "BMP": {},
    "WebP": {"quality": 90},
}
# As printed with the weights of the first networks that used them, an eigenvector a column.
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
EIGENVECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)


def file(picture, form):
    return encoded(picture, form.split()[0], **FORMS[form])


def both(function, *arguments):
    """What the function gives, once it is known to give the same inside `tf.data`."""
    eagerly = function(*arguments).numpy()
    mapped = tf.data.Dataset.from_tensors(arguments).map(function)
    np.testing.assert_array_equal(next(iter(mapped)), eagerly)
    return eagerly


def viewed(data, size, window, target):
    return both(image_ops.decode_window, data, list(size), list(window), list(target))


@pytest.mark.parametrize("form", FORMS)
def test_decode_image(form):
    picture = photograph(HEIGHT, WIDTH)
    data = file(picture, form)
    result = both(image_ops.decode_image, data)
    assert result.dtype == np.uint8
    difference = np.abs(result.astype(int) - decoded(data))
    assert difference.max() <= (2 if "JPEG" in form else 0)
    assert difference.mean() < 0.1
    whole = viewed(data, (HEIGHT, WIDTH), (0, 0, HEIGHT, WIDTH), (HEIGHT, WIDTH))
    np.testing.assert_array_equal(whole, result)


@pytest.mark.parametrize("form", FORMS)
def test_window_at_its_own_size_is_a_crop(form):
    data = file(photograph(HEIGHT, WIDTH), form)
    whole = image_ops.decode_image(data).numpy()
    bottom, right = HEIGHT - 37, WIDTH - 41
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    rng = np.random.default_rng(1).integers((0, 0), (bottom + 1, right + 1), (12, 2))
    for top, left in [*corners, *rng.tolist()]:
        result = image_ops.decode_window(data, [HEIGHT, WIDTH], [top, left, 37, 41], [37, 41])
        np.testing.assert_array_equal(result, whole[top : top + 37, left : left + 41])


def test_all_kinds_of_images_become_rgb():
    picture = photograph(20, 30)
    colors = Image.fromarray(picture)
    alpha = np.dstack([picture, np.full((20, 30), 9, "uint8")])
    kinds = [
        encoded(colors.convert("L"), "JPEG", quality=95),
        encoded(colors.convert("L")),
        encoded(colors.convert("P")),
        encoded(colors.convert("P"), "GIF"),
        encoded(colors.convert("1")),
        encoded(colors.convert("CMYK"), "JPEG", quality=95),
    ]
    for data in kinds:
        result = both(image_ops.decode_image, data)
        assert result.shape == (20, 30, 3)
        assert np.abs(result.astype(int) - decoded(data)).max() <= 2
        np.testing.assert_array_equal(
            image_ops.decode_window(data, [20, 30], [3, 4, 9, 11], [9, 11]), result[3:12, 4:15]
        )
    for transparent in (encoded(alpha), encoded(alpha, "WebP", lossless=True, exact=True)):
        result = both(image_ops.decode_image, transparent)
        assert np.abs(result.astype(int) - decoded(transparent)).max() <= 1
    deep = picture[..., 0].astype("uint16") * 257
    result = both(image_ops.decode_image, encoded(Image.fromarray(deep)))
    np.testing.assert_array_equal(result, np.repeat(picture[..., :1], 3, axis=-1))


@pytest.mark.parametrize("target", [(97, 131), (64, 86), (48, 65), (29, 40), (19, 26), (11, 15)])
def test_png_images_are_resized_as_by_pillow(target):
    picture = photograph(HEIGHT, WIDTH)
    result = viewed(encoded(picture), (HEIGHT, WIDTH), (0, 0, HEIGHT, WIDTH), target)
    if 2 * target[0] > HEIGHT:
        expected = bilinear(picture, target)
    else:
        resized = Image.fromarray(picture).resize(target[::-1], Image.Resampling.BILINEAR)
        expected = np.asarray(resized)
    difference = result - expected.astype(float)
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.1


def test_images_are_enlarged_by_linear_interpolation():
    picture = photograph(20, 30)
    result = viewed(encoded(picture), (20, 30), (2, 3, 16, 24), (48, 72))
    cut = Image.fromarray(picture[2:18, 3:27]).resize((72, 48), Image.Resampling.BILINEAR)
    assert np.abs(result.astype(int) - np.asarray(cut)).max() <= 1


@pytest.mark.parametrize("factor", [2, 3.3, 5, 9])
def test_jpeg_and_png_images_are_downscaled_alike(factor):
    picture = photograph(320, 480, coarse=60)
    target = (round(320 / factor), round(480 / factor))
    views = [
        image_ops.decode_window(data, [320, 480], [0, 0, 320, 480], target).numpy().astype(float)
        for data in (file(picture, "JPEG"), encoded(picture))
    ]
    box = Image.fromarray(picture).resize(target[::-1], Image.Resampling.BOX)
    for result in views:
        assert np.abs(result - np.asarray(box)).mean() < 3
    assert np.abs(views[0] - views[1]).mean() < 3


@pytest.mark.integration
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("factor", [2, 3.3, 5, 9])
def test_downscaling_antialiases(form, factor):
    board = 255 * (np.indices((180, 270)).sum(axis=0) % 2).astype("uint8")
    data = file(np.repeat(board[..., None], 3, axis=-1), form)
    target = (round(180 / factor), round(270 / factor))
    result = image_ops.decode_window(data, [180, 270], [0, 0, 180, 270], target).numpy().astype(int)
    inside = result[1:-1, 1:-1]
    assert 120 <= inside.min() <= inside.max() <= 135


@pytest.mark.integration
@pytest.mark.parametrize("form", ["JPEG", "JPEG wide colors", "PNG"])
@pytest.mark.parametrize("size", [(250, 375), (175, 250), (110, 200), (53, 77), (31, 45)])
def test_resizing_does_not_shift_the_content(form, size):
    y, x = np.mgrid[:375, :500] + 0.5
    for top, left, height, width, at in [
        (0, 0, 375, 500, (90, 400)),
        (0, 0, 375, 500, (300, 90)),
        (37, 61, 331, 433, (130, 420)),
        (0, 0, 367, 495, (320, 452)),
        (7, 7, 353, 477, (60, 60)),
        (7, 7, 361, 486, (310, 440)),
    ]:
        blob = 250 * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * 15**2))
        picture = np.repeat(blob.astype("uint8")[..., None], 3, axis=-1)
        result = image_ops.decode_window(
            file(picture, form), [375, 500], [top, left, height, width], list(size)
        ).numpy()
        mass = np.maximum(result[..., 0].astype(float) - 10, 0)
        center = [
            (mass.sum(axis=1 - axis) * (np.arange(size[axis]) + 0.5)).sum() / mass.sum()
            for axis in (0, 1)
        ]
        expected = (at[0] - top) * size[0] / height, (at[1] - left) * size[1] / width
        # A JPEG that is decoded smaller begins and ends at one of the pixels it then has.
        assert np.abs(np.subtract(center, expected)).max() <= (0.5 if "JPEG" in form else 0.1)


@pytest.mark.parametrize("orientation", exif_files.ORIENTATIONS)
@pytest.mark.parametrize("form", exif_files.FORMS)
def test_orientations_agree_with_pillow(form, orientation):
    data = exif_files.file(photograph(HEIGHT, WIDTH), form, orientation)
    result = both(image_ops.decode_image, data)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    difference = np.abs(result.astype(int) - expected)
    assert difference.max() <= (2 if form == "JPEG" else 0)
    for top, left in [(0, 0), (HEIGHT - 37, 0), (13, WIDTH - 41), (30, 50)]:
        window = image_ops.decode_window(data, [HEIGHT, WIDTH], [top, left, 37, 41], [37, 41])
        np.testing.assert_array_equal(window, result[top : top + 37, left : left + 41])


@pytest.mark.integration
@pytest.mark.parametrize("target", [(90, 50), (30, 17), (10, 6)])
@pytest.mark.parametrize("form", exif_files.FORMS)
def test_all_orientations_give_the_same_window(form, target):
    # In numbers that JPEG has in common with itself from all sides.
    picture, window = photograph(144, 96, coarse=48), [24, 8, 96, 56]
    views = [
        image_ops.decode_window(
            exif_files.file(picture, form, index), [144, 96], window, target
        ).numpy()
        for index in exif_files.ORIENTATIONS
    ]
    for result in views[1:]:
        difference = np.abs(result.astype(int) - views[0])
        assert difference.max() <= (8 if form == "JPEG" else 0)


def test_orientation_argument_overrides_the_file():
    picture = photograph(20, 30)
    data = exif_files.file(picture, "PNG", 6)
    lying = np.asarray(exif_files.lying(picture, 6))
    np.testing.assert_array_equal(image_ops.decode_image(data, 1), lying)
    np.testing.assert_array_equal(image_ops.decode_image(data, 8), np.rot90(lying))
    np.testing.assert_array_equal(image_ops.decode_resized(data, [30, 20], [30, 20], 1), lying)


def test_flip_horizontal():
    picture = photograph(30, 41)
    np.testing.assert_array_equal(both(image_ops.flip_horizontal, picture, True), picture[:, ::-1])
    np.testing.assert_array_equal(both(image_ops.flip_horizontal, picture, False), picture)


def test_shift_color_saturates():
    picture = np.concatenate([photograph(20, 30), np.full((1, 30, 3), 255), np.zeros((1, 30, 3))])
    picture = picture.astype("uint8")
    for shift in ([0, 0, 0], [3, -4, 5], [-70, 90, 0], [255, -255, 254]):
        expected = np.clip(picture.astype(int) + shift, 0, 255)
        result = both(image_ops.shift_color, picture, np.array(shift, "int32"))
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == np.uint8


def test_draw_color_shifts_along_principal_components():
    factors = np.random.default_rng(0).normal(0, 0.5, (8000, 3)).astype("float32")
    shifts = both(image_ops.draw_color_shifts, factors)
    np.testing.assert_array_equal(
        shifts, np.round(255 * factors @ (EIGENVALUES[:, None] * EIGENVECTORS.T)).astype(int)
    )


def test_shift_color_by_zero():
    factors = np.array([[1e6, 0, 0], [-1e6, 0, 0]], "float32")
    assert both(image_ops.draw_color_shifts, factors).tolist() == [[-255] * 3, [255] * 3]
