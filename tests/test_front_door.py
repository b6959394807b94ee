"""Names that a user of Keras or torchvision types without reading exist, and stay."""

import ast
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import spp_keras

PACKAGE = Path(spp_keras.__file__).parent
PACKAGES = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))

SNIPPETS = {
    "list_models": 'assert "zf5_spp" in spp_keras.list_models("*spp*")',
    "create_model": """
model = spp_keras.create_model("zf5_spp", classes=10, width=0.0625)
assert model.output_shape == (None, 10)
""",
    "zoo": "assert spp_keras.zoo.zf5_spp(10, width=0.0625).output_shape == (None, 10)",
    "from zoo": "from spp_keras.zoo import zf5_spp; assert callable(zf5_spp)",
    "SpatialPyramidPooling": """
pool = spp_keras.layers.SpatialPyramidPooling((6, 3, 2, 1))
assert pool(numpy.ones((1, 13, 9, 2), "float32")).shape == (1, 100)
""",
    "AdaptiveMaxPooling2D": """
pool = spp_keras.layers.AdaptiveMaxPooling2D((3, 2))
assert pool(numpy.ones((1, 13, 9, 2), "float32")).shape == (1, 3, 2, 2)
""",
    "AdaptiveAveragePooling2D": """
pool = spp_keras.layers.AdaptiveAveragePooling2D(1)
assert pool(numpy.ones((1, 13, 9, 2), "float32")).shape == (1, 1, 1, 2)
""",
    "RoIAlign": """
align = spp_keras.layers.RoIAlign(7, spatial_scale=1 / 16)
boxes = numpy.array([[[0, 0, 100, 60]]], "float32")
assert align(numpy.ones((1, 13, 9, 2), "float32"), boxes).shape == (1, 1, 7, 7, 2)
""",
    "LocalResponseNormalization": "assert callable(spp_keras.layers.LocalResponseNormalization)",
    "roi_align": """
features, boxes = numpy.ones((1, 13, 9, 2), "float32"), numpy.array([[[0, 0, 100, 60]]], "float32")
grids = spp_keras.ops.roi_align(features, boxes, output_size=(7, 7), spatial_scale=1 / 16)
assert grids.shape == (1, 1, 7, 7, 2)
""",
    "roi_pool": "assert callable(spp_keras.ops.roi_pool)",
    "nms": """
boxes = numpy.array([[0, 0, 10, 10], [0, 0, 10, 9]], "float32")
indices, count = spp_keras.ops.nms(boxes, numpy.array([0.5, 0.9], "float32"), 2, 0.5)
assert int(count) == 1 and int(indices[0]) == 1
""",
    "box_iou": """
boxes = numpy.array([[0, 0, 10, 10]], "float32")
assert float(spp_keras.ops.box_iou(boxes, boxes)[0, 0]) == 1
""",
    "map_geometry": """
inputs = keras.Input((None, None, 3))
model = keras.Model(inputs, keras.layers.Conv2D(2, 3, strides=2)(inputs))
assert spp_keras.map_geometry(model, (33, 65)).size == (16, 32)
assert spp_keras.geometry.CellGrid.of(model).stride == 2
""",
    "Detector": "assert callable(spp_keras.detection.Detector)",
    "RegionProposalNetwork": "assert callable(spp_keras.detection.RegionProposalNetwork)",
    "Pipeline": "assert callable(spp_keras.data.Pipeline)",
    "image_dataset_from_directory": "assert callable(spp_keras.image_dataset_from_directory)",
    "top_k_accuracy": "assert callable(spp_keras.metrics.top_k_accuracy)",
    "features": """
model = spp_keras.create_model("zf5_spp", classes=10, width=0.0625)
assert spp_keras.features(model, "spp")(numpy.ones((1, 64, 80, 3), "float32")).shape == (1, 800)
""",
    "fine_tune": "assert callable(spp_keras.fine_tune)",
    "LearningRateMultiplier": "assert callable(spp_keras.training.LearningRateMultiplier)",
    "Recipe": "assert spp_keras.recipes.Recipe(epochs=3).epochs == 3",
    "train": "assert callable(spp_keras.train)",
    "train_detector": "assert callable(spp_keras.train_detector)",
    "compare_size_policies": "assert callable(spp_keras.compare_size_policies)",
    "evaluate": "assert callable(spp_keras.evaluate)",
    "summarize_images": "assert callable(spp_keras.summarize_images)",
    "export_model": "assert callable(spp_keras.export_model)",
    "load_run": "assert callable(spp_keras.load_run)",
    "load_predictor": "assert callable(spp_keras.load_predictor)",
    "load_detector": "assert callable(spp_keras.load_detector)",
    "predict_images": "assert callable(spp_keras.predict_images)",
}

# Each snippet runs in a copy of one process that has loaded Keras but nothing of ours.
RUN_SNIPPETS = """
import json, os, sys, traceback
import keras, numpy
for name, code in json.load(sys.stdin).items():
    if os.fork() == 0:
        error = None
        try:
            import spp_keras
            exec(code)
        except BaseException:
            error = traceback.format_exc()
        print(json.dumps([name, error]), flush=True)
        os._exit(0)
    os.wait()
"""

IMPORT_EVERYTHING = """
import importlib, json, sys
import spp_keras

modules, packages = json.load(sys.stdin)
public = {
    (package, name): getattr(importlib.import_module(package), name)
    for package, names in packages.items()
    for name in names
}
for module in modules:
    importlib.import_module(module)
replaced = [
    f"{package}.{name}"
    for (package, name), value in public.items()
    if getattr(sys.modules[package], name) is not value
]
print(json.dumps(replaced))
"""


def run_python(code, stdin):
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(stdin),
        check=True,
        timeout=600,
        capture_output=True,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def get_module(path):
    """Dotted name of a package's folder or of a file without its suffix."""
    return ".".join(path.relative_to(PACKAGE.parent).parts)


def read_public_names(folder):
    """Names that a package's `__init__.py` exports, by `import name as name`, and their homes."""
    names = {}
    for node in ast.walk(ast.parse((folder / "__init__.py").read_text())):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.asname == alias.name:
                    names[alias.name] = node.module
    return names


every_package = pytest.mark.parametrize("folder", PACKAGES, ids=get_module)


@pytest.fixture(scope="module")
def errors():
    return dict(run_python(RUN_SNIPPETS, SNIPPETS))


@pytest.fixture(scope="module")
def replaced():
    modules = [
        get_module(path.with_suffix(""))
        for path in PACKAGE.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    ]
    packages = {get_module(folder): [*read_public_names(folder)] for folder in PACKAGES}
    (replaced,) = run_python(IMPORT_EVERYTHING, [modules, packages])
    return replaced


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_guessed_name_works_in_a_fresh_process(name, errors):
    assert errors[name] is None, errors[name]


@pytest.mark.integration
def test_importing_any_module_replaces_no_public_name(replaced):
    assert replaced == []


@every_package
def test_a_package_lists_its_public_names(folder):
    """For readers and type checkers in its file, for others in `dir` and `__all__`."""
    package = importlib.import_module(get_module(folder))
    names = set(read_public_names(folder))
    assert names <= set(dir(package))
    if hasattr(package, "__all__"):
        assert sorted(package.__all__) == sorted(names)
    for name in names:
        assert not name.startswith("_")
        assert getattr(package, name) is not None


def test_the_front_door_finds_names_where_type_checkers_do():
    homes = {
        name: None if module == "spp_keras" else module
        for name, module in read_public_names(PACKAGE).items()
    }
    assert homes == spp_keras._HOMES
    assert spp_keras.__all__ == sorted(homes)


def test_the_front_door_has_every_public_package():
    public = {
        module.name
        for module in pkgutil.iter_modules(spp_keras.__path__)
        if module.ispkg and not module.name.startswith("_")
    }
    # Programs rather than libraries.
    assert public - {"app", "cli", "demo"} <= set(spp_keras.__all__)


def test_a_name_that_is_missing_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'spp_keras' has no attribute 'resnet50'"):
        _ = spp_keras.resnet50


@every_package
def test_no_module_is_named_like_a_public_name(folder):
    """Importing the module would put it in the place of the function."""
    modules = {module.name for module in pkgutil.iter_modules([str(folder)])}
    public = read_public_names(folder)
    assert not {name for name in modules & {*public} if public[name] != get_module(folder)}


@every_package
def test_public_functions_and_classes_have_docstrings(folder):
    package = importlib.import_module(get_module(folder))
    for name in read_public_names(folder):
        value = getattr(package, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert (value.__doc__ or "").strip(), name
