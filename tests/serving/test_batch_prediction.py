import keras
import numpy as np
import pytest
from photographs import encoded, photograph
from PIL import Image

from spp_keras import layers, zoo
from spp_keras.serving import predict_images

SIZES = [(40, 61), (90, 33), (40, 61), (47, 52), (30, 44), (64, 64), (35, 80)]
PIXELS = [photograph(*size, seed=number) for number, size in enumerate(SIZES)]


def with_backbone():
    images = keras.Input((None, None, 3))
    maps = keras.layers.Rescaling(1 / 255)(images)
    maps = keras.layers.Conv2D(4, 5, strides=4, activation="relu")(maps)
    return zoo.spp_classifier(keras.Model(images, maps), classes=5, levels=(2, 1), units=(8,))


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(1)
    found = {
        "zoo": zoo.zf5_spp(classes=5, width=0.02, levels=(2, 1)),
        "backbone": with_backbone(),
    }
    for model in found.values():
        last = model.layers[-1]
        # Scores that differ.
        last.kernel.assign(last.kernel * 30)
    return found


@pytest.fixture
def model(models):
    return models["zoo"]


def alone(model, pixels):
    return np.concatenate([model(image[np.newaxis].astype("float32")) for image in pixels])


@pytest.mark.parametrize("name", ["zoo", "backbone"])
def test_images_of_every_kind_have_the_scores_that_each_has_alone(name, models, tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(encoded(PIXELS[number]))
    images = [
        str(tmp_path / "0.png"),
        tmp_path / "1.png",
        encoded(PIXELS[2]),
        Image.fromarray(PIXELS[3]),
        PIXELS[4],
        PIXELS[5].astype("float64"),
        PIXELS[6].astype("int32"),
    ]
    scores = predict_images(models[name], images, batch_size=3)
    expected = alone(models[name], PIXELS)
    assert np.ptp(expected, axis=0).max() > 0.05
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_neighbors_make_batches_within_a_budget_and_are_read_when_due(model, monkeypatch):
    read, batches = [], []
    answer = model.predict_on_batch

    def spied(images):
        shapes = [tuple(image.bounding_shape().numpy()[:2]) for image in images]
        batches.append((shapes, len(read)))
        return answer(images)

    def images():
        for number, image in enumerate([*PIXELS[:3], photograph(200, 150), *PIXELS[3:]]):
            read.append(number)
            yield image

    monkeypatch.setattr(model, "predict_on_batch", spied)
    scores = predict_images(model, images(), batch_size=2, max_pixels=6000)
    assert scores.shape == (8, 5)
    assert batches == [
        # Each with the one read ahead; padded to 90x61 these would be 10,980 pixels.
        ([(40, 61), (90, 33)], 3),
        ([(40, 61)], 4),
        ([(200, 150)], 5),
        ([(47, 52), (30, 44)], 7),
        ([(64, 64)], 8),
        ([(35, 80)], 8),
    ]


def test_a_model_that_pads_ragged_batches_gets_batches_that_fit_padded(monkeypatch):
    images = keras.Input((None, None, 3))
    entrance = layers.PadRagged(canvas_rules=None)
    maps, sizes = entrance(images)
    pooled = layers.SpatialPyramidPooling(levels=(1,))(maps, sizes)
    model = zoo.ImageModel(images, pooled)
    counts = []
    answer = model.predict_on_batch
    monkeypatch.setattr(
        model,
        "predict_on_batch",
        lambda images: counts.append(int(images.nrows())) or answer(images),
    )
    scores = predict_images(model, PIXELS[:2], max_pixels=6000)
    np.testing.assert_allclose(scores, [image.max(axis=(0, 1)) for image in PIXELS[:2]])
    assert counts == [1, 1]


def test_no_images_have_no_scores(model):
    assert predict_images(model, []).shape == (0, 5)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (b"Not found", ValueError, r"`images\[1\]` is no JPEG"),
        (encoded(PIXELS[0])[:500], ValueError, r"`images\[1\]` is cut short or damaged"),
        ("gone.jpg", FileNotFoundError, r"gone\.jpg"),
        (np.zeros((40, 50)), ValueError, r"`images\[1\]` must be \(height, width, 3\), RGB"),
        (np.zeros((0, 50, 3)), ValueError, r"`images\[1\]` must be .*Received: shape \(0, 50, 3\)"),
        (np.zeros((40, 20, 3)), ValueError, r"`images\[1\]` must be at least 29 pixels.*40x20"),
    ],
)
def test_what_cannot_be_answered_for_is_named(model, image, error, message):
    with pytest.raises(error, match=message):
        predict_images(model, [PIXELS[0], image])


def test_pixels_from_0_to_1_have_a_warning_and_dark_bytes_have_none(model):
    dark = np.zeros((40, 40, 3), "uint8")
    dark[::2] = 1
    # The first images that a model is given decide.
    model = zoo.ImageModel(model.input, model.output, name="pets")
    predict_images(model, [dark])
    with pytest.warns(UserWarning, match=r"'pets' expects images with values 0\.\.255"):
        predict_images(model, [PIXELS[0] / 255])


def test_a_broken_file_is_named_by_its_path(model, tmp_path):
    (tmp_path / "text.jpg").write_text("Not found")
    with pytest.raises(ValueError, match=r"`images\[0\]` \(.*text\.jpg\) is no JPEG"):
        predict_images(model, [tmp_path / "text.jpg"])


@pytest.mark.parametrize("image", ["photo.jpg", b"", PIXELS[0], Image.new("RGB", (40, 40))])
def test_one_image_is_no_list(model, image):
    with pytest.raises(TypeError, match=r"for one image give `\[image\]`"):
        predict_images(model, image)


def test_a_network_of_one_size_takes_images_of_that_size_alone():
    model = zoo.zf5(classes=3, width=0.02, input_shape=(61, 61, 3))
    fitting = [photograph(61, 61, seed=number) for number in range(3)]
    found = predict_images(model, iter(fitting), batch_size=2)
    np.testing.assert_allclose(found, alone(model, fitting), atol=1e-6)
    with pytest.raises(ValueError, match=r"`images\[1\]` must have 61x61 pixels.*40x61 pixels"):
        predict_images(model, [fitting[0], PIXELS[0]])


def test_a_network_without_a_vector_for_an_image_is_refused():
    maps = zoo.zf5_spp(include_top=False, width=0.02)
    with pytest.raises(ValueError, match="`model` must have one vector of scores for an image"):
        predict_images(maps, PIXELS)
