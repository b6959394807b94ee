import keras
import numpy as np
import pytest
import tensorflow as tf

from spp_keras import zoo
from spp_keras.models import range_check

LABELS = np.array([0, 1, 2, 0])
UNIT = np.random.default_rng(0).uniform(0, 1, (4, 32, 40, 3)).astype("float32")
RANGE = (
    r"'zf5_spp' expects images with values 0\.\.255, and all values of these lie between 0 and 1"
)


def network():
    model = zoo.zf5_spp(classes=3, width=0.02)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def dataset(images):
    return tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(2)


def fit(model, images):
    data = dataset(images)
    history = model.fit(data, validation_data=data, shuffle=False, verbose=0).history
    assert sorted(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]


ASK = {
    "fit": fit,
    "evaluate": lambda model, images: model.evaluate(dataset(images), verbose=0),
    "predict": lambda model, images: model.predict(images, verbose=0),
    "call": lambda model, images: model(images),
}


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK.keys())
def test_images_scaled_to_one_are_warned_of_once_and_only_they(ask):
    model = network()
    # Black ones may be of any range. Warnings are errors in these tests.
    ask(model, np.zeros_like(UNIT))
    with pytest.warns(UserWarning, match=RANGE) as records:
        ask(model, UNIT)
    assert len(records) == 1
    ask(model, UNIT)


@pytest.mark.integration
@pytest.mark.parametrize("ask", ["fit", "call"])
@pytest.mark.parametrize(
    "pixels",
    [255 * UNIT, UNIT - 0.5, (2 * UNIT).astype("uint8")],
    ids=["bytes", "around 0", "integers"],
)
def test_other_ranges_and_integers_are_warned_of_in_nothing(ask, pixels):
    ASK[ask](network(), pixels)


@pytest.mark.integration
def test_every_form_is_looked_at():
    sizes = np.full((4, 2), 30)
    ragged = tf.ragged.stack([UNIT[0], UNIT[1, :30]])
    for images in ({"images": UNIT, "sizes": sizes}, [UNIT, sizes], ragged, UNIT.astype("float16")):
        with pytest.warns(UserWarning, match=RANGE):
            network()(images)
        with pytest.warns(UserWarning, match=RANGE):
            network().predict(images, verbose=0)


def test_a_backbone_with_a_range_of_its_own_is_left_alone():
    images = keras.Input((None, None, 3))
    backbone = keras.Model(images, keras.layers.Conv2D(4, 3)(images))
    zoo.spp_classifier(backbone, 3, levels=(1,), units=())(UNIT)


def test_black_images_decide_nothing_and_brighter_ones_of_another_replica_do():
    check = range_check.RangeCheck("zf5_spp")
    codes = [float(check.compute_code(images)) for images in (0 * UNIT, UNIT, 2 * UNIT)]
    check.read_code(codes[0])
    assert not check.done
    # The mean over replicas, of which one had brighter images.
    check.read_code(np.mean([codes[0], codes[2]]))
    assert check.done
    with pytest.warns(UserWarning, match=RANGE):
        range_check.RangeCheck("zf5_spp").read_code(np.mean(codes[:2]))
    assert range_check.RangeCheck("zf5_spp").compute_code(tf.zeros((0, 3, 3, 3))) == 0


def test_images_without_a_number_are_warned_of_in_nothing():
    network()(np.where(UNIT > 0.5, np.nan, UNIT))


def test_traced_calls_have_nothing_of_it():
    model = network()
    tf.function(model)(UNIT)
    graph = tf.function(model).get_concrete_function(tf.TensorSpec((None, 32, 40, 3))).graph
    assert not {"PyFunc", "EagerPyFunc", "Min"} & {node.type for node in graph.get_operations()}
