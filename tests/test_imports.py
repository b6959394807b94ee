import ast
import subprocess
import sys
from pathlib import Path

import pytest

import spp_keras

PACKAGE = Path(spp_keras.__file__).parent
BASE = {
    "_checks",
    "_extras",
    "_files",
    "average_precision",
    "geometry",
    "ops",
    "repository",
    "runs",
}
MAY_IMPORT = {
    "": {"_registration"},
    "_registration": set(),
    "_checks": set(),
    "_extras": set(),
    "_files": set(),
    "average_precision": set(),
    "runs": set(),
    "repository": {"_files"},
    "geometry": {"_checks"},
    "ops": {"_checks", "geometry"},
    "layers": {"_checks", "geometry", "ops"},
    "zoo": {"_checks", "_files", "geometry", "layers"},
    "data": {"_checks", "_files", "geometry"},
    "trained": BASE | {"layers", "zoo", "data"},
    "training": BASE | {"layers", "zoo", "data", "trained"},
    "detection": BASE | {"layers", "zoo", "data", "trained", "training"},
    "evaluation": BASE | {"layers", "zoo", "data", "trained"},
    "export": BASE | {"layers", "zoo", "data", "detection"},
    "serving": BASE | {"data", "trained", "zoo", "detection"},
    "report": BASE | {"data", "trained", "training", "zoo", "detection", "evaluation", "serving"},
    "demo": BASE
    | {"data", "trained", "zoo", "training", "evaluation", "export", "serving", "report"},
    "cli": BASE
    | {"layers", "zoo", "data", "trained", "training", "detection", "evaluation"}
    | {"export", "serving", "report", "demo"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))

every_module = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)


def part_of(path):
    """The part of the package that a file belongs to; the package's own file has none."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(tree):
    """Every import, inside functions too: `(module, names, level)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, [], 0
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", [alias.name for alias in node.names], node.level


def parts_imported(tree):
    for module, names, _ in imports(tree):
        package, _, rest = module.partition(".")
        if package == "spp_keras":
            inside = [rest.partition(".")[0]] if rest else names
            # `import spp_keras` and `from spp_keras import __version__` name no part.
            yield from (name for name in inside if not name.startswith("__"))


def test_every_part_has_its_row_in_the_table():
    assert {part_of(path) for path in MODULES} == set(MAY_IMPORT)


@every_module
def test_imports_go_downward_only(path):
    part = part_of(path)
    found = set(parts_imported(ast.parse(path.read_text())))
    assert found <= MAY_IMPORT[part] | {part}


@every_module
def test_no_import_is_relative(path):
    levels = {level for _, _, level in imports(ast.parse(path.read_text()))}
    assert levels <= {0}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import spp_keras.zoo.tables", ["zoo"]),
        ("import numpy, spp_keras.zoo", ["zoo"]),
        ("from spp_keras import geometry, zoo", ["geometry", "zoo"]),
        ("from spp_keras.zoo.tables import Conv", ["zoo"]),
        ("def f():\n    from spp_keras.cli import main", ["cli"]),
        ("import spp_keras", []),
        ("from spp_keras import __version__", []),
        ("from spp_keras_more import zoo", []),
    ],
)
def test_the_walk_sees_every_form_of_import(code, expected):
    assert list(parts_imported(ast.parse(code))) == expected


@pytest.mark.parametrize(
    "module",
    [
        "spp_keras",
        "spp_keras.geometry",
        "spp_keras.model_repository",
        "spp_keras.zoo.tables",
        "spp_keras.zoo.model_summary",
        "spp_keras.recipes",
        "spp_keras.cli",
    ],
)
def test_a_light_module_loads_neither_tensorflow_nor_keras(module):
    code = f"import sys, {module}; print(sorted({{'tensorflow', 'keras'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=300, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"


def test_the_zoo_lists_its_names_before_it_loads_them():
    code = """
import sys, spp_keras.zoo
names = [name for name in spp_keras.zoo.__all__ if name not in dir(spp_keras.zoo)]
print(names, 'keras' in sys.modules, callable(spp_keras.zoo.zf5_spp), 'keras' in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=300, capture_output=True, text=True
    )
    assert done.stdout == "[] False True True\n"


def test_a_name_the_zoo_does_not_have_is_an_attribute_error():
    from spp_keras import zoo

    with pytest.raises(AttributeError, match=r"'spp_keras\.zoo' has no attribute 'resnet'"):
        _ = zoo.resnet
