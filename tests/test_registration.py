import ast
import json
import subprocess
import sys
from pathlib import Path

import keras
import moving_cells
import numpy as np
import pytest
import small_detectors
import small_networks

import spp_keras
from spp_keras import _registration, zoo
from spp_keras.training import objectives
from spp_keras.zoo import preprocessing

PACKAGE = Path(spp_keras.__file__).parent


def decorated_classes():
    """Classes that register themselves with Keras, by reading the source."""
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(
                "register_keras_serializable" in ast.unparse(one) for one in node.decorator_list
            ):
                yield node.name, module


def test_every_class_that_a_file_may_name_is_registered():
    assert dict(decorated_classes()) == _registration.CLASSES


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files in which each of our classes occurs."""
    folder = tmp_path_factory.mktemp("files")
    network = zoo.zf5_spp(classes=3, width=0.02)
    accuracy = objectives.PerImageMetric(keras.metrics.SparseCategoricalAccuracy(name="accuracy"))
    network.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=[accuracy])
    network.evaluate(np.zeros((1, 40, 50, 3)), np.zeros(1), sample_weight=np.ones(1), verbose=0)
    images = keras.Input((None, None, 3))
    backbone = keras.Model(images, keras.layers.Conv2D(2, 3)(images))
    detector = small_detectors.detector(rpn=True)
    models = {
        "network": network,
        "with_sizes": zoo.with_sizes(network),
        "with_boxes": zoo.with_boxes(network),
        "moving_cells": zoo.with_boxes(moving_cells.make_small_network()),
        "classifier": zoo.spp_classifier(backbone, 2, levels=(1,), units=()),
        "detector": detector,
        "converted": spp_keras.any_size(small_networks.every_rule()),
        "per_image": spp_keras.any_size(small_networks.without_rule(), per_image=True),
        "preprocessing": keras.Model(images, preprocessing.apply_preprocessing(images, "caffe")),
    }
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
    return folder, {name: type(model).__name__ for name, model in models.items()}


LOAD = """
import json, sys
import {imports}
assert not any(name.startswith(("spp_keras.layers", "spp_keras.zoo")) for name in sys.modules)
kinds = [type(keras.models.load_model(path, safe_mode=True)).__name__ for path in sys.argv[1:]]
registered = keras.saving.get_custom_objects()
print(json.dumps([kinds, [name for name in registered if isinstance(registered[name], type)]]))
"""


@pytest.mark.integration
@pytest.mark.parametrize("imports", ["keras, spp_keras", "spp_keras, keras"])
def test_importing_the_package_is_enough_to_load_its_files(imports, files):
    folder, kinds = files
    paths = [str(folder / f"{name}.keras") for name in kinds]
    command = [sys.executable, "-c", LOAD.format(imports=imports), *paths]
    done = subprocess.run(command, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found, registered = json.loads(done.stdout.splitlines()[-1])
    assert found == list(kinds.values())
    # So the files have named every class.
    assert sorted(registered) == sorted(f"spp_keras>{name}" for name in _registration.CLASSES)


AROUND = """
import importlib, importlib.util, inspect, sys
import spp_keras
importlib.reload(spp_keras)
# A look whether Keras is there is not its import.
assert importlib.util.find_spec("keras").origin.endswith("__init__.py")
assert "keras" not in sys.modules
from spp_keras import layers
import keras
assert keras.saving.get_registered_object("spp_keras>PadRagged") is layers.PadRagged
assert not [finder for finder in sys.meta_path if "spp_keras" in type(finder).__module__]
assert "spp_keras" not in type(keras.__loader__).__module__
assert keras.__spec__.loader is keras.__loader__
assert "__version__" in inspect.getsource(keras)
importlib.reload(spp_keras)
assert keras.saving.get_registered_object("spp_keras>PadRagged") is layers.PadRagged
"""


@pytest.mark.integration
def test_the_import_of_keras_stays_as_it_is():
    done = subprocess.run(
        [sys.executable, "-c", AROUND], timeout=300, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_keras_that_cannot_be_imported_says_why(tmp_path):
    (tmp_path / "keras.py").write_text("raise RuntimeError('no backend')")
    code = "import sys, spp_keras; sys.path.insert(0, sys.argv[1]); import keras"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], timeout=60, capture_output=True, text=True
    )
    assert done.stderr.endswith("RuntimeError: no backend\n")
