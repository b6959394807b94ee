import keras
import moving_cells
import numpy as np
import oracles
import pytest

from spp_keras import zoo
from spp_keras.zoo import model_parts

SIZES = [(64, 97), (101, 64)]


def make_images(height, width, count=2):
    random = np.random.default_rng((height, width))
    return random.uniform(0, 255, (count, height, width, 3)).astype("float32")


def score_boxes(model, images, boxes):
    return np.asarray(model({"images": images, "boxes": np.array(boxes, "float32")}))


@pytest.fixture(scope="module", params=["zf5_spp", "overfeat5_spp"])
def model(request):
    network = getattr(zoo, request.param)(classes=4, width=0.0625, classifier_activation=None)
    network.layers[-1].kernel.assign(network.layers[-1].kernel * 100)
    return network


@pytest.mark.parametrize("size", SIZES)
def test_the_box_of_the_whole_image_has_the_answer_of_the_image(model, size):
    images, (height, width) = make_images(*size), size
    scores = score_boxes(zoo.with_boxes(model), images, 2 * [[(0, 0, width, height)]])
    np.testing.assert_allclose(scores[:, 0], model(images), rtol=1e-5, atol=1e-5)


def test_a_box_has_the_answer_of_the_pyramid_over_its_cells_and_of_the_dense_layers():
    model = zoo.zf5_spp(classes=4, width=0.0625, levels=(2, 1), classifier_activation=None)
    maps = keras.Model(model.input, model.get_layer("conv5").output)
    images = make_images(160, 200, 1)
    # Cells are centered on pixels 14, 30, 46 and so on: 2 to 7 of the columns lie strictly inside
    # of 40 and 130, and 1 to 4 of the rows of 20 and 80.
    cells = np.asarray(maps(images))[0, 1:5, 2:8]
    quarters = [
        cells[rows, columns]
        for rows in (np.s_[:2], np.s_[2:])
        for columns in (np.s_[:3], np.s_[3:])
    ]
    x = np.concatenate([part.max(axis=(0, 1)) for part in (*quarters, cells)])
    for name in ("fc6", "fc7", "predictions"):
        kernel, bias = map(np.asarray, model.get_layer(name).weights)
        x = x @ kernel + bias if name == "predictions" else np.maximum(x @ kernel + bias, 0)
    scores = score_boxes(zoo.with_boxes(model), images, [[(40, 20, 130, 80)]])
    np.testing.assert_allclose(scores[0, 0], x, rtol=1e-4, atol=1e-6)


def test_boxes_of_another_format_are_those_boxes(model):
    images = make_images(64, 97)
    corners = score_boxes(zoo.with_boxes(model), images, 2 * [[(10, 5, 80, 60)]])
    sides = score_boxes(zoo.with_boxes(model, "xywh"), images, 2 * [[(10, 5, 70, 55)]])
    np.testing.assert_array_equal(corners, sides)


def test_with_boxes_shares_the_weights_of_the_network(model):
    boxes_model = zoo.with_boxes(model)
    assert {id(weight) for weight in boxes_model.weights} == {
        id(weight) for weight in model.weights
    }


def test_a_saved_model_for_boxes_loads_and_answers_the_same(model, tmp_path):
    boxes_model, images = zoo.with_boxes(model), make_images(64, 97)
    boxes_model.save(tmp_path / "boxes.keras")
    loaded = keras.models.load_model(tmp_path / "boxes.keras")
    boxes = 2 * [[(0, 0, 50, 40), (30, 20, 90, 60)]]
    np.testing.assert_array_equal(
        score_boxes(loaded, images, boxes), score_boxes(boxes_model, images, boxes)
    )


def test_with_boxes_refuses_a_network_without_pyramid():
    with pytest.raises(ValueError, match=r"`model` must have a pyramid.*'zf5'.*Flatten"):
        zoo.with_boxes(zoo.zf5(classes=4, width=0.0625))
    cut = zoo.zf5_spp(include_top=False, width=0.0625)
    with pytest.raises(ValueError, match="`model` must pool by a pyramid"):
        zoo.with_boxes(cut)


def test_with_boxes_takes_another_backbone():
    inputs = keras.Input((None, None, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(4, 3, strides=2)(inputs))
    model = zoo.spp_classifier(backbone, 3, levels=(2, 1), units=())
    images = make_images(21, 33)
    scores = score_boxes(zoo.with_boxes(model), images, 2 * [[(0, 0, 33, 21)]])
    np.testing.assert_allclose(scores[:, 0], model(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "stride", "first_center"),
    [
        pytest.param(
            moving_cells.make_small_network,
            8,
            moving_cells.first_center_of_small_network,
            id="small",
        ),
        pytest.param(
            moving_cells.make_mobilenet,
            32,
            moving_cells.first_center_of_mobilenet,
            id="MobileNetV3Small",
            marks=pytest.mark.integration,
        ),
    ],
)
def test_boxes_on_a_backbone_whose_cells_move_with_the_size_of_the_image(
    make, stride, first_center, tmp_path
):
    model = make()
    boxes_model = zoo.with_boxes(model)
    pool = keras.Model(boxes_model.input, boxes_model.get_layer("roi_spp").output)
    boxes_model.save(tmp_path / "boxes.keras")
    loaded = keras.models.load_model(tmp_path / "boxes.keras")
    trunk = model_parts.split_model(model).trunk
    boxes = [(-99, -99, 999, 999), (0, 0, 90, 70), (62, 61, 127, 95), (63, 62, 160, 94.5)]
    for height, width in [(160, 192), (161, 190), (164, 193), (163, 165)]:
        images, firsts = make_images(height, width, 1), [*map(first_center, (height, width))]
        feature_map = np.asarray(trunk(images))[0]
        windows = [
            oracles.window_of_box(box, stride, firsts, *feature_map.shape[:2]) for box in boxes
        ]
        assert len(set(windows)) == 4
        expected = [
            oracles.window_pyramid(feature_map, window, [(2, 2), (1, 1)], "max")
            for window in windows
        ]
        found = pool({"images": images, "boxes": np.array([boxes], "float32")})
        np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-7)
        scores = score_boxes(boxes_model, images, [boxes])
        np.testing.assert_allclose(scores[:, 0], model(images), rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(score_boxes(loaded, images, [boxes]), scores)


@pytest.mark.parametrize(("name", "pooling"), [("zf5_spp", "spp"), ("zf5", "flatten")])
def test_the_parts_of_a_network_give_its_scores(name, pooling):
    model = getattr(zoo, name)(3, width=0.02, classifier_activation=None)
    images = make_images(224, 224, 1)
    parts = model_parts.split_at_pooling(model)
    assert parts.pooling.name == pooling
    vectors = parts.pool(images)
    np.testing.assert_array_equal(parts.apply_top(vectors), model(images))
    np.testing.assert_array_equal(parts.top[-1](parts.apply_hidden(vectors)), model(images))


def test_split_at_pooling_refuses_a_model_that_does_not_pool():
    with pytest.raises(ValueError, match=r"must pool by a pyramid, by `Flatten` or .*'zf5_spp'"):
        model_parts.split_at_pooling(zoo.zf5_spp(include_top=False, width=0.02))
