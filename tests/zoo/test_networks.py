import functools
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from mixed_batches import alone, assert_close, padded

from spp_keras import zoo
from spp_keras.zoo import tables

TRUNKS = {f"{trunk.name}_spp": trunk for trunk in tables.TRUNKS}
# Among them, for each network, a side that is just long enough for one more cell.
SIZES = [(93, 97), (149, 95), (33, 65), (118, 120)]

every_network = pytest.mark.parametrize("name", TRUNKS)
every_trunk = pytest.mark.parametrize("name", [trunk.name for trunk in tables.TRUNKS])


def built(name, **options):
    """A small network whose biases are not zero: with those, padding would hide its mistakes."""
    options = {"classes": 5, "width": 0.05, "classifier_activation": None, **options}
    model = getattr(zoo, name)(**options)
    generator = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            layer.bias.assign(generator.uniform(-0.3, 0.3, layer.bias.shape))
    return model


cached = functools.cache(built)


def images_of(sizes, seed=7):
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (*size, 3)).astype("float32") for size in sizes]


def batches(images, labels, size):
    """A dataset of ragged batches, as `Dataset.ragged_batch` makes them."""
    data = tf.data.Dataset.from_tensor_slices((tf.ragged.stack(list(images)), labels))
    return data.map(lambda image, label: (image.to_tensor(), label)).ragged_batch(size)


# Mixed sizes.


@every_network
def test_an_image_of_a_ragged_batch_gets_its_answer_alone(name):
    model, images = cached(name), images_of(SIZES)
    expected = alone(model, images)
    ragged = tf.ragged.stack(images)
    assert np.abs(expected - expected[0])[1:].max() > 0.01 * np.abs(expected).max()
    assert_close(model(ragged), expected)
    assert_close(model.predict(ragged, verbose=0), expected)


def test_a_ragged_dataset_gives_each_image_its_answer_alone():
    model, images = cached("overfeat7_spp"), images_of(SIZES)
    actual = model.predict(batches(images, [0] * 4, 3), verbose=0)
    assert_close(actual, alone(model, images))


@every_network
def test_a_padded_image_gets_its_answer_alone_whatever_the_padding_holds(name):
    model, images = cached(name), images_of(SIZES)
    expected = alone(model, images)
    sized = zoo.with_sizes(model)
    assert_close(sized(padded(images)), expected)
    assert_close(sized(padded(images, filler=1e9)), expected)
    assert_close(sized.predict(padded(images), verbose=0), expected)


@every_network
def test_padding_without_sizes_gives_another_answer(name):
    model, images = cached(name), images_of(SIZES)
    expected = alone(model, images)
    naive = np.asarray(model(padded(images, filler=0)["images"]))
    assert np.abs(naive - expected).max() > 0.01 * np.abs(expected).max()


@pytest.mark.integration
@every_network
def test_an_exported_network_answers_for_each_image_alone(name, tmp_path):
    model, images = cached(name), images_of(SIZES)
    expected = alone(model, images)
    batch = padded(images)
    batch["sizes"] = batch["sizes"].astype("int32")
    zoo.with_sizes(model).export(tmp_path / "model", verbose=False)
    again = tf.saved_model.load(tmp_path / "model")
    assert_close(again.serve(batch), expected)


@settings(max_examples=20, phases=[Phase.generate])
@given(
    name=st.sampled_from(sorted(TRUNKS)),
    sizes=st.lists(st.tuples(st.integers(17, 240), st.integers(17, 240)), min_size=2, max_size=4),
)
def test_any_mix_of_sizes_gives_each_image_its_answer_alone(name, sizes):
    model = cached(name)
    images = images_of(np.maximum(sizes, TRUNKS[name].min_size))
    expected = alone(model, images)
    assert_close(model(tf.ragged.stack(images)), expected)
    assert_close(zoo.with_sizes(model)(padded(images)), expected)


@pytest.mark.integration
@every_network
@pytest.mark.parametrize("pooling", ["avg", "max", "spp"])
def test_pooling_without_top_gives_each_image_its_vector_alone(name, pooling):
    model, images = cached(name, include_top=False, pooling=pooling), images_of(SIZES)
    expected = alone(model, images)
    assert expected.shape == (4, model.output_shape[-1])
    assert_close(model(tf.ragged.stack(images)), expected)
    assert_close(zoo.with_sizes(model)(padded(images)), expected)


@every_network
def test_the_map_without_top_is_zero_beyond_each_image(name):
    model, images = cached(name, include_top=False), images_of(SIZES)
    maps = np.asarray(model(tf.ragged.stack(images)))
    grid = TRUNKS[name].grid
    for image, actual in zip(images, maps, strict=True):
        rows, columns = (grid.map_size(side) for side in image.shape[:2])
        assert_close(actual[:rows, :columns], np.asarray(model(image[np.newaxis]))[0])
        assert not actual[rows:].any()
        assert not actual[:, columns:].any()


@every_trunk
def test_a_network_for_one_size_takes_mixed_sizes_without_its_top(name):
    images = images_of(SIZES)
    model = built(name, include_top=False, pooling="avg")
    assert_close(model(tf.ragged.stack(images)), alone(model, images))


@every_network
def test_an_image_shifted_by_a_stride_has_its_map_shifted_by_a_cell(name):
    model, stride = cached(name, include_top=False), TRUNKS[name].grid.stride
    (image,) = images_of([(256, 240)])
    whole = np.asarray(model(image[np.newaxis]))[0]
    lower = np.asarray(model(image[np.newaxis, stride:]))[0]
    # The new upper border is seen by the first cells alone, half a receptive field.
    margin = 7
    assert whole.shape[0] == lower.shape[0] + 1 > margin + 5
    assert_close(lower[margin:], whole[margin + 1 :])
    assert np.abs(lower[margin:] - whole[margin:-1]).max() > 0.1 * whole.max()
    right = np.asarray(model(image[np.newaxis, :, stride:]))[0]
    assert_close(right[:, margin:], whole[:, margin + 1 :])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float64"])
def test_pixels_of_other_types_get_the_answers_of_floats(dtype):
    model, images = cached("zf5_spp"), images_of(SIZES[:2])
    expected = alone(model, images)
    pixels = [image.astype(dtype) for image in images]
    assert_close(model(pixels[0][np.newaxis]), expected[:1])
    assert_close(model(tf.ragged.stack(pixels)), expected)
    batch = padded(images, filler=0)
    batch["images"] = batch["images"].astype(dtype)
    assert_close(zoo.with_sizes(model)(batch), expected)


@pytest.fixture
def half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.integration
@every_network
def test_half_precision_mixes_sizes_and_gives_float32_scores(name, half_precision):
    model, images = built(name), images_of(SIZES)
    expected = alone(model, images)
    actual = model(tf.ragged.stack(images))
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert actual.dtype == tf.float32
    assert_close(actual, expected, tolerance=2e-2)
    assert_close(zoo.with_sizes(model)(padded(images)), expected, tolerance=2e-2)


# Training.


def gradients(model, inputs, labels):
    with tf.GradientTape() as tape:
        logits = model(inputs, training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        loss = tf.reduce_sum(losses)
    return [np.asarray(gradient) for gradient in tape.gradient(loss, model.trainable_variables)]


@every_network
def test_gradients_of_a_mixed_batch_are_the_sum_of_those_alone(name):
    model, images, labels = cached(name, dropout=0), images_of(SIZES), [0, 1, 2, 3]
    singles = [
        gradients(model, image[np.newaxis], [label])
        for image, label in zip(images, labels, strict=True)
    ]
    ragged = gradients(model, tf.ragged.stack(images), labels)
    sized = gradients(zoo.with_sizes(model), padded(images, filler=1000), labels)
    for batched, with_padding, *parts in zip(ragged, sized, *singles, strict=True):
        assert_close(batched, sum(parts))
        assert_close(with_padding, sum(parts))


@every_network
def test_padding_that_is_no_number_does_not_reach_the_gradients(name):
    model, images, labels = cached(name, dropout=0), images_of(SIZES), [0, 1, 2, 3]
    expected = gradients(model, tf.ragged.stack(images), labels)
    actual = gradients(zoo.with_sizes(model), padded(images, filler=np.nan), labels)
    for sized, ragged in zip(actual, expected, strict=True):
        assert_close(sized, ragged)


@pytest.mark.integration
@pytest.mark.parametrize("name", ["zf5_spp", "overfeat5_spp"])
def test_fit_on_ragged_batches_and_on_padded_ones_learns_what_a_loop_learns(name):
    images, labels = images_of(SIZES[:3] * 2), np.array([0, 1, 2, 3, 4, 0])
    ragged, sized, loop = (built(name, dropout=0) for _ in range(3))
    before = cached(name, dropout=0).get_weights()
    for model in (ragged, sized, loop):
        model.set_weights(before)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    ragged.compile(keras.optimizers.SGD(0.1), loss)
    ragged.fit(batches(images, labels, 3), epochs=2, shuffle=False, verbose=0)

    fitted = zoo.with_sizes(sized)
    fitted.compile(keras.optimizers.SGD(0.1), loss)
    data = tf.data.Dataset.from_tensor_slices((padded(images, filler=7), labels)).batch(3)
    fitted.fit(data, epochs=2, shuffle=False, verbose=0)

    for _ in range(2):
        for batch in (slice(0, 3), slice(3, 6)):
            sums = [
                gradients(loop, image[np.newaxis], [label])
                for image, label in zip(images[batch], labels[batch], strict=True)
            ]
            for variable, *parts in zip(loop.trainable_variables, *sums, strict=True):
                variable.assign_sub(0.1 * sum(parts) / 3)

    for start, by_loop, by_ragged, by_sized in zip(
        before, *(model.get_weights() for model in (loop, ragged, sized)), strict=True
    ):
        # A step is told from another as far as the digits of the weight itself go.
        limit = 1e-4 * np.abs(by_loop - start).max() + 1e-6 * np.abs(start).max()
        assert np.abs(by_loop - start).max() > 100 * limit
        np.testing.assert_allclose(by_ragged, by_loop, rtol=0, atol=limit)
        np.testing.assert_allclose(by_sized, by_loop, rtol=0, atol=limit)


@pytest.mark.integration
def test_a_fresh_network_learns_to_tell_bright_from_dark_in_a_few_steps():
    model = zoo.zf5_spp(classes=2, width=0.125)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    generator = np.random.default_rng(0)
    labels = np.arange(16) % 2
    images = [
        generator.uniform(100, 255, (*size, 3)) - 100 * (1 - label)
        for size, label in zip(generator.integers(40, 100, (16, 2)), labels, strict=True)
    ]
    data = batches([image.astype("float32") for image in images], labels, 8)
    model.fit(data, epochs=8, shuffle=False, verbose=0)
    _, accuracy = model.evaluate(data, verbose=0)
    assert accuracy == 1


# Arguments.


@every_network
def test_defaults_are_those_of_the_paper(name):
    model = getattr(zoo, name)(width=0.01)
    assert model.name == name
    assert model.input_shape == (None, None, None, 3)
    assert model.output_shape == (None, 1000)
    assert model.get_layer("spp").levels == ((6, 6), (3, 3), (2, 2), (1, 1))
    drops = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.rate for layer in drops] == [0.5, 0.5]
    scores = np.asarray(model(images_of([(40, 50)])[0][np.newaxis]))
    np.testing.assert_allclose(scores.sum(), 1, rtol=1e-5)


def test_pixels_are_centered_and_scaled_in_the_model():
    layer = cached("zf5_spp").get_layer("preprocessing")
    np.testing.assert_array_equal(layer(np.array([0, 128, 256], "float32")), [-1, 0, 1])


@every_network
def test_arguments_reach_their_layers(name):
    model = getattr(zoo, name)(
        classes=7,
        levels=(4, (1, 2)),
        dropout=0.25,
        width=0.125,
        classifier_activation="sigmoid",
        input_shape=(None, 128, 4),
        name="mine",
    )
    assert model.name == "mine"
    assert model.input_shape == (None, None, 128, 4)
    assert model.output_shape == (None, 7)
    assert model.get_layer("spp").levels == ((4, 4), (1, 2))
    assert model.get_layer("conv1").filters == 12
    assert model.get_layer("predictions").activation is keras.activations.sigmoid
    hidden = [layer for layer in model.layers if layer.name.startswith("fc")]
    assert [layer.units for layer in hidden] == [512, 512]
    assert hidden[0].kernel.shape[0] == 18 * TRUNKS[name].channels // 8
    drops = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.rate for layer in drops] == [0.25, 0.25]


@every_network
def test_without_activation_the_scores_are_logits(name):
    logits, softmax = built(name), built(name, classifier_activation="softmax")
    softmax.set_weights(logits.get_weights())
    (image,) = images_of([(64, 80)])
    assert_close(softmax(image[np.newaxis]), keras.ops.softmax(logits(image[np.newaxis])))


@every_network
def test_pooling_without_top_is_that_of_the_map(name):
    maps = cached(name, include_top=False)
    (image,) = images_of([(130, 100)])
    actual = np.asarray(maps(image[np.newaxis]))
    for pooling, expected in (("avg", actual.mean((1, 2))), ("max", actual.max((1, 2)))):
        model = built(name, include_top=False, pooling=pooling)
        model.set_weights(maps.get_weights())
        assert_close(model(image[np.newaxis]), expected)
    model = built(name, include_top=False, pooling="spp", levels=(2, 1))
    model.set_weights(maps.get_weights())
    vector = np.asarray(model(image[np.newaxis]))
    assert vector.shape == (1, 5 * actual.shape[-1])
    assert_close(vector[:, -actual.shape[-1] :], actual.max((1, 2)))


@pytest.mark.parametrize("name", ["zf5_spp", "zf5"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "avg"}, "`pooling` is for `include_top=False`"),
        ({"pooling": "average", "include_top": False}, "`pooling` must be one of None, 'avg'"),
        ({"classes": 0}, "`classes` must be an int >= 1"),
        ({"width": 0}, "`width` must be a number > 0"),
        ({"dropout": 1}, r"`dropout` must be a number in \[0, 1\)"),
        ({"input_shape": (224, 224)}, "`input_shape` must be"),
        ({"weights": "imagenet"}, "`weights` must be the path"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_argument_is_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(zoo, name)(**{"width": 0.02, **options})


def test_a_network_for_one_size_has_no_pyramid_pooling():
    with pytest.raises(ValueError, match="`pooling` must be one of None, 'avg', 'max'"):
        zoo.zf5(include_top=False, pooling="spp")


@every_trunk
def test_a_network_for_one_size_refuses_shapes_without_size(name):
    with pytest.raises(ValueError, match=rf"must state height and width.*{name}_spp"):
        getattr(zoo, name)(input_shape=(None, 224, 3))


@every_trunk
def test_a_network_for_one_size_refuses_images_of_another(name):
    model = getattr(zoo, name)(input_shape=(96, 112, 3), classes=3, width=0.02)
    assert model(np.zeros((1, 96, 112, 3))).shape == (1, 3)
    with pytest.raises(ValueError, match=r"expected shape=\(None, 96, 112, 3\)"):
        model(np.zeros((1, 112, 96, 3)))


# Surgery and files.


@pytest.mark.parametrize(("name", "hidden"), [("zf5_spp", "fc7"), ("overfeat7_spp", "fc9")])
def test_a_model_cut_at_a_hidden_layer_mixes_sizes_too(name, hidden):
    model, images = cached(name), images_of(SIZES)
    cut = keras.Model(model.input, model.get_layer(hidden).output)
    expected = alone(cut, images)
    assert_close(cut(tf.ragged.stack(images)), expected)
    assert_close(cut.predict(tf.ragged.stack(images), verbose=0), expected)
    assert_close(zoo.with_sizes(cut)(padded(images)), expected)


def test_a_new_end_on_a_model_mixes_sizes_too():
    model, images = cached("zf5_spp"), images_of(SIZES)
    end = keras.layers.Dense(2, name="own")
    for layer in ("fc7", "predictions"):
        grown = keras.Model(model.input, end(model.get_layer(layer).output))
        end = keras.layers.Dense(3, name="other")
        assert_close(zoo.with_sizes(grown)(padded(images)), alone(grown, images))


def test_training_the_padded_form_of_a_model_trains_the_model():
    model, images = built("zf5_spp"), images_of(SIZES[:2])
    before = np.asarray(model(images[0][np.newaxis]))
    sized = zoo.with_sizes(model)
    assert [w.path for w in sized.weights] == [w.path for w in model.weights]
    for weight in sized.weights:
        weight.assign(0.5 * weight)
    assert np.abs(np.asarray(model(images[0][np.newaxis])) - before).max() > 0.01
    assert_close(sized(padded(images)), alone(model, images))


def test_with_sizes_refuses_a_model_that_does_not_mix_sizes():
    with pytest.raises(ValueError, match=r"must be a network for images of any size.*'zf5'"):
        zoo.with_sizes(zoo.zf5(width=0.02))


@every_network
def test_a_clone_from_its_config_gives_the_same_answers(name):
    model, images = cached(name), images_of(SIZES)
    clone = keras.Model.from_config(model.get_config())
    clone.set_weights(model.get_weights())
    assert_close(clone(tf.ragged.stack(images)), alone(model, images))


FRESH = """
import sys, spp_keras, keras
import numpy as np
import tensorflow as tf

folder = sys.argv[1]
for path in sys.argv[2:]:
    model = keras.models.load_model(f"{folder}/{path}.keras")
    with np.load(f"{folder}/images.npz") as file:
        images = tf.ragged.stack([file[key] for key in file.files])
    np.save(f"{folder}/{path}.npy", model(images))
"""


@pytest.mark.integration
def test_saved_models_load_in_a_fresh_process_and_answer_the_same(tmp_path):
    images = images_of(SIZES)
    np.savez(tmp_path / "images.npz", *images)
    for name in TRUNKS:
        cached(name).save(tmp_path / f"{name}.keras")
    command = [sys.executable, "-c", FRESH, str(tmp_path), *TRUNKS]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    for name in TRUNKS:
        assert_close(np.load(tmp_path / f"{name}.npy"), alone(cached(name), images))


@pytest.fixture
def weight_file(tmp_path):
    path = tmp_path / "zf5.weights.h5"
    cached("zf5_spp").save_weights(path)
    return path


def test_weights_from_a_file_give_the_same_answers(weight_file):
    model, images = cached("zf5_spp"), images_of(SIZES)
    again = zoo.zf5_spp(
        classes=5, width=0.05, classifier_activation=None, weights=str(weight_file), name="again"
    )
    assert_close(again(tf.ragged.stack(images)), alone(model, images))


def test_weights_of_another_model_are_refused(weight_file):
    with pytest.raises(ValueError, match=r"conv6: \(3, 3, 26, 26\).* nothing in the file"):
        zoo.overfeat7_spp(classes=5, width=0.05, weights=str(weight_file))


def test_a_truncated_weight_file_is_refused(weight_file):
    weight_file.write_bytes(weight_file.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"a whole one.*zf5\.weights\.h5"):
        zoo.zf5_spp(classes=5, width=0.05, weights=str(weight_file))


def test_a_missing_weight_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be an existing file"):
        zoo.zf5_spp(weights=str(tmp_path / "none.weights.h5"), width=0.02)


def test_a_file_that_save_weights_did_not_write_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ending in \.weights\.h5"):
        zoo.zf5_spp(weights=str(tmp_path / "model.keras"), width=0.02)
