"""Exported classifiers in a process that has TensorFlow and neither Keras nor this package."""

import pickle

import numpy as np
import pytest
import tensorflow as tf
from served_alone import run
from served_classifiers import (
    MODELS,
    OF_PIXELS,
    SIGNATURES,
    answers_of_keras,
    check_answers,
    requests,
)
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

pytestmark = pytest.mark.integration

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


@pytest.fixture(scope="module")
def tensorflow_alone(exported):
    asked = {name: (str(exported[name].folder), requests(name)) for name in MODELS}
    done = run(["-c", TENSORFLOW_ALONE], input=pickle.dumps(asked))
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


@pytest.fixture(scope="module")
def saved(exported):
    return {
        name: saved_model_pb2.SavedModel.FromString(
            (one.folder / "saved_model.pb").read_bytes()
        ).meta_graphs
        for name, one in exported.items()
    }


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
def test_what_is_exported_is_operations_of_tensorflow_and_no_python(saved, name):
    (graph,) = (meta.graph_def for meta in saved[name])
    nodes = [*graph.node, *(node for one in graph.library.function for node in one.node_def)]
    operations = {node.op for node in nodes}
    assert len(operations) > 20
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
