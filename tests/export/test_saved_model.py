import random
import resource
import shutil
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from image_files import UNUSABLE
from photographs import decoded, encoded, photograph

from spp_keras import data, export, zoo
from spp_keras.data import inspection
from spp_keras.export import argument_checks
from spp_keras.export.tf_serving import (
    classifier_signatures,
    file_pooling,
    input_decoding,
    version_writer,
)
from spp_keras.export.tf_serving.classifier import export_saved_model
from spp_keras.export.tf_serving.detector import export_detector
from spp_keras.models import graph_run

LABELS = [f"class {number}" for number in range(7)]
PACKED_PIXELS = 20_000
FORMS = {"JPEG": {"quality": 90}, "PNG": {}, "BMP": {}}


def network(builder=zoo.zf5_spp, **options):
    """With scores that differ."""
    keras.utils.set_random_seed(3)
    model = builder(classes=len(LABELS), width=0.0625, **options)
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 100)
    return model


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def tiny():
    """What is exported in no time."""
    images = keras.Input((40, 40, 3))
    x = keras.layers.Dense(len(LABELS))(keras.layers.Flatten()(images))
    return keras.Model(images, x)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return tmp_path_factory.mktemp("repository") / "models"


@pytest.fixture(scope="module")
def served(model, repository):
    folder = export.export_model(model, repository / "pets", labels=LABELS, top_k=len(LABELS))
    return tf.saved_model.load(folder)


@pytest.fixture(scope="module")
def reporting(model, repository):
    folder = export.export_model(model, repository / "reporting", labels=LABELS, on_error="report")
    return tf.saved_model.load(folder)


def ask(served, files, signature="bytes"):
    found = served.signatures[signature](image_bytes=tf.constant(files, tf.string))
    return {name: value.numpy() for name, value in found.items()}


def asked_directly(model, files, policy=None, signature="bytes"):
    """The answer of the function that would be saved."""
    call, specifications = classifier_signatures.build_classifier_signatures(
        model,
        LABELS,
        input_decoding.FileInputs(
            argument_checks.resolve_size_policy(policy, *model.input_shape[1:3]),
            "fail",
            graph_run.min_image_size(model),
            inspection.ImageLimits(),
            "exif",
            "white",
        ),
        top_k=len(LABELS),
        packed_pixels=PACKED_PIXELS,
    )[signature]
    found = tf.function(call, input_signature=specifications)(tf.constant(files))
    return {name: value.numpy() for name, value in found.items()}


def by_class(answer):
    scores = np.zeros((len(answer["indices"]), len(LABELS)), "float32")
    np.put_along_axis(scores, answer["indices"], answer["scores"], axis=1)
    return scores


def mixed_files(count, seed=0):
    drawn = np.random.default_rng(seed)
    for number in range(count):
        height, width = (int(side) for side in drawn.integers(29, 180, 2))
        form = list(FORMS)[number % len(FORMS)]
        yield encoded(photograph(height, width, number), form, **FORMS[form])


@pytest.mark.integration
@pytest.mark.parametrize("count", [200])
def test_images_of_random_sizes_have_the_answers_of_keras_alone(model, served, count):
    files = list(mixed_files(count))
    expected = [np.asarray(model(decoded(file)[np.newaxis]))[0] for file in files]
    batches = [ask(served, files[first : first + 25]) for first in range(0, count, 25)]
    found = np.concatenate([by_class(batch) for batch in batches])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert len(set(np.argmax(found, axis=1))) > 1


def test_32_photographs_of_all_sizes_are_packed_in_groups_and_answered_as_alone(model, monkeypatch):
    sides = np.exp(np.random.default_rng(5).uniform(np.log(29), np.log(300), (32, 2))).astype(int)
    pictures = [photograph(*map(int, size), seed) for seed, size in enumerate(sides)]
    groups = []
    plan = file_pooling.plan_canvases

    def spied(sizes, rules):
        # While the graph runs: it is traced once for all groups.
        tf.py_function(lambda x: groups.append(x.numpy()), [sizes], [])
        return plan(sizes, rules)

    monkeypatch.setattr(file_pooling, "plan_canvases", spied)
    monkeypatch.setattr(input_decoding, "_DECODED_PIXELS", 20 * 1024**2)
    found = by_class(asked_directly(model, [encoded(picture, "PNG") for picture in pictures]))
    expected = [np.asarray(model(picture[np.newaxis]))[0] for picture in pictures]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    pixels = [int(sizes.prod(axis=1).sum()) for sizes in groups]
    assert max(pixels) <= PACKED_PIXELS < sides.prod(axis=1).max()
    # Of 20 files and of 12, which are decoded one after the other.
    assert len(groups) > 2
    assert sum(map(len, groups)) > 16


def test_the_index_of_a_bad_file_counts_from_the_first_of_the_request(model, monkeypatch):
    monkeypatch.setattr(input_decoding, "_DECODED_PIXELS", 2 * 1024**2)
    (good,) = mixed_files(1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`image_bytes` 3 is cut short"):
        asked_directly(model, [good, good, good, UNUSABLE["half a PNG"][0], b""])


def test_labels_and_indices_are_those_of_the_best_scores_in_order(served):
    answer = ask(served, list(mixed_files(5)))
    assert (np.diff(answer["scores"], axis=1) <= 0).all()
    assert [[label.decode() for label in row] for row in answer["labels"]] == [
        [LABELS[index] for index in row] for row in answer["indices"]
    ]


def test_an_answer_does_not_depend_on_what_else_is_asked(served):
    files = list(mixed_files(6))
    together = by_class(ask(served, files))
    for number, file in enumerate(files):
        alone = by_class(ask(served, [file]))[0]
        np.testing.assert_allclose(together[number], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(40, 61), (90, 33)])
def test_pixels_have_the_answers_of_keras_as_floats_and_as_bytes(model, served, size):
    images = np.stack([photograph(*size, seed) for seed in range(3)])
    expected = model(images)
    for signature, dtype in (("serving_default", "float32"), ("uint8", "uint8")):
        answer = served.signatures[signature](images=tf.constant(images.astype(dtype)))
        np.testing.assert_allclose(answer["scores"], expected, rtol=1e-5, atol=1e-5)


def test_features_are_the_pyramid_and_the_last_hidden_layer(model, served):
    (file,) = mixed_files(1)
    image = decoded(file)[np.newaxis]
    outputs = [model.get_layer("spp").output, model.get_layer("fc7").output]
    expected = keras.Model(model.input, outputs)(image)
    pixels = served.signatures["features"](images=tf.constant(image, tf.float32))
    for answer in (pixels, ask(served, [file], "bytes_features")):
        assert set(answer) == {"spp", "fc7"}
        for name, value in zip(("spp", "fc7"), expected, strict=True):
            np.testing.assert_allclose(answer[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unusable_image_refuses_its_request_and_is_named(served, kind):
    (good,) = mixed_files(1)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`image_bytes` 1 (is|has) "):
        ask(served, [good, UNUSABLE[kind][0], good])
    assert len(ask(served, [good])["scores"]) == 1


def test_a_request_without_images_is_refused(served):
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold one image or more"):
        ask(served, [])


def test_an_image_too_small_for_the_network_is_refused_in_every_signature(served):
    words = r"1 has 28x60 pixels, which leaves fewer than the 29 on a side"
    files = [encoded(photograph(60, 60)), encoded(photograph(28, 60))]
    for signature in ("bytes", "bytes_features"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            ask(served, files, signature)
    for signature in ("serving_default", "features"):
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be at least 29 pixels"):
            served.signatures[signature](images=tf.zeros((1, 28, 60, 3)))


def test_pixels_that_memory_is_not_for_are_refused(served):
    with pytest.raises(tf.errors.InvalidArgumentError, match="1025x1024 pixels an image, more"):
        served.signatures["uint8"](images=tf.zeros((1, 1025, 1024, 3), tf.uint8))


def test_reported_errors_stand_beside_the_answers_for_the_others(reporting, served):
    good = list(mixed_files(2))
    files = [good[0], UNUSABLE["half a PNG"][0], b"", good[1], UNUSABLE["15x64"][0]]
    answer = ask(reporting, files)
    assert answer["error_codes"].tolist() == [0, 2, 1, 0, 4]
    assert [reason.decode() for reason in answer["errors"]] == [
        "",
        "is cut short or damaged",
        "is empty",
        "",
        "has 15x64 pixels, fewer than 16 on a side",
    ]
    assert answer["indices"][[1, 2, 4]].tolist() == 3 * [5 * [-1]]
    assert not answer["scores"][[1, 2, 4]].any()
    assert not any(answer["labels"][[1, 2, 4]].ravel())
    expected = ask(served, good)
    np.testing.assert_allclose(
        answer["scores"][[0, 3]], expected["scores"][:, :5], rtol=1e-5, atol=1e-6
    )
    features = ask(reporting, files, "bytes_features")
    assert features["error_codes"].tolist() == [0, 2, 1, 0, 4]
    assert features["fc7"].any(axis=1).tolist() == [True, False, False, True, False]


def test_a_file_is_sized_by_the_policy(model):
    picture = photograph(60, 120)
    # The longest side is the limit: 35x70.
    smaller = tf.image.resize(picture.astype("float32"), (35, 70))
    pixels = tf.cast(tf.clip_by_value(smaller, 0, 255) + 0.5, tf.uint8)
    policy = data.Whole(short_side=40, longest_side=70)
    found = by_class(asked_directly(model, [encoded(picture)], policy))
    np.testing.assert_allclose(found, model(pixels[None]), rtol=1e-4, atol=1e-5)


@pytest.mark.integration
def test_a_network_of_one_size_sees_the_crop_at_the_center():
    model, picture = network(zoo.zf5, input_shape=(112, 112, 3)), photograph(128, 150)
    expected = model(picture[np.newaxis, 8:120, 19:131])
    found = by_class(asked_directly(model, [encoded(picture)]))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    features = asked_directly(model, [encoded(picture)], signature="bytes_features")
    assert set(features) == {"flatten", "fc7"}


@pytest.mark.integration
def test_a_backbone_that_pads_otherwise_answers_for_each_image_alone_too():
    inputs = keras.Input((None, None, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(4, 5, strides=3, padding="same")(inputs))
    model = zoo.spp_classifier(backbone, len(LABELS), levels=(3, 1), units=(8,))
    files = list(mixed_files(4))
    expected = [np.asarray(model(decoded(file)[np.newaxis].astype("float32")))[0] for file in files]
    np.testing.assert_allclose(by_class(asked_directly(model, files)), expected, rtol=1e-4)
    assert set(asked_directly(model, files, signature="bytes_features")) == {"spp", "fc1"}


def test_versions_go_up_and_older_ones_stay(tiny, tmp_path):
    first = export.export_model(tiny, tmp_path / "m", labels=LABELS)
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    (tmp_path / "m" / "7").mkdir()
    second = export.export_model(tiny, tmp_path / "m", labels=LABELS)
    assert (first.name, second.name) == ("1", "8")
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    assert (second / "assets" / "labels.txt").read_text().splitlines() == LABELS
    assert 'name: "m"' in (tmp_path / "models.config").read_text()


WRONG = {
    "too few labels": ({"labels": LABELS[1:]}, "must name the 7 classes of .* Received: 6 labels"),
    "a label twice": ({"labels": [*LABELS[:-1], LABELS[0]]}, "Received: 'class 0' twice"),
    "a label of two lines": ({"labels": [*LABELS[:-1], "a\nb"]}, "strings of one line"),
    "an empty label": ({"labels": [*LABELS[:-1], " "]}, "strings of one line"),
    "a number for a label": ({"labels": [*LABELS[:-1], 7]}, "strings of one line"),
    "no pixels": ({"max_pixels": 0}, "`max_pixels` must be an int >= 1"),
    "no class": ({"top_k": 0}, "`top_k` must be an int >= 1"),
    "another word for errors": (
        {"on_error": "ignore"},
        "`on_error` must be one of 'fail', 'report'",
    ),
    "a policy without limit": (
        {"size_policy": data.Whole()},
        "`size_policy` must have a `short_side`",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_named_and_nothing_is_left(model, tmp_path, case):
    options, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        export.export_model(model, tmp_path / "models" / "m", **{"labels": LABELS, **options})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x.onnx", "x.keras", "X.H5", "x.pb", "x.tflite"])
def test_a_file_is_not_what_a_server_loads(name, tmp_path):
    # Before the model is looked at, of either kind.
    message = rf"`output` must be a folder .* Received: output='.*{name}'"
    with pytest.raises(ValueError, match=message):
        export_saved_model(None, tmp_path / name, labels=LABELS)
    with pytest.raises(ValueError, match=message):
        export_detector(None, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_is_no_classifier_is_refused(model, tmp_path):
    for other in (zoo.with_sizes(model), zoo.with_boxes(model)):
        with pytest.raises(ValueError, match=r"`model` must be a `keras.Model` from images"):
            export.export_model(other, tmp_path / "m", labels=LABELS)
    with pytest.raises(ValueError, match="zf5_spp is a network without trained weights"):
        export.export_model("zf5_spp", tmp_path / "m", labels=LABELS)
    cut = zoo.zf5_spp(include_top=False, pooling="spp", width=0.0625, levels=(1,))
    with pytest.raises(ValueError, match="`model` must end in a `Dense` layer"):
        export.export_model(
            cut, tmp_path / "m", labels=[str(i) for i in range(cut.output_shape[-1])]
        )


def test_a_policy_of_another_size_than_the_network_is_refused(tmp_path):
    for shape, policy in (((112, 112, 3), data.Crop(image_sizes=(96,))), ((96, 112, 3), None)):
        with pytest.raises(
            ValueError, match="`size_policy` must be a `Crop` or `Warp` of the model's one size"
        ):
            export.export_model(
                network(zoo.zf5, input_shape=shape),
                tmp_path / "m",
                labels=LABELS,
                size_policy=policy,
            )


def test_a_folder_that_is_no_repository_is_refused_before_work(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="is no repository"):
        export_saved_model(None, tmp_path / "m", labels=LABELS)


def test_a_disk_without_room_is_noticed_before_work(model, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**6))
    with pytest.raises(OSError, match=r"\d+ MB are needed, 1 MB are free"):
        export.export_model(model, tmp_path / "m", labels=LABELS)
    assert not list(tmp_path.iterdir())


def loads(version):
    return "bytes" in tf.saved_model.load(version).signatures


@pytest.mark.integration
def test_a_disk_that_fills_up_leaves_older_versions_and_nothing_half_written(tiny, tmp_path):
    first = export.export_model(tiny, tmp_path / "m", labels=LABELS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may be longer, as on a disk that is full from there on.
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match="the model could not be written"):
            export.export_model(tiny, tmp_path / "m", labels=LABELS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["1"]
    assert loads(first)


@pytest.mark.integration
def test_two_exports_at_once_do_not_take_the_same_version(tiny, tmp_path, monkeypatch):
    write = version_writer.warm_up.write_warm_up

    def overtaken(*arguments):
        (tmp_path / "m" / "1" / "variables").mkdir(parents=True)
        write(*arguments)

    monkeypatch.setattr(version_writer.warm_up, "write_warm_up", overtaken)
    with pytest.raises(OSError, match="was made by another export meanwhile: run this one again"):
        export.export_model(tiny, tmp_path / "m", labels=LABELS)
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["1"]


EXPORTS = """
import sys, keras
from spp_keras import export
images = keras.Input((40, 40, 3))
model = keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(images)))
while True:
    print(export.export_model(model, sys.argv[1], labels=["cat", "dog"]), flush=True)
"""


@pytest.mark.integration
@pytest.mark.parametrize("kills", [3])
def test_a_killed_export_leaves_no_version_that_does_not_load(tmp_path, kills):
    drawn, checked = random.Random(kills), set()
    for _ in range(kills):
        command = [sys.executable, "-c", EXPORTS, str(tmp_path / "m")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.readline()
        start = time.perf_counter()
        process.stdout.readline()
        time.sleep(drawn.uniform(0, 1.2) * (time.perf_counter() - start))
        process.kill()
        process.communicate()
        found = set((tmp_path / "m").glob("[0-9]*"))
        assert len(found - checked) >= 2
        assert all(loads(version) for version in found - checked)
        checked |= found
