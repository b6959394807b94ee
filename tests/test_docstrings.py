import doctest
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import spp_keras
from spp_keras import zoo
from spp_keras.zoo import tables

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "spp_keras").rglob("*.py"))
}
# Packages with public names.
PARTS = [name for name in spp_keras.__all__ if (ROOT / "spp_keras" / name).is_dir()]
# What trains or evaluates takes minutes; a result is shown where it is returned.
WITHOUT_EXAMPLE = {
    *(
        "Checkpoint",
        "compare_size_policies",
        "evaluate",
        "evaluate_features",
        "train_detector",
        "train_model",
    ),
    *("DetectorPrediction", "PrecisionRecall", "Prediction", "Records", "TrainingResult"),
    *("VocResult", "WorkerLost"),
}
BUILDERS = [f"{trunk.name}{ending}" for trunk in tables.TRUNKS for ending in ("", "_spp")]


def public_names(part):
    """Classes and functions of a package, by name."""
    module = getattr(spp_keras, part)
    values = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return {
        name: value
        for name, value in values.items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.startswith("spp_keras.")
    }


def examples(module):
    """Every docstring of a module that has examples."""
    names = {"np": np, "keras": keras, "ops": keras.ops, "tf": tf}
    names |= public_names("zoo") | public_names("layers") | public_names("conversion")
    found = doctest.DocTestFinder().find(importlib.import_module(module), extraglobs=names)
    return [docstring for docstring in found if docstring.examples]


@pytest.mark.parametrize(
    "module",
    [
        # Examples of exports take seconds each.
        pytest.param(name, marks=[pytest.mark.integration] * name.startswith("spp_keras.export"))
        for name, path in FILES.items()
        if ">>> " in path.read_text()
    ],
)
def test_docstrings_show_what_happens(module):
    report = []
    for docstring in examples(module):
        doctest.DocTestRunner(verbose=False).run(docstring, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("part", PARTS)
def test_every_public_name_has_an_example(part):
    names = public_names(part)
    without = {name for name, value in names.items() if ">>> " not in (value.__doc__ or "")}
    assert without <= WITHOUT_EXAMPLE


@pytest.mark.parametrize("name", BUILDERS)
def test_a_builder_is_documented_under_its_own_name(name):
    builder = getattr(zoo, name)
    assert builder.__name__ == builder.__qualname__ == name
    # Python 3.13 strips the indentation of docstrings.
    docstring = inspect.getdoc(builder)
    assert f">>> model = {name}(" in docstring
    documented = re.findall(r"^    (\w+): ", docstring, flags=re.MULTILINE)
    if name.startswith("zf5"):
        assert documented == list(inspect.signature(builder).parameters)
    else:
        other = zoo.zf5_spp if name.endswith("_spp") else zoo.zf5
        assert f"See `{other.__name__}` for the arguments" in docstring
        assert list(inspect.signature(builder).parameters) == list(
            inspect.signature(other).parameters
        )


@pytest.mark.integration
def test_docstrings_make_pages_without_a_warning(tmp_path):
    # In a process of its own: it tells packages what their public names are.
    script = ROOT / "docs" / "make_api.py"
    command = [sys.executable, "-W", "error::UserWarning", script, "--output", tmp_path]
    subprocess.run(command, check=True, timeout=300)

    for part in PARTS:
        names = public_names(part)
        page = (tmp_path / "spp_keras" / f"{part}.html").read_text()
        assert [name for name in names if f'id="{name}"' not in page] == []
        # As a list, and examples as code.
        assert re.findall(r"<p>(?:Args|Call arguments|Returns):", page) == []
        assert page.count('<span class="gp">&gt;&gt;&gt; </span>') >= len(names)
