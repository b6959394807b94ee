import json
import subprocess
import sys

import numpy as np
import pytest
from conformance.subjects import EXPORTED, answer, to_export
from tensorflow.core.protobuf import saved_model_pb2

pytestmark = pytest.mark.integration

SERVER = """
import json, sys
sys.modules["keras"] = sys.modules["spp_keras"] = None
import numpy as np
import tensorflow as tf

folder = sys.argv[1]
for name, count in json.loads(sys.argv[2]).items():
    loaded = tf.saved_model.load(f"{folder}/{name}")
    serve = loaded.signatures["serving_default"]
    for i in range(count):
        with np.load(f"{folder}/{name}-{i}.npz") as file:
            arguments = {key: tf.constant(file[key]) for key in file.files}
        (answer,) = serve(**arguments).values()
        np.save(f"{folder}/{name}-{i}.npy", answer)
assert not any(name.startswith(("keras.", "spp_keras.")) for name in sys.modules)
"""


every_model = pytest.mark.parametrize("name", EXPORTED)


@pytest.fixture(scope="module")
def models():
    return {name: to_export(name) for name in EXPORTED}


@pytest.fixture(scope="module")
def folder(models, tmp_path_factory):
    """All models exported, and what a process without Keras and us answers."""
    folder = tmp_path_factory.mktemp("served")
    for name, (model, requests) in models.items():
        model.export(folder / name, verbose=False)
        for i, request in enumerate(requests):
            np.savez(folder / f"{name}-{i}.npz", **request)
    counts = json.dumps({name: len(requests) for name, (_, requests) in models.items()})
    command = [sys.executable, "-c", SERVER, str(folder), counts]
    done = subprocess.run(command, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@every_model
def test_a_saved_model_gives_the_same_answers_without_keras_and_us(models, folder, name):
    model, requests = models[name]
    for i, request in enumerate(requests):
        found = np.load(folder / f"{name}-{i}.npy")
        np.testing.assert_allclose(found, answer(model, request), rtol=1e-5, atol=1e-6)


@every_model
def test_a_saved_model_holds_no_python_and_asks_for_no_compiler(folder, name):
    saved = saved_model_pb2.SavedModel.FromString((folder / name / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for one in graph.library.function for node in one.node_def)]
    assert len(nodes) > 20
    assert not {node.op for node in nodes if "PyFunc" in node.op or "Numpy" in node.op}
    attributes = [node.attr for node in nodes] + [one.attr for one in graph.library.function]
    assert not any(attribute["_XlaMustCompile"].b for attribute in attributes)


@every_model
def test_a_saved_model_states_no_height_and_width(models, folder, name):
    saved = saved_model_pb2.SavedModel.FromString((folder / name / "saved_model.pb").read_bytes())
    inputs = saved.meta_graphs[0].signature_def["serving_default"].inputs
    (request, *_) = models[name][1]
    assert set(inputs) == set(request)
    for argument, tensor in inputs.items():
        sides = [dim.size for dim in tensor.tensor_shape.dim]
        unknown = {"sizes": 1, "image_sizes": 1, "boxes": 2}.get(argument, 3)
        assert sides.count(-1) == unknown
