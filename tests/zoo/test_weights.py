import re
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from spp_keras import zoo
from spp_keras.zoo import weights

ROOT = Path(__file__).parents[2]
CONVOLUTIONS = ["conv1", "conv2", "conv3", "conv4", "conv5"]
EVERY_LAYER = [*CONVOLUTIONS, "fc6", "fc7", "predictions"]
# Where Keras puts what the layers of ZF-5 know, and in what order.
GROUPS = dict(
    zip(
        EVERY_LAYER,
        ["conv2d", *(f"conv2d_{i}" for i in range(1, 5)), "dense", "dense_1", "dense_2"],
        strict=True,
    )
)


def network(classes=5, width=0.04, name="zf5_spp", **options):
    return getattr(zoo, name)(classes=classes, width=width, **options)


def of_file(path, prefix=""):
    """What lies in a file, read without our code: layer name to arrays."""
    with h5py.File(path, "r") as file:
        return {
            name: [np.array(file[f"{prefix}layers/{group}/vars/{i}"]) for i in range(2)]
            for name, group in GROUPS.items()
        }


def assert_holds(model, expected, names):
    for name in names:
        for actual, value in zip(model.get_layer(name).get_weights(), expected[name], strict=True):
            assert np.abs(value).max() > 0 or value.ndim == 1
            np.testing.assert_array_equal(actual, value)


def differs(model, expected, name):
    return any(
        actual.shape != value.shape or np.any(actual != value)
        for actual, value in zip(model.get_layer(name).get_weights(), expected[name], strict=True)
    )


@pytest.fixture(scope="module")
def source():
    """A network with no weight at its first value."""
    model = network()
    generator = np.random.default_rng(7)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def path(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "best.weights.h5"
    source.save_weights(path)
    return str(path)


def test_every_layer_holds_what_the_file_holds(path):
    model = network(name="zf5_spp")
    assert weights.load_weights(model, path) == ()
    assert_holds(model, of_file(path), EVERY_LAYER)


def test_another_number_of_classes_gives_all_but_a_fresh_last_layer(path):
    model = network(classes=3, weights=path)
    assert_holds(model, of_file(path), EVERY_LAYER[:-1])
    kernel, bias = model.get_layer("predictions").get_weights()
    assert kernel.shape == (164, 3)
    # As it was initialized: normal with 0.01, against the file's normal with 1.
    assert 0.008 < kernel.std() < 0.012
    assert not bias.any()
    assert weights.load_weights(network(classes=3), path) == ("predictions",)


def test_the_same_classes_load_the_last_layer_too(path):
    assert_holds(network(weights=path), of_file(path), ["predictions"])


@pytest.mark.parametrize("name", ["zf5_spp", "zf5"])
def test_a_network_without_top_takes_the_convolutions_of_a_file_with_one(path, name):
    model = network(name=name, include_top=False, weights=path)
    assert [layer.name for layer in model.layers if layer.weights] == CONVOLUTIONS
    assert_holds(model, of_file(path), CONVOLUTIONS)


class Distributed(keras.Model):
    pass


def around(source):
    images = keras.Input((None, None, 3))
    return keras.Model(images, source(images))


def around_one_of_0_1_0(source):
    """Whose networks were of no class of their own, after which Keras names a model's part."""
    return around(keras.Model(source.input, source.output))


def as_subclass(source):
    return Distributed(source.inputs, source.outputs)


@pytest.mark.parametrize(
    ("form", "prefix"),
    [
        (zoo.with_sizes, ""),
        (as_subclass, ""),
        (around, "layers/image_model/"),
        (around_one_of_0_1_0, "layers/functional/"),
    ],
    ids=["with_sizes", "subclass", "inside another model", "inside another model of 0.1.0"],
)
def test_the_form_in_which_a_network_was_saved_does_not_matter(source, form, prefix, tmp_path):
    path = tmp_path / "form.weights.h5"
    form(source).save_weights(path)
    assert_holds(network(weights=path), of_file(path, prefix), EVERY_LAYER)


def test_the_optimizer_of_a_compiled_model_is_no_layer(tmp_path):
    model = network()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    path = str(tmp_path / "compiled.weights.h5")
    model.save_weights(path)
    with h5py.File(path, "r") as file:
        assert "optimizer" in file
    assert_holds(network(weights=path), of_file(path), EVERY_LAYER)


def test_layers_are_matched_by_name_and_not_by_place(path, tmp_path):
    turned = tmp_path / "turned.weights.h5"
    with h5py.File(path, "r") as file, h5py.File(turned, "w") as copy:
        groups = sorted(file["layers"], reverse=True)
        for index, group in enumerate(groups):
            file.copy(f"layers/{group}", copy, name=f"layers/thing_{index}")
    assert_holds(network(weights=str(turned)), of_file(path), EVERY_LAYER)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float16"])
def test_the_precision_of_file_and_model_may_differ(path, policy, tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        reduced = network(weights=path)
        reduced_path = str(tmp_path / "reduced.weights.h5")
        reduced.save_weights(reduced_path)
    finally:
        keras.config.set_dtype_policy(before)
    model, expected = network(weights=reduced_path), of_file(path)
    rounding = {"bfloat16": 2**-8, "float16": 2**-10}.get(policy, 0)
    for name in EVERY_LAYER:
        for actual, value in zip(model.get_layer(name).get_weights(), expected[name], strict=True):
            assert actual.dtype == "float32"
            np.testing.assert_allclose(actual, value, rtol=rounding, atol=1e-6 if rounding else 0)


@pytest.mark.parametrize(
    ("options", "explanation", "different"),
    [
        (
            {"width": 0.06},
            "`width` explains it: conv1 has 4 units in the file, 6 here.",
            EVERY_LAYER,
        ),
        (
            {"levels": (4, 3, 2, 1)},
            "`levels` explains it.*fc6 takes 50 bins in the file, 30 here",
            ["fc6"],
        ),
        (
            {"name": "zf5", "classes": 3},
            "`levels` explains it.*fc6 takes 50 bins in the file, 36 here",
            ["fc6"],
        ),
        (
            {"input_shape": (None, None, 1)},
            "`input_shape` explains it: images have 3 channels there, 1 here",
            ["conv1"],
        ),
        ({"name": "alexnet5_spp"}, "another network", ["conv1"]),
        (
            {"name": "overfeat7_spp"},
            "another network",
            [*EVERY_LAYER[2:5], "fc6", "conv6", "conv7", "fc8", "fc9"],
        ),
    ],
    ids=["width", "levels", "no pyramid", "channels", "kernels", "layers"],
)
def test_whatever_else_differs_is_listed_and_explained(path, options, explanation, different):
    with pytest.raises(ValueError, match=explanation) as caught:
        network(weights=path, **options)
    listed = re.findall(r"^  (\w+): .* in the model, .* in the file$", str(caught.value), re.M)
    assert set(different) <= set(listed)
    assert len(set(listed)) == len(listed)
    assert path in str(caught.value)


def test_a_file_without_top_is_for_a_network_without_top(source, tmp_path):
    path = str(tmp_path / "maps.weights.h5")
    network(include_top=False).save_weights(path)
    with pytest.raises(ValueError, match=r"`include_top` explains it.*\n  fc6: .*nothing in the"):
        network(weights=path)
    assert_holds(
        network(include_top=False, weights=path),
        dict(zip(CONVOLUTIONS, pairs_of(path), strict=True)),
        CONVOLUTIONS,
    )


def pairs_of(path):
    with h5py.File(path, "r") as file:
        for name in CONVOLUTIONS:
            yield [np.array(file[f"layers/{GROUPS[name]}/vars/{i}"]) for i in range(2)]


def test_nothing_is_loaded_where_something_does_not_fit(path):
    model = network(levels=(2, 1))
    before = model.get_weights()
    with pytest.raises(ValueError, match="`levels`"):
        weights.load_weights(model, path)
    for actual, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(actual, value)


def test_weights_that_lie_in_another_file_are_not_read(path, tmp_path):
    linked, raw = tmp_path / "linked.weights.h5", tmp_path / "raw.weights.h5"
    (tmp_path / "bytes").write_bytes(bytes(4 * 7 * 7 * 3 * 4))
    for copy in (linked, raw):
        copy.write_bytes(Path(path).read_bytes())
        with h5py.File(copy, "r+") as file:
            group = file["layers/conv2d/vars"]
            del group["0"]
            if copy == linked:
                group["0"] = h5py.ExternalLink(path, "layers/conv2d/vars/0")
            else:
                elsewhere = [(str(tmp_path / "bytes"), 0, h5py.h5f.UNLIMITED)]
                group.create_dataset("0", (7, 7, 3, 4), "float32", external=elsewhere)
    with pytest.raises(ValueError, match=r"conv1: .* in the model, \(4,\) in the file"):
        network(weights=str(linked))
    with pytest.raises(ValueError, match=r"layers/conv2d/vars/0 lies outside it"):
        network(weights=str(raw))


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.weights.h5"
    with h5py.File(path, "w") as file:
        file["conv1/kernel:0"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"of Keras 3 wrote.*no layers with weights"):
        network(weights=str(path))
