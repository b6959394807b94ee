import functools
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from mixed_batches import alone, assert_close, padded

from spp_keras import zoo

SIZES = [(60, 81), (93, 47), (70, 70), (41, 66)]


def built(name="zf5_spp", **options):
    """A small network whose biases are not zero: with those, padding would hide its mistakes."""
    keras.utils.set_random_seed(0)
    options = {"classes": 3, "width": 0.02, "classifier_activation": None, "dropout": 0, **options}
    model = getattr(zoo, name)(**options)
    generator = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            layer.bias.assign(generator.uniform(-0.3, 0.3, layer.bias.shape))
    return model


cached = functools.cache(built)


def images_of(sizes=SIZES, seed=7):
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (*size, 3)).astype("float32") for size in sizes]


def batches(images, filler=np.nan):
    """One batch of images in every form that may mix sizes."""
    sized, ragged = padded(images, filler), tf.ragged.stack(images)
    return {
        "ragged": ragged,
        "a dictionary with sizes": sized,
        "a dictionary of ragged images": {"images": ragged},
        "a list with sizes": [sized["images"], sized["sizes"]],
        "a tuple with sizes": (sized["images"], sized["sizes"]),
    }


def one_size(images):
    """Images of one size in every form."""
    dense = np.stack(images)
    sizes = np.full((len(images), 2), dense.shape[1:3])
    return {
        "dense": dense,
        "a dictionary": {"images": dense},
        "a list of one": [dense],
        "a dictionary with sizes": {"images": dense, "sizes": sizes},
    }


def own_backbone():
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(images)
    backbone = keras.Model(images, keras.layers.Conv2D(4, 3, strides=3, padding="same")(x))
    return zoo.spp_classifier(backbone, 3, levels=(2, 1), units=(), classifier_activation=None)


def reloaded(tmp_path):
    cached().save(tmp_path / "model.keras")
    return keras.models.load_model(tmp_path / "model.keras")


def cloned(_):
    model = keras.models.clone_model(cached())
    model.set_weights(cached().get_weights())
    return model


def reloaded_sized(tmp_path):
    zoo.with_sizes(cached()).save(tmp_path / "sized.keras")
    return keras.models.load_model(tmp_path / "sized.keras")


MODELS = {
    "zf5_spp": lambda _: cached(),
    "with_sizes": lambda _: zoo.with_sizes(cached()),
    "reloaded": reloaded,
    "reloaded with_sizes": reloaded_sized,
    "clone": cloned,
    "maps": lambda _: cached(include_top=False),
    "vectors of a network for one size": lambda _: cached("zf5", include_top=False, pooling="avg"),
    "any backbone": lambda _: own_backbone(),
}


@pytest.mark.parametrize("create", MODELS.values(), ids=MODELS.keys())
def test_a_call_answers_alike_in_every_form(create, tmp_path):
    model, images = create(tmp_path), images_of()
    expected = [np.asarray(model(image[np.newaxis]))[0] for image in images]
    for batch in batches(images).values():
        for actual, own in zip(np.asarray(model(batch)), expected, strict=True):
            # A map of the batch is as large as its largest image has it.
            assert_close(actual[tuple(slice(length) for length in own.shape)], own)
    images = images_of([(64, 80)] * 3)
    expected = model(np.stack(images))
    for batch in one_size(images).values():
        assert_close(model(batch), expected)


@pytest.mark.parametrize(
    "form", [lambda model: model, zoo.with_sizes], ids=["itself", "with_sizes"]
)
def test_predict_answers_alike_in_every_form(form):
    model, images = form(cached()), images_of()
    expected = alone(model, images)
    for name in ("ragged", "a dictionary with sizes", "a tuple with sizes"):
        assert_close(model.predict(batches(images)[name], batch_size=2, verbose=0), expected)
    assert_close(model.predict({"images": images[0][np.newaxis]}, verbose=0), expected[:1])


def test_padding_with_sizes_is_not_padding_without():
    model, images = cached(), images_of()
    without = np.asarray(model(padded(images, filler=0)["images"]))
    assert np.abs(without - alone(model, images)).max() > 0.01 * np.abs(without).max()


def as_dataset(batch, count):
    """Batches of two with labels and weights, as the pipeline sends them."""
    labels = np.arange(count) % 3
    weights = np.linspace(0.5, 1.5, count, dtype="float32")
    data = tf.data.Dataset.from_tensor_slices((batch, labels, weights))
    return data.batch(2)


def learned(model, data):
    """All that comes of a training: losses and accuracies, answers and weights."""
    model.compile(
        keras.optimizers.SGD(0.01, 0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=["accuracy"],
    )
    history = model.fit(data, shuffle=False, verbose=0).history
    answers = model.predict(data.map(lambda *batch: batch[0]), verbose=0)
    return [*history.values(), model.evaluate(data, verbose=0), answers, *model.get_weights()]


@pytest.mark.integration
def test_fit_and_evaluate_do_alike_in_every_form():
    images, results = images_of(), []
    for name in ("ragged", "a dictionary with sizes"):
        data = as_dataset(batches(images, filler=7)[name], len(images))
        results.append(learned(built(), data))
    for ragged, sized in zip(*results, strict=True):
        np.testing.assert_allclose(sized, ragged, rtol=1e-4, atol=1e-6)
    for now, then in zip(results[0][-len(built().weights) :], built().get_weights(), strict=True):
        assert np.abs(now - then).max() > 1e-4 * np.abs(then).max()


ON_TWO_DEVICES = """
import json, os, sys
import numpy as np
from spp_keras import training
strategy = training.choose_strategy(devices=2)
sys.path[:0] = sys.argv[1:]
import test_image_model as tests

images = tests.images_of()
ragged = tests.as_dataset(tests.batches(images)["ragged"], len(images))
expected = tests.learned(tests.built(), ragged)
differences = {}
for name in ("ragged", "a dictionary with sizes"):
    data = tests.as_dataset(tests.batches(images, filler=7)[name], len(images))
    with strategy.scope():
        actual = tests.learned(tests.built(), data)
    pairs = zip(actual, expected, strict=True)
    differences[name] = max(float(np.abs(np.subtract(*pair)).max()) for pair in pairs)
print(json.dumps([strategy.num_replicas_in_sync, differences]), flush=True)
os._exit(0)
"""


@pytest.mark.exhaustive
@pytest.mark.integration
def test_two_devices_do_what_one_does_in_every_form():
    folders = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    command = [sys.executable, "-c", ON_TWO_DEVICES, *folders]
    done = subprocess.run(command, timeout=600, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    replicas, differences = json.loads(done.stdout.splitlines()[-1])
    assert replicas == 2
    assert list(differences) == ["ragged", "a dictionary with sizes"]
    assert max(differences.values()) < 1e-4, differences


# Nothing is dropped.

SIZES_ARE_REFUSED = r"Missing data for input \"images_without_sizes\".*'images', 'sizes'"


def cut(model):
    return keras.Model(model.input, model.get_layer("fc7").output)


def from_0_1_0(model):
    """The model as a file of 0.1.0 has it: an ordinary functional one, its input named `images`."""
    config = json.dumps(model.get_config()).replace("images_without_sizes", "images")
    return keras.Model.from_config(json.loads(config))


PLAIN = {
    "cut": cut,
    "clone of a cut one": lambda model: keras.models.clone_model(cut(model)),
    "from 0.1.0": from_0_1_0,
    "from its config": lambda model: keras.Model.from_config(model.get_config()),
}


@pytest.mark.parametrize("create", PLAIN.values(), ids=PLAIN.keys())
def test_a_plain_functional_model_refuses_sizes_and_with_sizes_takes_them(create):
    model, images = create(cached()), images_of()
    expected = alone(model, images)
    assert_close(model(tf.ragged.stack(images)), expected)
    for ask in (model, functools.partial(model.predict, verbose=0)):
        with pytest.raises(ValueError, match=SIZES_ARE_REFUSED):
            ask(padded(images))
    with pytest.raises(ValueError, match=r"expects 1 .*received 2 input tensors"):
        model(list(padded(images).values()))
    assert_close(zoo.with_sizes(model)(padded(images)), expected)


def test_an_exported_model_refuses_the_forms_that_its_signature_does_not_have(tmp_path):
    model, images = cached(), images_of()
    model.export(tmp_path / "model", verbose=False)
    again = tf.saved_model.load(tmp_path / "model")
    assert_close(again.serve(images[0][np.newaxis]), alone(model, images[:1]))
    # The argument has the name that it always had.
    answers = again.signatures["serving_default"](images=tf.constant(images[0][np.newaxis]))
    assert_close(next(iter(answers.values())), alone(model, images[:1]))
    for batch in batches(images).values():
        with pytest.raises(TypeError, match="Binding inputs"):
            again.serve(batch)


IMAGES = np.zeros((2, 40, 50, 3), "float32")
PAIRS = np.array([[40, 50], [40, 30]])
NOT_TAKEN = {
    "a key that it does not know": (
        {"images": IMAGES, "size": PAIRS},
        r"'zf5_spp'.*keys \['images'\] and may have 'sizes' or 'placements'\. "
        r"Received.*\['images', 'size'\]",
    ),
    "no images": ({"sizes": PAIRS}, r"Received: a dictionary with the keys \['sizes'\]"),
    "a list of images": (
        [IMAGES[0], IMAGES[1, :30]],
        r"\[images, sizes\].*`tf\.ragged\.stack`\. Received: a list of 2, the last of shape \(30,",
    ),
    "a longer list": ([IMAGES[0]] * 3, r"Received: a list of 3"),
    "ragged images with sizes": (
        {"images": tf.ragged.stack(list(IMAGES)), "sizes": PAIRS},
        "`sizes` must be None for ragged `images`",
    ),
    "sizes of another batch": (
        {"images": IMAGES, "sizes": PAIRS[:1]},
        r"`sizes` must have|for each item",
    ),
}


@pytest.mark.parametrize(("inputs", "message"), NOT_TAKEN.values(), ids=NOT_TAKEN.keys())
def test_what_is_no_form_is_refused_by_name(inputs, message):
    with pytest.raises(ValueError, match=message):
        cached()(inputs)


def test_a_model_that_mixes_no_sizes_refuses_them():
    fixed = zoo.zf5(input_shape=(90, 80, 3), classes=3, width=0.02)
    assert fixed({"images": np.zeros((1, 90, 80, 3))}).shape == (1, 3)
    batch = {"images": np.zeros((1, 90, 80, 3)), "sizes": np.array([[80, 80]])}
    boxes = {"boxes": np.array([[[0, 0, 40, 40]]], "float32")}
    for model, inputs in ((fixed, batch), (zoo.with_boxes(cached()), {**batch, **boxes})):
        with pytest.raises(ValueError, match=r"does not mix sizes, .* Received: .*'sizes'"):
            model(inputs)


# What a functional model can, it can.


def test_a_dense_batch_costs_what_it_costs_a_plain_functional_model():
    def kinds(model):
        spec = tf.TensorSpec((None, None, None, 3))
        graph = tf.function(model).get_concrete_function(spec).graph
        return sorted(node.type for node in graph.get_operations())

    plain = keras.Model.from_config(cached().get_config())
    assert kinds(cached()) == kinds(plain)
    sized = {"images": tf.TensorSpec((None, None, None, 3)), "sizes": tf.TensorSpec((None, 2))}
    graph = tf.function(cached()).get_concrete_function(sized).graph
    assert len(graph.get_operations()) > len(kinds(plain))


def test_a_model_is_a_layer_of_a_larger_one():
    model, images = cached(), images_of()
    inputs = {"images": keras.Input((None, None, 3), name="images")}
    inputs["sizes"] = keras.Input((2,), dtype="int32", name="sizes")
    larger = keras.Model(inputs, keras.layers.Rescaling(2.0)(model(inputs)))
    assert larger.output_shape == (None, 3)
    assert_close(larger(padded(images)), 2 * alone(model, images))
    dense = keras.Model(inputs["images"], zoo.with_sizes(model)(inputs["images"]))
    assert_close(dense(images[0][np.newaxis]), alone(model, images[:1]))


def test_training_reaches_dropout_in_every_form():
    model, images = built(dropout=0.9), images_of([(64, 64)] * 4)
    for batch in (*batches(images).values(), *one_size(images).values()):
        quiet, noisy = np.asarray(model(batch)), np.asarray(model(batch, training=True))
        assert np.abs(noisy - quiet).max() > 1e-3
        weights = (model.trainable_variables, model.non_trainable_variables)
        actual, _ = model.stateless_call(*weights, batch, training=True)
        assert np.abs(np.asarray(actual) - quiet).max() > 1e-3


def test_eager_and_compiled_training_take_every_form():
    images = images_of([(40, 50)] * 2)
    for options in ({"run_eagerly": True}, {"steps_per_execution": 2}):
        model = built()
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True), **options)
        for batch in (batches(images)["ragged"], batches(images)["a dictionary with sizes"]):
            loss = model.evaluate(as_dataset(batch, 2), verbose=0)
            assert np.isfinite(loss)
