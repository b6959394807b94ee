import dataclasses
import inspect
import re
import runpy
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import scikit_photographs
import small_runs
from image_files import REFUSAL
from photographs import encoded, photograph

import spp_keras
from spp_keras.data import Warp, image_ops

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, *arguments):
    """Runs an example and returns its names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


# The top on any backbone.


@pytest.fixture(scope="module")
def red_and_green(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(40):
        split = ("train", "train", "train", "validation")[number // 2 % 4]
        path = folder / split / ("red", "green")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = photograph(40 + 3 * number, 130 - 2 * number, seed=number)
        picture[..., 1 - number % 2] = 0
        path.write_bytes(encoded(picture))
    return folder


def small_network(input_shape, include_top, weights):
    """In the place of one of `keras.applications`, which take long to build."""
    assert not include_top
    images = keras.Input(input_shape)
    maps = keras.layers.Rescaling(1 / 255)(images)
    network = keras.Model(images, keras.layers.Conv2D(8, 5, 4, activation="relu")(maps))
    if weights is not None:
        network.load_weights(weights)
    return network


def test_a_frozen_backbone_is_compared_warped_and_whole(
    red_and_green, tmp_path, capsys, monkeypatch
):
    network = small_network((None, None, 3), include_top=False, weights=None)
    network.save_weights(tmp_path / "network.weights.h5")
    theirs = inspect.signature(keras.applications.MobileNetV3Small).parameters
    assert set(theirs) > set(inspect.signature(small_network).parameters)
    monkeypatch.setattr(keras.applications, "MobileNetV3Small", small_network)
    options = ("--weights", tmp_path / "network.weights.h5", "--short-side", 48)

    names = run("any_backbone.py", "--data", red_and_green, *options)

    # As many pixels as the whole images of a short side of 48 have on average.
    areas = [(max(size) * 48 / min(size)) * 48 for size in names["train"].sizes]
    image_size = names["image_size"]
    assert abs(image_size - np.mean(areas) ** 0.5) < 1
    found = re.findall(r"^(.*): accuracy (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert found == [
        (f"warped to {image_size}x{image_size}", "1.000"),
        ("whole, short side 48", "1.000"),
    ]
    for one, other in zip(names["backbone"].weights, network.weights, strict=True):
        np.testing.assert_array_equal(one, other)


# Retrieval.

SIZES = [(60, 80), (45, 45), (88, 50), (70, 31), (52, 64), (40, 90), (33, 47), (61, 62)]


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory):
    recipe = dataclasses.replace(small_runs.RECIPE, size_policy="native", image_sizes=())
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, small_runs.make_run(folder, recipe)


@pytest.fixture
def pictures(tmp_path):
    """Pictures by their paths."""
    made = {}
    for number, size in enumerate(SIZES):
        path = tmp_path / "pictures" / ("even", "odd")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        made[str(path)] = photograph(*size, seed=number)
        path.write_bytes(encoded(made[str(path)]))
    return made


def similarities(network, pictures, layer="spp", image_size=None):
    """Cosines between the network's vectors of all pictures, one at a time."""
    part = keras.Model(network.input, network.get_layer(layer).output)
    vectors = []
    for picture in pictures.values():
        if image_size:
            window, target = Warp(image_size=image_size).window_and_size(picture.shape[:2])
            picture = image_ops.decode_window(
                encoded(picture), picture.shape[:2], window, target
            ).numpy()
        pixels = picture[np.newaxis].astype("float32")
        vectors.append(np.array(part(pixels)[0], "float64"))
    return np.array([[a @ b / (a @ a) ** 0.5 / (b @ b) ** 0.5 for b in vectors] for a in vectors])


def answered(capsys):
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    return [float(similarity) for similarity, _ in lines], [name for _, name in lines]


@pytest.mark.parametrize(
    ("options", "arguments"),
    [({}, ()), ({"layer": "fc6", "image_size": 40}, ("--layer", "fc6", "--image-size", "40"))],
    ids=["whole", "warped"],
)
def test_the_nearest_are_those_of_the_largest_cosines(
    trained_run, pictures, tmp_path, capsys, options, arguments
):
    folder, network = trained_run
    names = list(pictures)
    expected = similarities(network, pictures, **options)[2]
    order = np.argsort(-expected)[:4]
    assert np.diff(np.sort(expected)[-5:]).min() > 1e-4
    index = ("--index", tmp_path / "index.npz", "--nearest", 4)
    run("retrieval.py", tmp_path / "pictures", names[2], "--run", folder, *index, *arguments)
    found, nearest = answered(capsys)
    assert nearest == [names[number] for number in order]
    np.testing.assert_allclose(found, expected[order], atol=1e-4)
    # Itself.
    assert (nearest[0], found[0]) == (names[2], 1.0)


def test_the_next_query_takes_vectors_from_the_file_if_they_are_of_its_kind(
    trained_run, pictures, tmp_path, capsys
):
    index = tmp_path / "index.npz"
    pictures_folder = tmp_path / "pictures"
    options = ("--run", trained_run[0], "--index", index, "--nearest", 99)
    run("retrieval.py", pictures_folder, *options)
    for path in pictures:
        Path(path).write_bytes(b"no picture")
    (tmp_path / "query.png").write_bytes(encoded(pictures[max(pictures)]))
    run("retrieval.py", pictures_folder, tmp_path / "query.png", *options)
    found, names = answered(capsys)
    assert (names[0], found[0], len(names)) == (max(pictures), 1.0, len(SIZES))
    Path(max(pictures)).write_bytes((tmp_path / "query.png").read_bytes())
    run("retrieval.py", pictures_folder, tmp_path / "query.png", *options, "--layer", "fc6")
    output = capsys.readouterr()
    assert output.out.splitlines() == [f"1.0000  {max(pictures)}"]
    assert output.err.count(f"{REFUSAL}: left out") == len(SIZES) - 1


def test_the_score_is_the_share_of_the_same_class(trained_run, pictures, tmp_path, capsys):
    options = ("--index", tmp_path / "index.npz", "--nearest", 2, "--score")
    run("retrieval.py", tmp_path / "pictures", "--run", trained_run[0], *options)
    cosines, same, pairs = similarities(trained_run[1], pictures), [], []
    classes = [Path(name).parent.name for name in pictures]
    for i, row in enumerate(cosines):
        others = sorted((j for j in range(len(SIZES)) if j != i), key=lambda j: -row[j])
        same += [classes[i] == classes[j] for j in others[:2]]
        pairs += [classes[i] == classes[j] for j in others]
    words = f"{np.mean(same):.3f} of the nearest 2 share the class, {np.mean(pairs):.3f} by chance"
    assert capsys.readouterr().out.strip() == words


# Photographs, and a network with ImageNet weights.


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs") / "photographs"
    return scikit_photographs.make_folder(folder, train=5, validation=4, classes=5)


def test_parts_of_one_photograph_are_each_others_nearest(photographs, tmp_path, capsys):
    folder = photographs / "validation"
    query = folder / "coffee" / "1.jpg"
    options = ("--index", tmp_path / "index.npz", "--nearest", 3)
    run("retrieval.py", folder, query, *options)
    similar, names = answered(capsys)
    assert (names[0], similar[0]) == (str(query), 1.0)
    assert {Path(name).parent.name for name in names} == {"coffee"}
    run("retrieval.py", folder, *options, "--score")
    assert float(capsys.readouterr().out.split()[0]) > 0.8


def test_a_few_photographs_are_learned(photographs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run("finetune.py", photographs, "--short-side", 64, "--epochs", 1)
    loaded = keras.models.load_model("finetuned.keras")
    evaluated = loaded.evaluate(names["validation"], verbose=0, return_dict=True)
    assert evaluated["accuracy"] >= 0.75
    predict = spp_keras.load_predictor("finetuned.tflite")
    files = sorted((photographs / "validation").glob("*/*.jpg"))
    right = [predict(file).labels[0] == file.parent.name for file in files]
    assert np.mean(right) == pytest.approx(evaluated["accuracy"], abs=0.06)


@pytest.mark.parametrize("name", ["any_backbone.py", "finetune.py", "retrieval.py"])
def test_an_example_is_short(name):
    assert len((EXAMPLES / name).read_text().splitlines()) < 100
