import pickle
from concurrent.futures import ThreadPoolExecutor

import exif_files
import keras
import numpy as np
import pytest
import tensorflow as tf
from image_files import REFUSAL
from photographs import decoded, encoded, photograph
from PIL import Image
from served_alone import by_the_c_api, run
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

pytestmark = pytest.mark.integration

MODELS = ["any_size", "reporting", "one_size", "backbone"]
OF_PIXELS = ["serving_default", "uint8", "features"]
OF_FILES = ["bytes", "bytes_features"]
SIGNATURES = [*OF_PIXELS, *OF_FILES]
LABELS = np.array(["cat", "dog", "größe", "a b", "x", "y", "z"])
REPORT = ["error_codes", "errors"]
OUTPUTS = {
    "any_size": ["fc7", "spp"],
    "reporting": ["fc7", "spp"],
    "one_size": ["fc7", "flatten"],
    "backbone": ["backbone", "fc1"],
}
TEXT = b"<html>Not found</html>"

# Nothing but TensorFlow: `(folder, requests)` of each model in, signatures and answers out.
TENSORFLOW_ALONE = """
import pickle, sys
sys.modules["keras"] = sys.modules["spp_keras"] = None
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

asked = pickle.load(sys.stdin.buffer)
found = {}
for model, (folder, requests) in asked.items():
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], folder)

        def run(name, arguments):
            signature = meta.signature_def[name]
            feeds = {signature.inputs[key].name: value for key, value in arguments.items()}
            fetches = {key: tensor.name for key, tensor in signature.outputs.items()}
            try:
                return session.run(fetches, feeds)
            except tf.errors.InvalidArgumentError as error:
                return error.message

        answers = [run(name, arguments) for name, arguments in requests]
        warm_up = {}
        file = folder + "/assets.extra/tf_serving_warmup_requests"
        for record in tf.compat.v1.io.tf_record_iterator(file):
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            arguments = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            name = request.model_spec.signature_name
            warm_up[name] = run(name, arguments)
    found[model] = {"answers": answers, "warm_up": warm_up}
assert not any(name.startswith(("keras.", "spp_keras.")) for name in sys.modules)
sys.stdout.buffer.write(pickle.dumps(found))
"""

every_model = pytest.mark.parametrize("name", MODELS)


def pixels(name):
    size = (224, 224) if name == "one_size" else (75, 110)
    return np.stack([photograph(*size, seed=seed) for seed in range(2)])


def files(name):
    """Of several sizes and kinds, none of which is resized on the way."""
    sizes = [(256, 256), (256, 301), (300, 256)] if name == "one_size" else [(60, 90), (97, 61)]
    forms = ["PNG", "BMP", "GIF"][: len(sizes)]
    found = [encoded(photograph(*size), form) for size, form in zip(sizes, forms, strict=True)]
    if name == "any_size":
        found += [
            exif_files.file(photograph(70, 100, seed), form, orientation)
            for seed, (form, orientation) in enumerate([("PNG", 6), ("WebP", 7), ("WebP", 1)])
        ]
        found.append(encoded(Image.fromarray(photograph(60, 90, 5)).convert("RGBA"), "WebP"))
    return found


def requests(name):
    images, found = pixels(name), files(name)
    broken = [found[0], TEXT, found[1]]
    return [
        ("serving_default", {"images": images.astype("float32")}),
        ("uint8", {"images": images}),
        ("features", {"images": images.astype("float32")}),
        ("bytes", {"image_bytes": found}),
        ("bytes_features", {"image_bytes": found}),
        ("bytes", {"image_bytes": broken}),
        ("bytes_features", {"image_bytes": broken}),
    ]


def answers_of_keras(name, model, signature, arguments):
    """Scores, or features by layer, of images one by one."""
    images = arguments.get("images")
    if images is None:
        images = [decoded(file) for file in arguments["image_bytes"]]
    if name == "one_size":
        images = [center(image, 224) for image in images]
    if "features" in signature:
        layers = OUTPUTS[name]
        model = keras.Model(model.input, [model.get_layer(layer).output for layer in layers])
    rows = [model(image[np.newaxis].astype("float32")) for image in images]
    if "features" not in signature:
        return np.concatenate(rows)
    return {
        layer: np.concatenate(one)
        for layer, one in zip(layers, zip(*rows, strict=True), strict=True)
    }


def center(image, side):
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


@pytest.fixture(scope="module")
def tensorflow_alone(exported):
    asked = {name: (str(exported[name].folder), requests(name)) for name in MODELS}
    done = run(["-c", TENSORFLOW_ALONE], input=pickle.dumps(asked))
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


@pytest.fixture(scope="module")
def c_api(exported, tmp_path_factory):
    beside = tmp_path_factory.mktemp("c_api")
    with ThreadPoolExecutor(2) as threads:
        found = threads.map(
            lambda name: by_the_c_api(exported[name].folder, requests(name), beside / name), MODELS
        )
        return dict(zip(MODELS, found, strict=True))


@pytest.fixture(scope="module")
def saved(exported):
    return {
        name: saved_model_pb2.SavedModel.FromString(
            (one.folder / "saved_model.pb").read_bytes()
        ).meta_graphs
        for name, one in exported.items()
    }


def check_answers(name, model, answers):
    for (signature, arguments), answer in zip(requests(name), answers, strict=True):
        broken = TEXT in arguments.get("image_bytes", ())
        if broken and name != "reporting":
            assert "`image_bytes` 1 is no JPEG, PNG, GIF, BMP or WebP image" in answer
            continue
        assert isinstance(answer, dict), answer
        if broken:
            assert answer["error_codes"].tolist() == [0, 1, 0]
            assert answer["errors"][1].decode() == REFUSAL
            arguments = {"image_bytes": [x for x in arguments["image_bytes"] if x != TEXT]}
            answer = {key: value[[0, 2]] for key, value in answer.items()}
        check_answer(name, model, signature, arguments, answer)


def check_answer(name, model, signature, arguments, answer):
    expected = answers_of_keras(name, model, signature, arguments)
    reported = REPORT if name == "reporting" and signature in OF_FILES else []
    if reported:
        assert not answer["error_codes"].any()
        assert set(answer["errors"]) == {b""}
    if "features" in signature:
        assert sorted(answer) == sorted([*OUTPUTS[name], *reported])
        for layer, values in expected.items():
            close(answer[layer], values)
    elif signature == "bytes":
        assert sorted(answer) == sorted(["scores", "indices", "labels", *reported])
        labels = LABELS[answer["indices"]]
        assert [[x.decode() for x in row] for row in answer["labels"]] == labels.tolist()
        close(answer["scores"], -np.sort(-expected, axis=1)[:, :5])
        close(np.take_along_axis(expected, answer["indices"], axis=1), answer["scores"])
        assert all(len(set(row)) == 5 for row in answer["indices"].tolist())
    else:
        assert sorted(answer) == ["scores"]
        close(answer["scores"], expected)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@every_model
def test_images_of_these_tests_differ_in_their_answers_by_more_than_is_tolerated(exported, name):
    signature, arguments = requests(name)[3]
    scores = answers_of_keras(name, exported[name].model, signature, arguments)
    differences = np.abs(scores[:, None] - scores[None]).max(axis=2)
    assert differences[~np.eye(len(scores), dtype=bool)].min() > 1e-2


@every_model
def test_every_signature_answers_as_keras_does_where_tensorflow_is_alone(
    exported, tensorflow_alone, name
):
    check_answers(name, exported[name].model, tensorflow_alone[name]["answers"])


@every_model
def test_every_signature_answers_as_keras_does_where_there_is_only_c_plus_plus(
    exported, c_api, name
):
    assert isinstance(c_api[name], dict), f"ended by signal {c_api[name]}"
    check_answers(name, exported[name].model, c_api[name]["answers"])


WRONG_SHAPES = {
    "too small": (1, 5, 5, 3),
    "one image and no batch": (224, 224, 3),
    "two channels more": (1, 224, 224, 6),
    "a dimension more": (1, 1, 224, 224, 3),
    "a number": (),
}


@pytest.mark.parametrize("name", ["one_size", "backbone", "any_size"])
def test_pixels_of_a_wrong_shape_are_refused_and_end_no_server(exported, tmp_path, name):
    # The server hands on whatever shape it is sent: Python's session alone compares it.
    shapes = list(WRONG_SHAPES.values())[1 if name == "backbone" else 0 :]
    asked = [("serving_default", {"images": np.zeros(shape, "float32")}) for shape in shapes]
    files_in_rows = ("bytes", {"image_bytes": [[TEXT, TEXT]]})
    good = requests(name)[0]
    found = by_the_c_api(exported[name].folder, [*asked, files_in_rows, good], tmp_path / "beside")
    assert isinstance(found, dict), f"ended by signal {found}"
    *refused, answered = found["answers"]
    assert all(isinstance(answer, str) for answer in refused), refused
    check_answer(name, exported[name].model, *good, answered)


@every_model
def test_what_is_exported_is_operations_of_tensorflow_and_no_python(saved, c_api, name):
    (graph,) = (meta.graph_def for meta in saved[name])
    nodes = [*graph.node, *(node for one in graph.library.function for node in one.node_def)]
    operations = {node.op for node in nodes}
    assert len(operations) > 20
    assert operations <= c_api[name]["registered"]
    assert not operations & {"PyFunc", "PyFuncStateless", "EagerPyFunc", "NumpyFunction"}
    # Servers that are older than these would not load the model.
    assert "DecodeImage" in operations
    assert not operations & {"DecodeWebP", "DecodeJxl"}


@every_model
def test_no_compiler_is_asked_for(saved, name):
    for meta in saved[name]:
        library = meta.graph_def.library.function
        nodes = [*meta.graph_def.node, *(node for one in library for node in one.node_def)]
        attributes = [one.attr for one in [*nodes, *library]]
        assert not any(one["_XlaMustCompile"].b for one in attributes)


@every_model
def test_signatures_are_those_that_a_server_looks_for(saved, name):
    (meta,) = saved[name]
    assert list(meta.meta_info_def.tags) == ["serve"]
    signatures = dict(meta.signature_def)
    signatures.pop("__saved_model_init_op")
    assert sorted(signatures) == sorted(SIGNATURES)
    for signature, definition in signatures.items():
        assert definition.method_name == "tensorflow/serving/predict"
        ((argument, tensor),) = definition.inputs.items()
        assert argument == ("images" if signature in OF_PIXELS else "image_bytes")
        # A batch of any length, or requests could not be joined.
        for every in (tensor, *definition.outputs.values()):
            assert every.tensor_shape.dim[0].size == -1
    kinds = {key: next(iter(one.inputs.values())).dtype for key, one in signatures.items()}
    assert kinds == dict.fromkeys(SIGNATURES, tf.float32.as_datatype_enum) | {
        "uint8": tf.uint8.as_datatype_enum,
        "bytes": tf.string.as_datatype_enum,
        "bytes_features": tf.string.as_datatype_enum,
    }


@every_model
def test_the_warm_up_asks_each_signature_once_for_exactly_its_inputs(exported, saved, name):
    path = exported[name].folder / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    asked = [log.predict_log.request for log in logs]
    assert sorted(one.model_spec.signature_name for one in asked) == sorted(SIGNATURES)
    definitions = saved[name][0].signature_def
    for one in asked:
        inputs = definitions[one.model_spec.signature_name].inputs
        assert one.model_spec.name == name
        assert set(one.inputs) == set(inputs)
        assert all(one.inputs[key].dtype == inputs[key].dtype for key in inputs)


@every_model
def test_the_warm_up_is_answered_where_tensorflow_is_alone(tensorflow_alone, name):
    answers = tensorflow_alone[name]["warm_up"]
    assert sorted(answers) == sorted(SIGNATURES)
    for answer in answers.values():
        assert isinstance(answer, dict), answer
        assert {len(value) for value in answer.values()} == {1}
        assert not np.any(answer.get("error_codes", 0))
