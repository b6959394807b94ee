import json
import re
import subprocess
import sys

import any_size_cases
import keras
import numpy as np
import pytest

from spp_keras import any_size, cli
from spp_keras.models.graph_run import find_entrance


def network(top, size=None):
    images = keras.Input((size, size, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(images)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    if top is not None:
        x = keras.layers.Dense(2, name="predictions")(top(x))
    return any_size_cases.randomize(keras.Model(images, x))


TOPS = {
    "average": (keras.layers.GlobalAveragePooling2D(name="pool"), None, "a 1x1 pyramid level"),
    "max": (keras.layers.GlobalMaxPooling2D(name="pool"), None, "a 1x1 pyramid level"),
    "flatten": (keras.layers.Flatten(name="pool"), 16, "a 6x6 pyramid level"),
}


def run(capsys, *arguments):
    """Exit code, standard output and standard error of the command."""
    code = cli.main(["convert", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize("name", TOPS)
def test_a_file_becomes_one_for_images_of_any_size(name, tmp_path, capsys):
    top, size, level = TOPS[name]
    model, output = network(top, size), tmp_path / "made" / "any.keras"
    model.save(tmp_path / "old.keras")
    code, said, complaints = run(capsys, tmp_path / "old.keras", "--output", output)
    assert (code, complaints) == (0, "")
    assert said == (
        f"{output}: 4 layers converted, images of any size from 5x5 pixels.\n"
        f"Layer 'pool' is {level} now.\n"
    )
    result = keras.models.load_model(output)
    sizes = [(16, 16)] if size else [(30, 21), (5, 17)]
    images = any_size_cases.make_images(sizes)
    answers = result(any_size_cases.pad([*images, *any_size_cases.make_images([(9, 26)])]))
    for image, answer in zip(images, np.asarray(answers), strict=False):
        np.testing.assert_allclose(answer, np.asarray(model(image[None]))[0], rtol=1e-5, atol=1e-5)


def test_json_has_what_was_done(tmp_path, capsys):
    network(None).save(tmp_path / "old.keras")
    output = tmp_path / "any.keras"
    code, said, _ = run(capsys, tmp_path / "old.keras", "--output", output, "--json")
    assert code == 0
    assert json.loads(said) == {
        "path": str(output),
        "layers": 2,
        "min_size": 5,
        "pooling": None,
        "bins": None,
        "per_image": False,
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files that are refused for what is in them."""
    folder = tmp_path_factory.mktemp("files")
    images = keras.Input((None, None, 3))
    doubled = keras.layers.Lambda(lambda x: 2 * x)(images)
    pooling = keras.layers.GlobalMaxPooling2D()
    keras.Model(images, pooling(doubled)).save(folder / "lambda.keras")
    transposed = keras.layers.Conv2DTranspose(4, 3, name="transposed")(images)
    keras.Model(images, pooling(transposed)).save(folder / "without_rule.keras")
    Unknown = type("Unknown", (keras.layers.ReLU,), {})
    keras.Model(images, pooling(Unknown(name="mine")(images))).save(folder / "unknown.keras")
    network(None).save(folder / "good.keras")
    (folder / "cut.keras").write_bytes((folder / "good.keras").read_bytes()[:2000])
    (folder / "good.h5").write_bytes(b"")
    return folder


def test_on_request_a_model_without_a_rule_runs_image_by_image(files, tmp_path, capsys):
    output = tmp_path / "any.keras"
    code, said, _ = run(capsys, files / "without_rule.keras", "--output", output, "--per-image")
    assert code == 0
    assert said == f"{output}: runs on one image at a time, since a layer has no rule.\n"
    images = any_size_cases.make_images([(9, 8), (6, 11)])
    answers = keras.models.load_model(output)(any_size_cases.pad(images))
    original = keras.models.load_model(files / "without_rule.keras")
    expected = np.concatenate([np.asarray(original(image[None])) for image in images])
    np.testing.assert_allclose(np.asarray(answers), expected, rtol=1e-5, atol=1e-5)


REFUSED = {
    "no file": ("none.keras", "any.keras", r"FILE must be an existing file\. Received: .*none"),
    "another format": ("good.h5", "any.keras", r"FILE must be a \.keras file, .*any_size"),
    "half a file": ("cut.keras", "any.keras", r"FILE must be a \.keras file"),
    "another format to write": ("good.keras", "any.h5", r"--output must end in \.keras\."),
    "a Lambda": ("lambda.keras", "any.keras", r"It has a Lambda layer, Python code .* Replace"),
    "a class of its own": (
        "unknown.keras",
        "any.keras",
        r"Unknown.*classes of your own can be converted in Python",
    ),
    "no rule": (
        "without_rule.keras",
        "any.keras",
        r"Layer 'transposed' of class Conv2DTranspose has no rule.*\n.*--per-image\.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_converted_is_refused_with_2_and_leaves_nothing(
    case, files, tmp_path, capsys
):
    file, output, message = REFUSED[case]
    code, said, complaints = run(capsys, files / file, "--output", tmp_path / output)
    assert (code, said) == (2, "")
    assert re.search(message, complaints, re.DOTALL), complaints
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_replaced_on_request_alone(files, tmp_path, capsys):
    output = tmp_path / "any.keras"
    output.write_text("mine")
    code, _, complaints = run(capsys, files / "good.keras", "--output", output)
    assert code == 2
    assert "--output must be a new file: name another one, or replace it by --over" in complaints
    assert output.read_text() == "mine"
    # A conversion that fails leaves it, too.
    assert run(capsys, files / "lambda.keras", "--output", output, "--overwrite")[0] == 2
    assert output.read_text() == "mine"
    assert run(capsys, files / "good.keras", "--output", output, "--overwrite")[0] == 0
    assert keras.models.load_model(output).output_shape == (None, None, None, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["any.keras"]


def test_paths_are_refused_before_tensorflow_is_loaded(files, tmp_path):
    code = (
        "import sys; from spp_keras import cli\n"
        f"print(cli.main(['convert', {str(files / 'good.h5')!r}, '--output', 'any.keras']))\n"
        "print('keras' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "2\nFalse\n"


FRESH = """
import sys
import numpy as np
import spp_keras
import keras
model = keras.models.load_model(sys.argv[1], safe_mode=True)
data = np.load(sys.argv[2])
np.save(sys.argv[3], model({"images": data["images"], "placements": data["placements"]}))
"""


@pytest.mark.integration
def test_the_file_loads_in_a_fresh_process_with_the_same_answers(tmp_path):
    model = network(keras.layers.GlobalAveragePooling2D())
    model.save(tmp_path / "old.keras")
    command = [sys.executable, "-m", "spp_keras.cli", "convert", "old.keras"]
    subprocess.run([*command, "--output", "any.keras"], cwd=tmp_path, check=True, timeout=300)
    rules = find_entrance(any_size(model)).canvas_rules
    images = any_size_cases.make_images([(30, 21), (9, 17), (12, 40)])
    inputs, order = any_size_cases.pack(images, rules)
    np.savez(tmp_path / "inputs.npz", **inputs)
    subprocess.run(
        [sys.executable, "-c", FRESH, "any.keras", "inputs.npz", "answers.npy"],
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    expected = np.concatenate([np.asarray(model(images[i][None])) for i in order])
    answers = np.load(tmp_path / "answers.npy")
    np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-5)
