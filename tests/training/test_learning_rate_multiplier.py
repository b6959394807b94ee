"""Updates of chosen layers are multiplied: beside optimizers written out, and in every use."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from spp_keras import training
from spp_keras.training import LearningRateMultiplier

RATE, DECAY, STEPS = 0.01, 0.1, 30
MULTIPLIERS = {"slow": 0.1, "frozen": 0.0}
FACTORS = (1.0, 0.1, 0.0)


def network():
    """The same on every backend."""
    layers = [
        keras.layers.Dense(5, "tanh", name="frozen"),
        keras.layers.Dense(4, "tanh", name="slow"),
        keras.layers.Dense(2, name="fast"),
    ]
    model, rng = keras.Sequential([keras.Input((3,)), *layers]), np.random.default_rng(3)
    model.set_weights([rng.normal(0, 0.5, x.shape) for x in model.get_weights()])
    return model


def variables():
    """Of the layers fast, slow and frozen, in this order."""
    made = []
    for name in ("fast", "slow", "frozen"):
        layer = keras.layers.Dense(2, bias_initializer="ones", name=name)
        layer.build((3,))
        made.append(layer.kernel)
    return made


def apply(optimizer, weights, gradients):
    optimizer.build(weights)
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in step], weights)
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


def adamw(weight, gradients, rates, decay, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    weight, mean, square = weight.astype("float64"), 0.0, 0.0
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        weight = weight - rate * decay * weight
        mean = beta_1 * mean + (1 - beta_1) * gradient
        square = beta_2 * square + (1 - beta_2) * gradient**2
        alpha = rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
        weight = weight - alpha * mean / (np.sqrt(square) + epsilon)
    return weight


def sgd(weight, gradients, rates, decay, momentum=0.9):
    weight, velocity = weight.astype("float64"), 0.0
    for gradient, rate in zip(gradients, rates, strict=True):
        weight = weight - rate * decay * weight
        velocity = momentum * velocity - rate * gradient
        weight = weight + velocity
    return weight


def halve_once(step):
    return 0.5 if step >= 10 else 1.0


@pytest.mark.parametrize(
    ("create", "expect"),
    [
        (lambda rate: keras.optimizers.AdamW(rate, weight_decay=DECAY), adamw),
        (lambda rate: keras.optimizers.SGD(rate, momentum=0.9, weight_decay=DECAY), sgd),
    ],
    ids=["adamw", "sgd"],
)
@pytest.mark.parametrize("scheduled", [False, True])
def test_a_layer_learns_as_with_a_rate_of_its_own(create, expect, scheduled):
    rate = RATE
    if scheduled:
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([9], [RATE, RATE / 2])
    weights, rng = variables(), np.random.default_rng(0)
    begun = [weight.numpy() for weight in weights]
    gradients = [[rng.normal(size=x.shape).astype("float32") for x in begun] for _ in range(STEPS)]
    found = apply(LearningRateMultiplier(create(rate), MULTIPLIERS), weights, gradients)
    rates = [RATE * (halve_once(step) if scheduled else 1) for step in range(STEPS)]
    for index, factor in enumerate(FACTORS):
        expected = expect(
            begun[index],
            [step[index].astype("float64") for step in gradients],
            np.multiply(rates, factor),
            DECAY,
        )
        np.testing.assert_allclose(found[index], expected, rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(found[2], begun[2])
    assert np.abs(found[1] - begun[1]).max() > 1e-3


def data():
    rng = np.random.default_rng(1)
    return rng.normal(size=(24, 3)).astype("float32"), rng.normal(size=(24, 2)).astype("float32")


def compiled(**options):
    model = network()
    model.compile(
        LearningRateMultiplier(keras.optimizers.Adam(0.05), MULTIPLIERS), "mse", **options
    )
    return model


def test_fit_updates_with_callbacks_that_set_the_rate():
    model, (x, y) = compiled(), data()
    frozen = model.get_layer("frozen").get_weights()
    drop = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=1e9)
    history = model.fit(x, y, epochs=3, callbacks=[drop], verbose=0, shuffle=False).history
    np.testing.assert_allclose(history["learning_rate"], [0.05, 0.05, 0.005], rtol=1e-5)
    for one, other in zip(frozen, model.get_layer("frozen").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_model_saved_with_its_optimizer_goes_on(tmp_path, run_eagerly):
    model, (x, y) = compiled(run_eagerly=run_eagerly), data()
    model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.multipliers == MULTIPLIERS
    for one in (model, loaded):
        one.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for one, other in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
    for one, other in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_it_has_the_state_of_the_optimizer_inside():
    model, (x, y) = compiled(), data()
    model.fit(x, y, epochs=1, verbose=0)
    plain = network()
    plain.compile(keras.optimizers.Adam(0.05), "mse")
    plain.fit(x, y, epochs=1, verbose=0)
    shapes = [[tuple(x.shape) for x in one.optimizer.variables] for one in (model, plain)]
    assert shapes[0] == shapes[1]
    assert int(model.optimizer.iterations) == 1
    again = LearningRateMultiplier(keras.optimizers.Adam(0.05), MULTIPLIERS)
    again.build(model.trainable_variables)
    again.set_weights([variable.numpy() for variable in model.optimizer.variables])
    assert int(again.iterations) == 1


@pytest.fixture
def half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.usefixtures("half_precision")
def test_in_half_precision_losses_are_scaled_around_it():
    model, (x, y) = compiled(), data()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    frozen, slow = (model.get_layer(name).kernel.numpy() for name in ("frozen", "slow"))
    model.fit(x, y, epochs=6, verbose=0)
    # Without the steps in which scaled gradients are infinite.
    steps = int(model.optimizer.iterations)
    assert steps >= 2
    np.testing.assert_array_equal(model.get_layer("frozen").kernel, frozen)
    moved = np.abs(model.get_layer("slow").kernel.numpy() - slow).max()
    # A step of Adam is about as long as the learning rate.
    assert 0.003 < moved < steps * 0.1 * 0.05 * 1.5


def test_accumulated_gradients_are_applied_once():
    optimizer = keras.optimizers.SGD(1.0, gradient_accumulation_steps=2)
    weights = variables()
    begun = weights[1].numpy()
    ones = [np.ones(weight.shape, "float32") for weight in weights]
    found = apply(LearningRateMultiplier(optimizer, MULTIPLIERS), weights, [ones] * 4)
    np.testing.assert_allclose(found[1], begun - 2 * 0.1, rtol=1e-6)


@pytest.mark.parametrize(
    ("multipliers", "factors"),
    [
        ({"block": 0.5}, [0.5, 0.5, 1.0]),
        ({"block": 0.5, "block/one": 0.25}, [0.25, 0.5, 1.0]),
        ({"one": 0.5}, [0.5, 1.0, 0.5]),
        ({"block/two/kernel": 2}, [1.0, 2.0, 1.0]),
    ],
)
def test_names_are_those_of_paths(multipliers, factors):
    made = []
    for path in ("block/one", "block/two", "net/one"):
        outer, inner = path.split("/")
        with keras.name_scope(outer), keras.name_scope(inner):
            made.append(keras.Variable(np.zeros(2, "float32"), name="kernel"))
    optimizer = LearningRateMultiplier(keras.optimizers.SGD(1.0), multipliers)
    found = apply(optimizer, made, [[-np.ones(2, "float32")] * 3])
    np.testing.assert_allclose([x[0] for x in found], factors)


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: LearningRateMultiplier("adam", {}), "`optimizer` must be a `keras.optimizers"),
        (
            lambda: LearningRateMultiplier(keras.optimizers.Adam(use_ema=True), {}),
            "leave `use_ema` out",
        ),
        (
            lambda: LearningRateMultiplier(
                keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), {}
            ),
            "loss scaling is put around",
        ),
        (
            lambda: LearningRateMultiplier(keras.optimizers.Adam(), {"conv1": -1}),
            r"`multipliers\['conv1'\]` must be a number >= 0\. Received: .*=-1",
        ),
        (
            lambda: LearningRateMultiplier(keras.optimizers.Adam(), {"conv9": 1}).build(
                variables()
            ),
            "must name layers whose variables are trained: fast, slow, frozen. Received: 'conv9'",
        ),
    ],
)
def test_errors_say_what_to_do(create, message):
    with pytest.raises(ValueError, match=message):
        create()


ON_JAX = """
import sys
import numpy as np
from test_learning_rate_multiplier import compiled, data

model, (x, y) = compiled(), data()
model.fit(x, y, epochs=3, verbose=0, shuffle=False)
np.savez(sys.argv[1], *model.get_weights())
"""


def run_here(code, *arguments, **environment):
    folder = __file__.rpartition("/")[0]
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env=os.environ | environment,
        timeout=300,
        capture_output=True,
        text=True,
    )


@pytest.mark.integration
def test_on_jax_it_learns_what_it_does_on_tensorflow(tmp_path):
    path = tmp_path / "weights.npz"
    done = run_here(ON_JAX, path, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    assert done.returncode == 0, done.stderr[-3000:]
    model, (x, y) = compiled(), data()
    with np.load(path) as stored:
        found = [stored[name] for name in stored.files]
    model.fit(x, y, epochs=3, verbose=0, shuffle=False)
    for one, other in zip(found, model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def compare_devices():
    """Two devices train to what one does."""
    strategy = training.choose_strategy(devices=2)
    results = []
    for scope in (tf.distribute.get_strategy().scope(), strategy.scope()):
        with scope:
            model = compiled()
        frozen = model.get_layer("frozen").kernel.numpy()
        x, y = data()
        model.fit(x, y, batch_size=8, epochs=3, verbose=0, shuffle=False)
        np.testing.assert_array_equal(model.get_layer("frozen").kernel.numpy(), frozen)
        results.append(model.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.integration
def test_two_devices_learn_what_one_does():
    code = "import test_learning_rate_multiplier as tests; tests.compare_devices(); print('same')"
    code += "; import os, sys; sys.stdout.flush(); os._exit(0)"
    done = run_here(code)
    assert done.stdout == "same\n", done.stderr[-3000:]
