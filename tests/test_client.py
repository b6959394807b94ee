import ast
import base64
import importlib.util
import json
import shutil
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
from image_files import REFUSAL
from photographs import decoded, encoded, photograph
from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

from spp_keras import export, model_repository, zoo

# The example client over gRPC and REST, batching and a version that appears meanwhile.
pytestmark = pytest.mark.integration

CLIENT = Path(__file__).parents[1] / "examples" / "client.py"
SERVER = Path(__file__).parent / "serving" / "server.py"
LABELS = np.array(["cat", "dog", "größe", "a b", "x", "y", "z"])
PHOTOGRAPHS = {
    "a.png": encoded(photograph(60, 90)),
    "b.bmp": encoded(photograph(97, 61), "BMP"),
    "c.gif": encoded(photograph(40, 40), "GIF"),
    "größe d.jpg": encoded(photograph(150, 200), "JPEG", quality=90),
}


def png_header(height, width):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def jpeg_header(height, width):
    """A small image that says it is large."""
    file = encoded(photograph(16, 16), "JPEG")
    place = file.index(b"\xff\xc0") + 5
    return file[:place] + struct.pack(">HH", height, width) + file[place + 4 :]


REFUSED = {
    "empty": (b"", "is empty"),
    "text": (
        b"<html>Not found</html>",
        REFUSAL,
    ),
    "truncated": (PHOTOGRAPHS["größe d.jpg"][:900], "is cut short or damaged"),
    "small": (encoded(photograph(12, 90)), "has 12x90 pixels, fewer than 16 on a side"),
    "gigapixel PNG": (png_header(40_000, 40_000), "has 40000x40000 pixels, more than 64000000"),
    "gigapixel JPEG": (jpeg_header(40_000, 40_000), "has 40000x40000 pixels, more than 64000000"),
}


class Served(NamedTuple):
    process: subprocess.Popen
    port: int
    rest_api_port: int
    log: Path

    def address(self, protocol):
        return f"localhost:{self.rest_api_port if protocol == 'rest' else self.port}"


def network(seed):
    """Small, with a last layer by which photographs differ in their scores."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((None, None, 3))
    maps = keras.layers.Rescaling(1 / 255)(images)
    maps = keras.layers.Conv2D(4, 5, strides=4, activation="relu")(maps)
    backbone = keras.Model(images, maps)
    model = zoo.spp_classifier(backbone, classes=len(LABELS), levels=(2, 1), units=(8,))
    model.layers[-1].kernel.assign(np.random.default_rng(seed).normal(0, 3, (8, len(LABELS))))
    return model


@pytest.fixture(scope="module")
def model():
    return network(1)


@pytest.fixture(scope="module")
def models(model, tmp_path_factory):
    """A repository of `pets`, `reporting`, and `changing`, which begins as `pets`."""
    folder = tmp_path_factory.mktemp("saved_models")
    export.export_model(model, folder / "pets", labels=LABELS)
    export.export_model(model, folder / "reporting", labels=LABELS, on_error="report")
    # Whose warm-up would take as long again.
    shutil.copytree(
        folder / "pets", folder / "changing", ignore=shutil.ignore_patterns("assets.extra")
    )
    model_repository.write_config(folder)
    return folder


@pytest.fixture(scope="module")
def servers(models, tmp_path_factory):
    """A process at two ports that answers each request alone, at two that joins them."""
    log = tmp_path_factory.mktemp("logs") / "log"
    command = [sys.executable, SERVER, models, "--port", "0", "--rest_api_port", "0"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        log.open("w") as errors,
        subprocess.Popen([*command, "--batch", "0.2"], stderr=errors, **pipes) as process,
    ):
        lines = [process.stdout.readline() for _ in range(2)]
        assert all(lines), log.read_text()
        alone, joining = (Served(process, log=log, **json.loads(line)) for line in lines)
        yield {"alone": alone, "joining": joining}
        process.kill()


@pytest.fixture
def server(servers):
    """The one process that answers every request of these tests, whatever came before."""
    yield servers["alone"]
    assert servers["alone"].process.poll() is None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where photographs lie, and the client runs."""
    for name, file in PHOTOGRAPHS.items():
        (tmp_path / name).write_bytes(file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def client():
    """The example as a module, so that not every test starts a process."""
    spec = importlib.util.spec_from_file_location("client", CLIENT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(server, protocol, *arguments):
    # Over REST without packages: neither ours nor anybody's.
    options = ["-I", "-S", CLIENT, "--rest"] if protocol == "rest" else [CLIENT]
    command = [sys.executable, "-X", "utf8", *options, "--server", server, *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf8", timeout=300)


def ask(client, server, protocol, model, images):
    method = client.predict_by_rest if protocol == "rest" else client.predict_by_grpc
    return method(server.address(protocol), model, images, timeout=30)


def post(server, path, body):
    address = f"http://{server.address('rest')}{path}"
    with urllib.request.urlopen(address, body and json.dumps(body).encode(), timeout=30) as answer:
        return json.load(answer)


def refusal(server, path, body):
    with pytest.raises(urllib.error.HTTPError) as error:
        post(server, path, body)
    with error.value:
        assert error.value.code == 400
        return json.loads(error.value.read())["error"]


def pixels(file):
    if file.startswith(b"\xff\xd8"):
        return tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    return decoded(file)


def scores(model, file):
    return model(pixels(file)[np.newaxis].astype("float32"))[0].numpy()


def expected_line(model, name, file):
    found = scores(model, file)
    best = np.argsort(-found)[:5]
    return name, [str(LABELS[i]) for i in best], found[best]


def parsed(line):
    name, rest = line.split("  ", 1)
    pairs = [pair.rsplit(" ", 1) for pair in rest.split(", ")]
    return name, [label for label, _ in pairs], [float(score) for _, score in pairs]


def check_lines(model, text, files):
    lines = text.splitlines()
    assert len(lines) == len(files)
    for line, (name, file) in zip(lines, files.items(), strict=True):
        found, expected = parsed(line), expected_line(model, name, file)
        assert found[:2] == expected[:2]
        np.testing.assert_allclose(found[2], expected[2], atol=1e-5)


def check_answer(model, answer, file):
    found = scores(model, file)
    labels = [x if isinstance(x, str) else x.decode() for x in answer["labels"]]
    assert labels == LABELS[np.argsort(-found)[:5]].tolist()
    np.testing.assert_allclose(answer["scores"], -np.sort(-found)[:5], rtol=1e-5)


every_protocol = pytest.mark.parametrize("protocol", ["grpc", "rest"])
every_refusal = pytest.mark.parametrize("kind", REFUSED)


def test_the_photographs_of_these_tests_differ_in_their_scores(model):
    found = [scores(model, file) for file in PHOTOGRAPHS.values()]
    best = {tuple(np.argsort(-one)[:5]) for one in found}
    assert len(best) > 1
    assert all(np.diff(-np.sort(-one)[:5]).max() < -1e-4 for one in found)


@every_protocol
def test_the_client_prints_for_files_of_any_size_and_kind_what_keras_answers(
    server, folder, model, protocol
):
    done = run(server.address(protocol), protocol, *PHOTOGRAPHS, "--model", "pets")
    assert done.returncode == 0, done.stderr
    check_lines(model, done.stdout, PHOTOGRAPHS)


def test_the_client_needs_no_package_of_ours():
    tree = ast.parse(CLIENT.read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    others = imported - set(sys.stdlib_module_names)
    assert others == {"grpc", "tensorflow", "tensorflow_serving"}


def test_the_help_shows_examples():
    done = run("unused", "rest", "--help")
    assert "python client.py photos/*.jpg --model zf5_spp" in done.stdout


@pytest.mark.parametrize("name", ["alone", "joining"])
def test_the_client_asks_for_many_files_in_requests_that_the_server_takes(
    servers, folder, model, name
):
    files = {f"{i}.png": PHOTOGRAPHS["c.gif" if i % 3 else "a.png"] for i in range(35)}
    for path, file in files.items():
        (folder / path).write_bytes(file)
    done = run(servers[name].address("rest"), "rest", *files, "--model", "pets")
    assert done.returncode == 0, done.stderr
    check_lines(model, done.stdout, files)


@every_refusal
def test_the_client_names_the_file_that_is_refused_and_why(server, folder, model, kind):
    file, reason = REFUSED[kind]
    (folder / "wrong.jpg").write_bytes(file)
    asked = ["a.png", "b.bmp", "wrong.jpg", "c.gif"]
    done = run(server.address("rest"), "rest", *asked, "--model", "pets")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"wrong.jpg {reason}: leave it out or repair it\n"
    done = run(server.address("rest"), "rest", "a.png", "--model", "pets")
    check_lines(model, done.stdout, {"a.png": PHOTOGRAPHS["a.png"]})


@every_refusal
def test_over_grpc_the_refused_file_is_named_too(client, server, model, kind):
    file, reason = REFUSED[kind]
    good = PHOTOGRAPHS["a.png"]
    with pytest.raises(RuntimeError) as error:
        ask(client, server, "grpc", "pets", [good, file])
    said = client.describe_refusal(str(error.value), ["good.png", "wrong.jpg"], "pets")
    assert said == f"wrong.jpg {reason}: leave it out or repair it"
    check_answer(model, ask(client, server, "grpc", "pets", [good])[0], good)


@every_protocol
def test_where_errors_are_reported_the_other_files_are_answered(client, server, model, protocol):
    good, wrong = list(PHOTOGRAPHS.values()), [file for file, _ in REFUSED.values()]
    mixed = [*good, *wrong]
    answers = ask(client, server, protocol, "reporting", mixed)
    for answer, file in zip(answers[: len(good)], good, strict=True):
        check_answer(model, answer, file)
        assert "refused" not in client.format_line("a.png", answer)
    reasons = [reason for _, reason in REFUSED.values()]
    for answer, reason in zip(answers[len(good) :], reasons, strict=True):
        assert client.format_line("wrong.jpg", answer) == f"wrong.jpg  refused: it {reason}"
        assert answer["error_codes"] > 0


@every_protocol
def test_no_images_are_refused_and_the_server_goes_on(client, server, model, protocol):
    if protocol == "grpc":
        with pytest.raises(RuntimeError) as error:
            ask(client, server, "grpc", "pets", [])
        said = str(error.value)
    else:
        body = {"signature_name": "bytes", "inputs": {"image_bytes": []}}
        said = refusal(server, "/v1/models/pets:predict", body)
    assert "`image_bytes` must hold one image or more." in said
    good = PHOTOGRAPHS["a.png"]
    check_answer(model, ask(client, server, protocol, "pets", [good])[0], good)


def test_refusals_over_rest_are_json(server):
    # The server escapes a quote and what is not ASCII as C does, which JSON does not know.
    for file, reason in REFUSED.values():
        instances = [{"b64": base64.b64encode(file).decode()}]
        body = {"signature_name": "bytes", "instances": instances}
        assert reason in refusal(server, "/v1/models/pets:predict", body)


PROBLEMS: dict[str, Any] = {
    "no model": (["a.png", "--model", "pet"], "the server has no model 'pet': name one that"),
    "no file": (["b.png"], "b.png cannot be read (No such file or directory): correct its name"),
    "folder": (["."], ". cannot be read (Is a directory): correct its name"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_client_says_in_one_line_what_to_do(server, folder, problem):
    arguments, words = PROBLEMS[problem]
    done = run(server.address("rest"), "rest", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(words)
    assert done.stderr.count("\n") == 1


def test_over_grpc_a_model_that_is_not_there_is_named(client, server):
    with pytest.raises(RuntimeError) as error:
        ask(client, server, "grpc", "pet", [PHOTOGRAPHS["a.png"]])
    assert "the server has no model 'pet'" in client.describe_refusal(
        str(error.value), ["a.png"], "pet"
    )


@every_protocol
def test_the_client_says_what_to_do_where_no_server_is(client, folder, monkeypatch, protocol):
    options = ["--server", "localhost:1", *(["--rest"] if protocol == "rest" else [])]
    monkeypatch.setattr(sys, "argv", ["client.py", "a.png", *options])
    with pytest.raises(SystemExit, match=r"^no answer from localhost:1: start it, name it by"):
        client.main()


@every_protocol
def test_the_port_of_the_other_protocol_is_no_server(client, server, protocol):
    other = server._replace(port=server.rest_api_port, rest_api_port=server.port)
    with pytest.raises((OSError, client.http.client.HTTPException)):
        ask(client, other, protocol, "pets", [PHOTOGRAPHS["a.png"]])


def test_no_file_is_a_mistake_in_the_command(server):
    assert run(server.address("rest"), "rest").returncode == 2


def test_pixels_over_rest_are_answered_as_keras_does(server, model):
    images = np.stack([photograph(30, 45, seed) for seed in (1, 2)])
    expected = model(images.astype("float32")).numpy()
    body = {"instances": images.tolist(), "signature_name": "uint8"}
    found = post(server, "/v1/models/pets/versions/1:predict", body)
    np.testing.assert_allclose(found["predictions"], expected, rtol=1e-5)
    found = post(server, "/v1/models/pets:predict", {"inputs": {"images": images.tolist()}})
    np.testing.assert_allclose(found["outputs"], expected, rtol=1e-5)


def test_a_server_tells_versions_and_signatures(server):
    (status,) = post(server, "/v1/models/pets", None)["model_version_status"]
    assert (status["version"], status["state"]) == ("1", "AVAILABLE")
    told = post(server, "/v1/models/pets/metadata", None)["metadata"]["signature_def"]
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "pets"
    with grpc.insecure_channel(server.address("grpc")) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        packed = stub.GetModelMetadata(request).metadata["signature_def"]
    unpacked = get_model_metadata_pb2.SignatureDefMap()
    packed.Unpack(unpacked)
    assert set(unpacked.signature_def) == set(told["signature_def"])
    assert set(told["signature_def"]) == {
        "serving_default",
        "uint8",
        "bytes",
        "features",
        "bytes_features",
    }


@every_protocol
def test_requests_that_a_server_joins_are_answered_as_if_each_had_come_alone(
    client, servers, model, protocol
):
    served = servers["joining"]
    before = served.log.read_text().count("\n")
    files = list(PHOTOGRAPHS.values()) * 2
    with ThreadPoolExecutor(len(files)) as threads:
        answers = list(
            threads.map(lambda file: ask(client, served, protocol, "pets", [file])[0], files)
        )
    for answer, file in zip(answers, files, strict=True):
        check_answer(model, answer, file)
    joined = [line for line in served.log.read_text().splitlines()[before:] if "joined" in line]
    assert len(joined) < len(files), joined


def test_where_errors_are_reported_a_broken_file_spoils_no_request_joined_with_its_own(
    client, servers, model
):
    files = [*PHOTOGRAPHS.values(), *(file for file, _ in REFUSED.values())]
    with ThreadPoolExecutor(len(files)) as threads:
        answers = list(
            threads.map(
                lambda file: ask(client, servers["joining"], "rest", "reporting", [file])[0], files
            )
        )
    for answer, file in zip(answers[:4], PHOTOGRAPHS.values(), strict=True):
        check_answer(model, answer, file)
    assert [bool(answer["error_codes"]) for answer in answers] == 4 * [False] + 6 * [True]


def test_a_version_exported_while_a_server_runs_is_served_without_a_failure(
    client, server, model, models
):
    file = PHOTOGRAPHS["a.png"]
    second = network(2)
    assert np.abs(scores(model, file) - scores(second, file)).max() > 0.01
    answers, stop = [], threading.Event()

    def keep_asking():
        while not stop.is_set():
            answers.append(ask(client, server, "rest", "changing", [file])[0])
            time.sleep(0.02)

    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(keep_asking)
        try:
            folder = export.export_model(second, models / "changing", labels=LABELS[::-1])
            labels = LABELS[::-1][np.argsort(-scores(second, file))[:5]].tolist()
            until = time.monotonic() + 300
            while not answers or answers[-1]["labels"] != labels:
                assert time.monotonic() < until
                assert not asking.done()
                time.sleep(0.1)
        finally:
            stop.set()
        asking.result()
    assert folder.name == "2"
    kinds = [answer["labels"] == labels for answer in answers]
    assert kinds == sorted(kinds)
    check_answer(model, answers[0], file)
    np.testing.assert_allclose(
        answers[-1]["scores"], -np.sort(-scores(second, file))[:5], rtol=1e-5
    )
