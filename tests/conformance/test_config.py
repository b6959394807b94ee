import inspect
import json

import keras
import numpy as np
from conformance.subjects import arrays, every_subject


@every_subject
def test_the_config_names_every_constructor_argument(subject):
    layer = subject.create()
    arguments = inspect.signature(type(layer)).parameters
    assert set(arguments) - {"kwargs"} <= set(layer.get_config())


@every_subject
def test_a_layer_from_its_config_has_the_same_config(subject):
    layer = subject.create(name="layer", dtype="float64", trainable=False)
    config = layer.get_config()
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == config
    assert config["name"] == again.name == "layer"
    assert again.compute_dtype == "float64"
    assert again.trainable is False


@every_subject
def test_a_layer_read_back_from_json_gives_the_same_answers(subject):
    layer, arguments = subject.create(), subject.inputs(13, 9)
    expected = arrays(layer(**arguments))
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(again) is type(layer)
    found = again(**arguments)
    again.set_weights(layer.get_weights())
    found = arrays(again(**arguments))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@every_subject
def test_a_layer_is_registered_under_our_package(subject):
    layer = type(subject.create())
    assert keras.saving.get_registered_name(layer) == f"spp_keras>{layer.__name__}"
