import exif_files
import numpy as np
import pytest
import tensorflow as tf
from image_files import CONVERTED, GIGAPIXEL, IMAGE, PNG, REFUSAL, UNUSABLE, USABLE
from photographs import decoded, photograph
from photographs import encoded as file_of
from PIL import Image

from spp_keras import data
from spp_keras.data import image_ops, image_rules, inspection, safe_decoding


def in_graph(view=None, min_side=1, orientation="exif", **limits):
    """`decode` as it is served: traced once, for every image."""
    view, limits = view or data.Whole(), image_rules.ImageLimits(**limits)
    return tf.function(
        lambda image: safe_decoding.decode_safely(image, view, min_side, limits, orientation),
        input_signature=[tf.TensorSpec((), tf.string)],
    )


@pytest.fixture(scope="module")
def at_own_size():
    return in_graph()


@pytest.mark.parametrize("kind", USABLE)
def test_decode_safely_decodes_as_training(kind, at_own_size):
    content = USABLE[kind][0]
    pixels, code, reason, size = at_own_size(content)
    assert (int(code), reason.numpy()) == (image_rules.OK, b"")
    assert tuple(size.numpy()) == pixels.shape[:2]
    np.testing.assert_array_equal(pixels, image_ops.decode_image(content))


SAID = {
    "nothing in it": (image_rules.NOT_AN_IMAGE, "is empty"),
    "text": (image_rules.NOT_AN_IMAGE, REFUSAL),
    "animated WebP": (image_rules.UNSUPPORTED, "is an animated WebP image: convert it to JPEG"),
    "1x1": (image_rules.TOO_SMALL, "has 1x1 pixels, fewer than 16 on a side"),
    "15x64": (image_rules.TOO_SMALL, "has 15x64 pixels, fewer than 16 on a side"),
    "20x30000": (
        image_rules.ASPECT_TOO_LARGE,
        "has 20x30000 pixels, one side over 16 times the other",
    ),
    "a palette in BMP": (
        image_rules.UNSUPPORTED,
        "is a BMP image of a kind TensorFlow gets wrong: convert it to JPEG",
    ),
}


@pytest.mark.integration
@pytest.mark.parametrize("kind", UNUSABLE)
def test_decode_safely_refuses_with_a_reason(kind, at_own_size):
    pixels, code, reason, size = at_own_size(UNUSABLE[kind][0])
    expected = SAID.get(kind, (image_rules.DAMAGED, "is cut short or damaged"))
    assert (int(code), reason.numpy().decode()) == expected
    assert (tuple(pixels.shape), size.numpy().tolist()) == ((1, 1, 3), [0, 0])


@pytest.mark.parametrize("kind", CONVERTED)
def test_what_pillow_would_convert_is_refused_by_its_name(kind, at_own_size):
    _, code, reason, _ = at_own_size(CONVERTED[kind])
    assert int(code) == image_rules.UNSUPPORTED
    assert reason.numpy().decode() == f"is {kind} image: convert it to JPEG"
    assert inspection.inspect_image(CONVERTED[kind]).reason == reason.numpy().decode()


@pytest.mark.parametrize("kind", GIGAPIXEL)
def test_gigapixel_is_refused_by_its_header(kind, at_own_size):
    _, code, reason, _ = at_own_size(GIGAPIXEL[kind])
    assert int(code) == image_rules.TOO_LARGE
    assert reason.numpy() == b"has 40000x40000 pixels, more than 64000000"


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"min_side": 48}, image_rules.OK),
        ({"min_side": 49}, image_rules.TOO_SMALL),
        ({"max_pixels": 48 * 64}, image_rules.OK),
        ({"max_pixels": 48 * 64 - 1}, image_rules.TOO_LARGE),
        ({"max_aspect": 64 / 48}, image_rules.OK),
        ({"max_aspect": 1.33}, image_rules.ASPECT_TOO_LARGE),
    ],
)
def test_image_limits_are_inclusive(limits, code):
    assert int(in_graph(**limits)(PNG).code) == code


@pytest.mark.parametrize(("short_side", "answered"), [(29, True), (28, False)])
def test_min_side_applies_to_the_resized_image(short_side, answered):
    _, code, reason, _ = in_graph(data.Whole(short_side=short_side), min_side=29)(PNG)
    assert (int(code) == image_rules.OK) == answered
    refused = b"has 48x64 pixels, which leaves fewer than the 29 on a side that the network can map"
    assert reason.numpy() == (b"" if answered else refused)


@pytest.mark.integration
@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP"])
@pytest.mark.parametrize("size", [(40, 61), (61, 40)])
def test_decode_safely_follows_the_size_policy(form, size):
    picture = Image.fromarray(photograph(*size))
    content = file_of(picture.quantize(64) if form == "GIF" else picture, form)
    whole = in_graph(data.Whole(short_side=20))(content).pixels
    assert tuple(whole.shape[:2]) == tuple(20 if side == 40 else 31 for side in size)
    crop = in_graph(data.Crop(image_sizes=(40,), short_side=40))(content).pixels
    expected = decoded(content)
    first = (np.array(size) - 40) // 2
    expected = expected[first[0] : first[0] + 40, first[1] : first[1] + 40]
    np.testing.assert_array_equal(crop, expected)


@pytest.mark.integration
@pytest.mark.parametrize("form", exif_files.FORMS)
def test_decode_safely_turns_all_orientations_upright(form):
    picture, view = photograph(160, 96), data.Whole(short_side=40)
    decode, as_filed = in_graph(view), in_graph(view, orientation="file")
    files = [exif_files.file(picture, form, index) for index in exif_files.ORIENTATIONS]
    answers = [decode(file) for file in files]
    for index, file, (pixels, code, _, size) in zip(
        exif_files.ORIENTATIONS, files, answers, strict=True
    ):
        assert (int(code), tuple(size.numpy())) == (image_rules.OK, (160, 96))
        difference = np.abs(pixels.numpy().astype(int) - answers[0].pixels.numpy())
        assert difference.max() <= (8 if form == "JPEG" else 0)
        lying = as_filed(file)
        assert tuple(lying.size.numpy()) == exif_files.lying(picture, index).size[::-1]
    small = in_graph(view, max_aspect=1.5)(files[5])
    assert small.reason.numpy() == b"has 160x96 pixels, one side over 1.5 times the other"


def test_bmp_rows_from_top_to_bottom(at_own_size):
    content = bytearray(file_of(IMAGE, "BMP"))
    content[22:26] = (-48).to_bytes(4, "little", signed=True)
    pixels = at_own_size(bytes(content)).pixels
    np.testing.assert_array_equal(pixels, np.asarray(IMAGE)[::-1])


@pytest.mark.integration
@pytest.mark.parametrize(
    "kind", ["JPEG", "palette PNG", "animated GIF", "gray BMP", "WebP with alpha"]
)
def test_damaged_images_never_raise_and_decode_as_in_training(kind):
    content, random = USABLE[kind][0], np.random.default_rng(7)
    decode = in_graph(max_pixels=10**6)
    for _ in range(60):
        damaged = bytearray(content)
        for place in random.integers(0, min(len(content), 200), 3):
            damaged[place] = random.integers(256)
        damaged = bytes(damaged)
        pixels, code, reason, _ = decode(damaged)
        assert (int(code) == image_rules.OK) == (reason.numpy() == b"")
        if int(code) == image_rules.OK and pixels.shape == (48, 64, 3):
            np.testing.assert_array_equal(pixels, image_ops.decode_image(damaged))
