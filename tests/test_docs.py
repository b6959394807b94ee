import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import spp_keras
from spp_keras import data, detection, evaluation, export, layers, report, serving, zoo
from spp_keras.zoo import tables

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MODULES = [
    "spp_keras",
    *(module.name for module in pkgutil.walk_packages(spp_keras.__path__, "spp_keras.")),
]
PUBLIC_LAYERS = [name for name, value in vars(layers).items() if inspect.isclass(value)]
PUBLIC = {
    layers: PUBLIC_LAYERS,
    zoo: zoo.__all__,
    data: ["Crops", "Pipeline", "Whole", "load"],
    detection: ["Detector", "Proposer", "RegionDetector", "Settings"],
    evaluation: ["Scorer", "features_table", "table"],
    export: ["save", "save_detector", "save_detector_tflite", "save_tflite"],
    serving: ["load", "load_detector"],
    report: ["write"],
}
BUILDERS = [f"{trunk.name}{ending}" for trunk in tables.TRUNKS for ending in ("", "_spp")]


def names_in_examples():
    """What an example may use without importing it."""
    ours = {name: getattr(zoo, name) for name in zoo.__all__}
    ours |= {name: getattr(layers, name) for name in PUBLIC_LAYERS}
    return {"np": np, "keras": keras, "ops": keras.ops, "tf": tf, **ours}


def examples(module_name):
    """Every docstring of a module that has examples, by the name of what it describes."""
    module = importlib.import_module(module_name)
    found = doctest.DocTestFinder().find(module, extraglobs=names_in_examples())
    return {test.name: test for test in found if test.examples}


CASES = [(module, name) for module in MODULES for name in examples(module)]


@pytest.mark.parametrize(("module", "name"), CASES, ids=[name for _, name in CASES])
def test_a_docstring_shows_what_happens(module, name):
    report = []
    results = doctest.DocTestRunner(verbose=False).run(examples(module)[name], out=report.append)
    assert results.attempted > 0
    assert results.failed == 0, "".join(report)


@pytest.mark.parametrize(
    ("part", "name"),
    [(part, name) for part, names in PUBLIC.items() for name in names],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_public_name_has_an_example(part, name):
    value = getattr(part, name)
    assert f"{value.__module__}.{name}" in [case for _, case in CASES]


@pytest.mark.parametrize("name", BUILDERS)
def test_a_builder_is_documented_under_its_own_name(name):
    builder = getattr(zoo, name)
    assert builder.__name__ == builder.__qualname__ == name
    assert f">>> model = {name}(" in builder.__doc__
    assert f'Defaults to `"{name}"`' in builder.__doc__
    documented = re.findall(r"^        (\w+): ", builder.__doc__, flags=re.MULTILINE)
    assert documented == list(inspect.signature(builder).parameters)
    assert "{" not in builder.__doc__


def test_python_in_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    namespace = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"README.md, Python block {number}", "exec"), namespace)


def test_the_readme_shows_what_commands_and_result_files_say():
    fill = [sys.executable, ROOT / "benchmarks" / "fill_readme.py", "--check"]
    subprocess.run(fill, check=True, timeout=60)


def test_the_links_of_the_documents_lead_to_files():
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (ROOT / target).exists(), f"{document.name}: {target}"
