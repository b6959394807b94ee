import inspect

import keras
from conformance.subjects import SUBJECTS, every_subject

from spp_keras import layers


def test_every_public_layer_is_a_subject():
    public = {
        value
        for name, value in vars(layers).items()
        if not name.startswith("_") and inspect.isclass(value)
    }
    assert {type(subject.create()) for subject in SUBJECTS} == public
    assert all(issubclass(layer, keras.layers.Layer) for layer in public)


def test_every_call_argument_is_tried_by_a_subject():
    for layer in {type(subject.create()) for subject in SUBJECTS}:
        tried = {
            argument
            for subject in SUBJECTS
            if type(subject.create()) is layer
            for argument in subject.shapes
        }
        # `training` is no tensor.
        assert tried == set(inspect.signature(layer.call).parameters) - {"self", "training"}


def test_every_subject_has_its_own_name():
    names = [subject.name for subject in SUBJECTS]
    assert len(set(names)) == len(names)


@every_subject
def test_a_subject_states_the_shapes_of_what_it_gives(subject):
    arguments = subject.inputs(13, 9)
    assert list(arguments) == list(subject.shapes)
    for name, shape in subject.shapes.items():
        for known, side in zip(shape, arguments[name].shape, strict=True):
            assert known in (None, side)
