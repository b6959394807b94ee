"""Converted networks on the backend that Keras has, see `test_other_runtimes.py`."""

import any_size_cases
import backends
import keras
import numpy as np
import pytest
import small_networks

from spp_keras import any_size
from spp_keras.models.graph_run import find_entrance

pytestmark = pytest.mark.integration

SIZES = ((40, 58), (62, 34), (50, 50))


@pytest.fixture(scope="module")
def original():
    return any_size_cases.randomize(small_networks.every_rule())


@pytest.fixture(scope="module")
def model(original):
    return any_size(original)


@pytest.fixture(scope="module")
def images():
    return any_size_cases.make_images(SIZES)


@pytest.fixture(scope="module")
def alone(original, images):
    return [[backends.as_numpy(original(image[None]))] for image in images]


def make_inputs(form, model, images):
    """Inputs in a form, and the image of each row of the answers."""
    if form == "padded":
        return any_size_cases.pad(images), range(len(images))
    return any_size_cases.pack(images, find_entrance(model).canvas_rules)


@pytest.mark.parametrize("form", ["padded", "packed"])
def test_an_image_gets_its_answer_alone(form, model, images, alone):
    inputs, order = make_inputs(form, model, images)
    for call in (lambda x: model(x), lambda x: model.predict_on_batch(x)):
        answers = backends.as_numpy(call(inputs))
        assert any_size_cases._measure(alone, answers, order) < 1e-5


@pytest.mark.parametrize("form", ["padded", "packed"])
def test_a_compiled_call_gives_the_same_answers(form, model, images, alone):
    inputs, order = make_inputs(form, model, images)
    tensors = {name: keras.ops.convert_to_tensor(value) for name, value in inputs.items()}
    answers = backends.as_numpy(backends.compiled(lambda x: model(x))(tensors))
    assert any_size_cases._measure(alone, answers, order) < 1e-5


def test_a_dense_batch_runs_the_operations_of_the_original(original, model, images):
    batch = np.stack([images[0], images[0][::-1]])
    np.testing.assert_array_equal(
        backends.as_numpy(model(batch)), backends.as_numpy(original(batch))
    )


def test_a_training_on_canvases_moves_every_kernel(original, model, images):
    before = original.get_weights()
    inputs, order = make_inputs("packed", model, images)
    model.compile(keras.optimizers.SGD(0.01), "mse")
    loss = model.train_on_batch(inputs, np.ones((len(order), 3)))
    assert np.isfinite(loss)
    for weight, value in zip(original.weights, before, strict=True):
        now = backends.as_numpy(weight.value)
        assert np.isfinite(now).all()
        # Biases before a normalization have no effect; `Normalization` learns nothing.
        constant = weight.name == "bias" or weight.path.startswith("normalization")
        assert (now != value).any() or constant
    original.set_weights(before)


def test_files_and_weights_load(original, model, images, alone, tmp_path):
    model.save(tmp_path / "any.keras")
    again = keras.models.load_model(tmp_path / "any.keras")
    inputs, order = make_inputs("packed", model, images)
    assert any_size_cases._measure(alone, backends.as_numpy(again(inputs)), order) < 1e-5
    original.save_weights(tmp_path / "old.weights.h5")
    other = any_size(any_size_cases.randomize(small_networks.every_rule(), seed=5))
    other.load_weights(tmp_path / "old.weights.h5")
    assert any_size_cases._measure(alone, backends.as_numpy(other(inputs)), order) < 1e-5
