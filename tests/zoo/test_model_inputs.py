import keras
import numpy as np
import pytest

from spp_keras import zoo

SIZES = [(64, 97), (101, 64)]


def photographs(height, width, count=2):
    random = np.random.default_rng((height, width))
    return random.uniform(0, 255, (count, height, width, 3)).astype("float32")


def asked(model, images, boxes):
    return np.asarray(model({"images": images, "boxes": np.array(boxes, "float32")}))


@pytest.fixture(scope="module", params=["zf5_spp", "overfeat5_spp"])
def model(request):
    network = getattr(zoo, request.param)(classes=4, width=0.0625, classifier_activation=None)
    network.layers[-1].kernel.assign(network.layers[-1].kernel * 100)
    return network


@pytest.mark.parametrize("size", SIZES)
def test_the_box_of_the_whole_image_has_the_answer_of_the_image(model, size):
    images, (height, width) = photographs(*size), size
    found = asked(zoo.with_boxes(model), images, 2 * [[(0, 0, width, height)]])
    np.testing.assert_allclose(found[:, 0], model(images), rtol=1e-5, atol=1e-5)


def test_a_box_has_the_answer_of_the_pyramid_over_its_cells_and_of_the_dense_layers():
    model = zoo.zf5_spp(classes=4, width=0.0625, levels=(2, 1), classifier_activation=None)
    maps = keras.Model(model.input, model.get_layer("valid_cells").output[0])
    images = photographs(160, 200, 1)
    # Cells are centered on pixels 14, 30, 46 and so on: 2 to 7 of the columns lie strictly inside
    # of 40 and 130, and 1 to 4 of the rows of 20 and 80.
    cells = np.asarray(maps(images))[0, 1:5, 2:8]
    halves = [
        cells[rows, columns]
        for rows in (np.s_[:2], np.s_[2:])
        for columns in (np.s_[:3], np.s_[3:])
    ]
    x = np.concatenate([part.max(axis=(0, 1)) for part in (*halves, cells)])
    for name in ("fc6", "fc7", "predictions"):
        kernel, bias = map(np.asarray, model.get_layer(name).weights)
        x = x @ kernel + bias if name == "predictions" else np.maximum(x @ kernel + bias, 0)
    found = asked(zoo.with_boxes(model), images, [[(40, 20, 130, 80)]])
    np.testing.assert_allclose(found[0, 0], x, rtol=1e-4, atol=1e-6)


def test_boxes_of_another_format_are_those_boxes(model):
    images = photographs(64, 97)
    corners = asked(zoo.with_boxes(model), images, 2 * [[(10, 5, 80, 60)]])
    sides = asked(zoo.with_boxes(model, "xywh"), images, 2 * [[(10, 5, 70, 55)]])
    np.testing.assert_array_equal(corners, sides)


def test_training_the_network_trains_its_form_for_boxes(model):
    windows = zoo.with_boxes(model)
    assert {id(weight) for weight in windows.weights} == {id(weight) for weight in model.weights}


def test_a_saved_model_for_boxes_loads_and_answers_the_same(model, tmp_path):
    windows, images = zoo.with_boxes(model), photographs(64, 97)
    windows.save(tmp_path / "windows.keras")
    loaded = keras.models.load_model(tmp_path / "windows.keras")
    boxes = 2 * [[(0, 0, 50, 40), (30, 20, 90, 60)]]
    np.testing.assert_array_equal(asked(loaded, images, boxes), asked(windows, images, boxes))


def test_a_network_without_pyramid_has_no_form_for_boxes():
    with pytest.raises(ValueError, match="`model` must begin with `PadRagged`"):
        zoo.with_boxes(zoo.zf5(classes=4, width=0.0625))
    cut = zoo.zf5_spp(include_top=False, width=0.0625)
    with pytest.raises(ValueError, match="`model` must have a trunk of this zoo and the pyramid"):
        zoo.with_boxes(cut)


def test_a_backbone_that_is_not_ours_has_no_form_for_boxes():
    inputs = keras.Input((None, None, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(4, 3, strides=2)(inputs))
    model = zoo.spp_classifier(backbone, 3, levels=(1,), units=())
    with pytest.raises(ValueError, match="`model` must have a trunk of this zoo"):
        zoo.with_boxes(model)
