"""EfficientNet-Lite0 with ImageNet weights, exported by its name and served as the README says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from served_alone import by_the_c_api
from tensorflow_serving.apis import prediction_log_pb2

from spp_keras import cli

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
NAME = "efficientnet_lite0"
README = (ROOT / "saved_models" / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
PHOTOGRAPHS = ("chelsea.png", "coffee.png")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder with `saved_models` as in a clone, into which the README's command exported."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "saved_models").mkdir()
    (folder / "saved_models" / "README.md").write_text(README, encoding="utf-8")
    photographs = Path(pytest.importorskip("skimage").__file__).parent / "data"
    for name in PHOTOGRAPHS:
        (folder / name).write_bytes((photographs / name).read_bytes())
    (command,) = (line for line in COMMANDS[0].splitlines() if line.startswith("spp-keras"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(command.split()[1:]) == 0
    return folder


@pytest.fixture(scope="module")
def version(clone):
    return clone / "saved_models" / NAME / "1"


@pytest.fixture(scope="module")
def server(clone):
    """Ports of the tests' server, which has loaded what `models.config` names, and warmed it up."""
    command = [sys.executable, ROOT / "tests" / "serving" / "server.py", clone / "saved_models"]
    with subprocess.Popen(
        [*command, "--port", "0", "--rest_api_port", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield json.loads(process.stdout.readline())
        process.kill()


@pytest.fixture(scope="module")
def expected(clone):
    """What `spp-keras predict` answers for the photographs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone)
        done = subprocess.run(
            [sys.executable, "-m", "spp_keras.cli", "predict", NAME, *PHOTOGRAPHS, "--json"],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
        )
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_answers(found, expected):
    assert len(found) == len(expected)
    for answer, prediction in zip(found, expected, strict=True):
        assert list(answer["labels"]) == prediction["labels"]
        np.testing.assert_allclose(answer["scores"], prediction["scores"], atol=1e-5)


def test_the_request_of_the_readme_is_answered_as_it_says(clone, server, expected):
    (command,) = (command for command in COMMANDS if "curl" in command)
    command = command.replace("localhost:8501", f"localhost:{server['rest_api_port']}")
    done = subprocess.run(
        ["bash", "-c", command], cwd=clone, capture_output=True, encoding="utf-8", check=True
    )
    answer = json.loads(done.stdout)["predictions"]
    check_answers(answer, expected)
    (shown,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    for one, line in zip(answer, json.loads(shown)["predictions"], strict=True):
        assert (one["labels"], one["indices"]) == (line["labels"], line["indices"])
        np.testing.assert_allclose(one["scores"], line["scores"], atol=6e-5)


def test_the_client_prints_the_same_over_grpc(clone, server, expected):
    command = [sys.executable, ROOT / "examples" / "client.py", *PHOTOGRAPHS, "--model", NAME]
    done = subprocess.run(
        [*command, "--server", f"localhost:{server['port']}"],
        cwd=clone,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    for line, prediction in zip(done.stdout.splitlines(), expected, strict=True):
        found = re.findall(r"([^,]+?) (\d\.\d{6})(?:, |$)", line.split("  ", 1)[1])
        assert [label.strip() for label, _ in found] == prediction["labels"]
        scores = [float(score) for _, score in found]
        np.testing.assert_allclose(scores, prediction["scores"], atol=1e-5)


def test_the_configuration_names_it(clone):
    text = (clone / "saved_models" / "models.config").read_text()
    assert f'base_path: "/models/{NAME}"' in text
    assert text.count("base_path") == 1


def test_tensorflow_in_c_answers_the_same_and_the_warm_up(clone, version, tmp_path, expected):
    file = version / "assets.extra" / "tf_serving_warmup_requests"
    asked = []
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        arguments = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        asked.append((request.model_spec.signature_name, arguments))
    signatures = [signature for signature, _ in asked]
    assert {"serving_default", "uint8", "bytes"} <= set(signatures)
    files = np.array([(clone / name).read_bytes() for name in PHOTOGRAPHS], object)
    done = by_the_c_api(version, [*asked, ("bytes", {"image_bytes": files})], tmp_path / "c")
    assert isinstance(done, dict), f"ended by signal {done}"
    *warmed, answer = done["answers"]
    assert all(isinstance(one, dict) for one in warmed), warmed
    rows = [
        {"labels": [label.decode() for label in labels], "scores": scores}
        for labels, scores in zip(answer["labels"], answer["scores"], strict=True)
    ]
    check_answers(rows, expected)
