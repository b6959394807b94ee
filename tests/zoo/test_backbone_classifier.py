import hashlib
import importlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from mixed_batches import alone, assert_close, padded

from spp_keras import layers, zoo
from spp_keras.models import graph_run
from spp_keras.zoo import backbones

SIZES = [(64, 97), (83, 64), (33, 35)]


def mobile_net():
    return keras.applications.MobileNetV2(
        input_shape=(None, None, 3), include_top=False, weights=None, alpha=0.35
    )


def hub_res_net():
    # Here, since it takes seconds.
    import keras_hub

    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 8],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )


def hand_written():
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(images)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.MaxPooling2D(3, 2, padding="same")(keras.layers.ReLU()(x))
    x = keras.layers.Conv2D(12, 3, strides=2, padding="same")(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(images, keras.layers.ReLU()(x), name="hand_written")


every_backbone = pytest.mark.parametrize(
    "create",
    [
        pytest.param(mobile_net, id="MobileNetV2", marks=pytest.mark.integration),
        pytest.param(hub_res_net, id="keras-hub ResNet", marks=pytest.mark.integration),
        pytest.param(hand_written, id="own"),
    ],
)


def with_statistics(backbone):
    """Statistics as of training: fresh ones (mean 0, variance 1) would hide where they are lost."""
    generator = np.random.default_rng(3)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight, low in ((layer.moving_mean, -1), (layer.beta, -0.5)):
                weight.assign(generator.uniform(low, 0.5, weight.shape))
            layer.moving_variance.assign(generator.uniform(0.3, 2, layer.gamma.shape))
    return backbone


def classifier(backbone, **options):
    options = {"levels": (3, 2, 1), "units": (), "classifier_activation": None, **options}
    return zoo.spp_classifier(backbone, 4, **options)


def images_of(sizes, seed=11):
    generator = np.random.default_rng(seed)
    return [generator.normal(0, 1, (*size, 3)).astype("float32") for size in sizes]


# Mixed sizes.


@every_backbone
def test_an_image_gets_its_answer_alone(create):
    model, images = classifier(with_statistics(create())), images_of(SIZES)
    expected = alone(model, images)
    ragged, sized = tf.ragged.stack(images), zoo.with_sizes(model)
    assert_close(model(ragged), expected)
    assert_close(model.predict(ragged, verbose=0), expected)
    assert_close(sized(padded(images)), expected)
    assert_close(sized.predict(padded(images), verbose=0), expected)


@every_backbone
def test_padding_without_sizes_would_change_an_image_at_its_border(create):
    backbone, images = with_statistics(create()), images_of(SIZES)
    batched = np.asarray(backbone(padded(images, filler=0)["images"], training=False))
    worst = 0
    for image, actual in zip(images, batched, strict=True):
        expected = np.asarray(backbone(image[np.newaxis], training=False))[0]
        actual = actual[: expected.shape[0], : expected.shape[1]]
        worst = max(worst, np.abs(actual - expected).max() / np.abs(expected).max())
    assert worst > 0.01


def test_the_answer_is_the_pyramid_of_the_map_and_the_dense_layers_behind_it():
    backbone, (image,) = with_statistics(hand_written()), images_of([(64, 80)])
    model = classifier(backbone, units=(6,))
    maps = np.asarray(backbone(image[np.newaxis], training=False))
    vector = layers.SpatialPyramidPooling((3, 2, 1))(maps)
    hidden, last = model.get_layer("fc1"), model.get_layer("predictions")
    hidden = np.maximum(vector @ hidden.kernel + hidden.bias, 0)
    assert_close(model(image[np.newaxis]), hidden @ last.kernel + last.bias)


@pytest.mark.integration
def test_an_exported_classifier_answers_for_each_image_alone(tmp_path):
    model, images = classifier(with_statistics(hand_written())), images_of(SIZES)
    zoo.with_sizes(model).export(tmp_path / "model", verbose=False)
    batch = padded(images)
    batch["sizes"] = batch["sizes"].astype("int32")
    again = tf.saved_model.load(tmp_path / "model")
    assert_close(again.serve(batch), alone(model, images))


def test_half_precision_mixes_sizes_and_gives_float32_scores():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model, images = classifier(with_statistics(hand_written())), images_of(SIZES)
    finally:
        keras.config.set_dtype_policy(before)
    actual = model(tf.ragged.stack(images))
    assert model.get_layer("spp").compute_dtype == "bfloat16"
    assert actual.dtype == tf.float32
    assert_close(actual, alone(model, images), tolerance=2e-2)


# Training.


def gradients(model, inputs, labels):
    with tf.GradientTape() as tape:
        logits = model(inputs, training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        loss = tf.reduce_sum(losses)
    return [np.asarray(gradient) for gradient in tape.gradient(loss, model.trainable_variables)]


@pytest.mark.integration
@pytest.mark.parametrize("create", [mobile_net, hub_res_net, hand_written])
def test_gradients_of_a_mixed_batch_are_the_sum_of_those_alone(create):
    model = classifier(with_statistics(create()), train_backbone=True)
    images, labels = images_of(SIZES), [0, 1, 2]
    singles = [
        gradients(model, image[np.newaxis], [label])
        for image, label in zip(images, labels, strict=True)
    ]
    ragged = gradients(model, tf.ragged.stack(images), labels)
    sized = gradients(zoo.with_sizes(model), padded(images), labels)
    largest = max(np.abs(sum(parts)).max() for parts in zip(*singles, strict=True))
    assert len(ragged) > 2
    for batched, with_padding, *parts in zip(ragged, sized, *singles, strict=True):
        np.testing.assert_allclose(batched, sum(parts), rtol=0, atol=1e-5 * largest)
        np.testing.assert_allclose(with_padding, sum(parts), rtol=0, atol=1e-5 * largest)


@pytest.mark.parametrize("train_backbone", [False, True], ids=["frozen", "fine-tuned"])
def test_fit_moves_the_weights_it_should_and_never_the_statistics(train_backbone):
    backbone = with_statistics(hand_written())
    model = classifier(backbone, train_backbone=train_backbone)
    assert bool(backbone.trainable_weights) is train_backbone
    # Two kernels and a bias of the backbone: layers with statistics keep all of their weights.
    assert len(model.trainable_weights) == (5 if train_backbone else 2)
    before = {weight.path: np.array(weight) for weight in model.weights}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    images = tf.ragged.stack(images_of(SIZES))
    model.fit(images, tf.constant([0, 1, 2]), epochs=2, verbose=0)
    moved = {weight.path for weight in model.weights if (before[weight.path] != weight).any()}
    assert moved == {weight.path for weight in model.trainable_weights}
    assert not any("moving" in path for path in moved)


# Arguments.


def test_defaults_are_the_pyramid_of_the_paper_and_one_dense_layer():
    model = zoo.spp_classifier(hand_written(), 20)
    assert model.name == "hand_written_spp"
    assert model.output_shape == (None, 20)
    assert model.get_layer("spp").levels == ((6, 6), (3, 3), (2, 2), (1, 1))
    assert model.get_layer("spp").mode == "max"
    assert model.get_layer("predictions").activation is keras.activations.softmax
    assert len(model.trainable_weights) == 2


def test_arguments_reach_their_layers():
    model = zoo.spp_classifier(
        hand_written(),
        3,
        levels=(2, (1, 4)),
        units=(9, 5),
        mode="average",
        dropout=0.1,
        classifier_activation=None,
        name="mine",
    )
    assert model.get_layer("spp").mode == "average"
    assert model.name == "mine"
    assert model.get_layer("fc1").kernel.shape == (8 * 12, 9)
    assert model.get_layer("fc2").kernel.shape == (9, 5)
    assert model.get_layer("drop2").rate == 0.1
    assert model.get_layer("predictions").activation is keras.activations.linear
    assert model(tf.ragged.stack(images_of(SIZES))).shape == (3, 3)


def wrong_backbones():
    dynamic = keras.Input((None, None, 3))
    conv = keras.layers.Conv2D(4, 3)
    flat = keras.layers.GlobalMaxPooling2D()(conv(dynamic))
    unbuilt = keras.Sequential([keras.layers.Conv2D(4, 3)])
    return {
        "two outputs": (keras.Model(dynamic, [conv(dynamic)] * 2), r"None, None, 4\), \(None"),
        "two inputs": (keras.Model([dynamic, keras.Input((1,))], conv(dynamic)), "Received"),
        "flat output": (keras.Model(dynamic, flat), r"to \[\(None, 4\)\]"),
        "a layer": (conv, "backbone=<Conv2D"),
        "a function": (np.tanh, "backbone=<ufunc 'tanh'>"),
        "unbuilt": (unbuilt, "backbone=<Sequential"),
    }


@pytest.mark.parametrize(
    "kind",
    ["two outputs", "two inputs", "flat output", "a layer", "a function", "unbuilt"],
)
def test_what_is_no_backbone_for_any_size_is_refused(kind):
    backbone, received = wrong_backbones()[kind]
    with pytest.raises(ValueError, match=f"`backbone` must be a name of .*{received}"):
        zoo.spp_classifier(backbone, 3)


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="`classes` must be an int >= 1"):
        zoo.spp_classifier(hand_written(), 0)
    with pytest.raises(ValueError, match="`levels` must be a non-empty sequence"):
        zoo.spp_classifier(hand_written(), 3, levels=())
    with pytest.raises(ValueError, match=r"`dropout` must be a number in \[0, 1\)"):
        zoo.spp_classifier(hand_written(), 3, dropout=1.5, units=(4,))


# Files.

FRESH = """
import sys, spp_keras, keras
import numpy as np
import tensorflow as tf

folder = sys.argv[1]
with np.load(f"{folder}/images.npz") as file:
    images = tf.ragged.stack([file[key] for key in file.files])
for path in sys.argv[2:]:
    model = keras.models.load_model(f"{folder}/{path}.keras")
    np.savez(f"{folder}/{path}.npz", model(images), len(model.trainable_weights))
"""


@pytest.mark.integration
def test_a_saved_classifier_loads_in_a_fresh_process_and_answers_the_same(tmp_path):
    images = images_of(SIZES)
    np.savez(tmp_path / "images.npz", *images)
    models = {
        "mobile": classifier(with_statistics(mobile_net())),
        "own": classifier(with_statistics(hand_written()), units=(7,), train_backbone=True),
    }
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
    command = [sys.executable, "-c", FRESH, str(tmp_path), *models]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    for name, model in models.items():
        with np.load(tmp_path / f"{name}.npz") as file:
            answers, trainable = file.values()
        assert_close(answers, alone(model, images))
        assert trainable == len(model.trainable_weights)


def test_a_clone_from_its_config_gives_the_same_answers():
    model, images = classifier(with_statistics(hand_written())), images_of(SIZES)
    clone = keras.Model.from_config(model.get_config())
    clone.set_weights(model.get_weights())
    assert_close(clone(tf.ragged.stack(images)), alone(model, images))
    assert len(clone.trainable_weights) == 2


# Networks of keras.applications by name.

PREPROCESSING = {
    "MobileNetV3Small": ("mobilenet_v3", {"alpha": 0.5}),
    "MobileNetV2": ("mobilenet_v2", {"alpha": 0.35}),
    "DenseNet121": ("densenet", {}),
    "VGG16": ("vgg16", {}),
}
every_application = pytest.mark.parametrize(
    "name",
    [
        "MobileNetV3Small",
        *(
            pytest.param(name, marks=pytest.mark.integration)
            for name in ("MobileNetV2", "DenseNet121", "VGG16")
        ),
    ],
)


@every_application
def test_a_network_by_name_takes_raw_pixels(name):
    module, options = PREPROCESSING[name]
    model = zoo.spp_classifier(
        name, 4, levels=(2, 1), units=(6,), classifier_activation=None, **options
    )
    plain = getattr(keras.applications, name)(
        input_shape=(None, None, 3), include_top=False, weights=None, **options
    )
    plain.set_weights(model.get_weights()[:-4])
    image = np.random.default_rng(5).integers(0, 256, (1, 71, 94, 3)).astype("float32")
    preprocess = getattr(keras.applications, module).preprocess_input
    maps = plain.predict(preprocess(image.copy()), verbose=0)
    kernel, bias, top_kernel, top_bias = model.get_weights()[-4:]
    vector = layers.SpatialPyramidPooling((2, 1))(maps).numpy()
    expected = np.maximum(vector @ kernel + bias, 0) @ top_kernel + top_bias
    assert_close(model(image), expected, 1e-5)


def test_a_network_by_name_takes_images_of_any_size():
    model = classifier("MobileNetV3Small", alpha=0.5)
    assert model.name == "MobileNetV3Small_spp"
    images = [image * 60 + 120 for image in images_of(SIZES)]
    assert_close(model(tf.ragged.stack(images)), alone(model, images))


def test_a_layer_within_is_pooled():
    options = {"alpha": 0.5, "layer": "expanded_conv_3_project_bn"}
    model = classifier("MobileNetV3Small", **options)
    assert model.get_layer("spp").input[0].shape[-1] == 24
    with pytest.raises(ValueError, match=r"`layer` must be the name of a layer .*layer='conv9'"):
        classifier("MobileNetV3Small", alpha=0.5, layer="conv9")


def test_batch_normalization_is_trained_where_asked():
    frozen, trained = (
        classifier(hand_written(), train_backbone=True, train_normalization=asked)
        for asked in (False, True)
    )
    assert len(trained.trainable_weights) == len(frozen.trainable_weights) + 4


def test_names_and_weights_that_do_not_exist_are_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"near names are MobileNetV3Small"):
        zoo.spp_classifier("MobilNetV3Small", 3)
    with pytest.raises(ValueError, match=r"must be a name where .* weights='imagenet'"):
        zoo.spp_classifier(hand_written(), 3, weights="imagenet")
    with pytest.raises(ValueError, match=r"must be a name where .* made with alpha"):
        zoo.spp_classifier(hand_written(), 3, alpha=0.5)

    def fail(*args, **kwargs):
        raise Exception("URL fetch failure on https://example.org: None -- no network")

    monkeypatch.setattr("keras.src.applications.mobilenet_v3.file_utils.get_file", fail)
    with pytest.raises(ValueError, match=r"`weights` 'imagenet' of MobileNetV3Small must be down"):
        zoo.spp_classifier("MobileNetV3Small", 3, weights="imagenet")


@pytest.mark.integration
def test_the_table_has_every_network_that_can_be_converted():
    functions = {
        name
        for name, value in vars(keras.applications).items()
        if callable(value) and not name.startswith("NASNet")
    }
    assert set(zoo.list_backbones()) == functions


@pytest.mark.integration
@pytest.mark.parametrize(
    "name",
    [
        *("ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionV3"),
        *("MobileNet", "MobileNetV2", "MobileNetV3Large", "ResNet50", "ResNet50V2", "VGG16"),
        "Xception",
    ],
)
def test_the_table_has_the_smallest_size(name):
    model = zoo.spp_classifier(name, 2, levels=(1,))
    assert graph_run.min_image_size(model) == backbones.find_backbone(name).min_size
    keras.utils.clear_session()


# Keras' own weights. There is no network here: files of the right names lie in its cache, which
# Keras checks by their hash but for some networks.

CACHED = {
    "MobileNet": ("mobilenet_2_5_224_tf_no_top.h5", 0.25, None),
    "MobileNetV2": (
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5",
        0.35,
        None,
    ),
    "MobileNetV3Small": (
        "weights_mobilenet_v3_small_224_0.75_float_no_top_v2.h5",
        0.75,
        ("mobilenet_v3", "small_224_0.75_float"),
    ),
}


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", list(CACHED))
def test_weights_in_the_cache_of_keras_are_found(name, keras_home, monkeypatch):
    file, alpha, hashed = CACHED[name]
    path = keras_home / "models" / file
    original = getattr(keras.applications, name)(
        input_shape=(None, None, 3), include_top=False, weights=None, alpha=alpha
    )
    # Keras 2's format, which these files have.
    original.save(path)
    if hashed:
        module, key = hashed
        hashes = importlib.import_module(f"keras.src.applications.{module}").WEIGHTS_HASHES
        digest = hashlib.md5(path.read_bytes()).hexdigest()
        monkeypatch.setitem(hashes, key, (digest, digest))
    model = zoo.spp_classifier(name, 3, weights="imagenet", alpha=alpha, levels=(1,))
    for ours, theirs in zip(model.get_weights()[:-2], original.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not any(
        layer.trainable
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )


def test_weights_of_a_trained_classifier_are_loaded(tmp_path):
    first, second = (classifier("MobileNetV3Small", alpha=0.25) for _ in range(2))
    first.save_weights(tmp_path / "a.weights.h5")
    third = classifier("MobileNetV3Small", alpha=0.25, weights=str(tmp_path / "a.weights.h5"))
    assert np.abs(first.get_weights()[0] - second.get_weights()[0]).max() > 0
    for ours, theirs in zip(third.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
