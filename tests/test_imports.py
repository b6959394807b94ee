"""Imports go one way: what is lower never imports what is higher."""

import ast
import graphlib
from pathlib import Path

import pytest

import spp_keras

PACKAGE = Path(spp_keras.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Private modules that any part may import, and that import nothing above them.
HELPERS = {"_cache", "_checks", "_extras", "_files", "_lazy_names", "_private_apis", "_progress"}
COMPUTE = {"canvas_rules", "geometry", "layers", "models", "ops", "packing"}
# Each part of the package and what it may import, always parts that are named before it.
MAY_IMPORT = {
    "_checks": set(),
    "_extras": set(),
    "_files": set(),
    "_lazy_names": set(),
    "_old_files": set(),
    "_private_apis": set(),
    "_progress": set(),
    "_cache": {"_files"},
    "_registration": {"_old_files"},
    # The front door imports on first use alone: see `test_front_door.py`.
    "": {"_lazy_names", "_registration"},
    "model_repository": {"_files"},
    "stand_in": set(),
    "model_geometry": {"stand_in"},
    "geometry": {"_checks", "model_geometry"},
    "cell_counts": set(),
    "canvas_rules": {"cell_counts"},
    "packing": {"canvas_rules"},
    "ops": {"_checks", "_private_apis", "geometry"},
    "layers": {
        "_checks",
        "_private_apis",
        "canvas_rules",
        "cell_counts",
        "geometry",
        "ops",
        "packing",
    },
    "models": HELPERS | {"canvas_rules", "layers", "ops"},
    "conversion": HELPERS | COMPUTE | {"cell_counts", "stand_in"},
    "data": HELPERS | {"canvas_rules", "geometry", "packing"},
    "metrics": HELPERS | {"data", "ops"},
    "zoo": HELPERS | COMPUTE | {"conversion"},
    "recipes": {"_checks", "data", "zoo"},
    "run_folder": HELPERS | {"data", "recipes", "zoo"},
    "pretrained": HELPERS | {"recipes", "run_folder", "zoo"},
    "training": HELPERS
    | {"canvas_rules", "data", "layers", "metrics", "models", "recipes", "run_folder", "zoo"},
    "evaluation": HELPERS
    | COMPUTE
    | {"conversion", "data", "metrics", "pretrained", "recipes", "run_folder", "zoo"},
    "comparison": HELPERS | {"data", "evaluation", "models", "zoo"},
    "detection": HELPERS
    | COMPUTE
    | {"_old_files", "data", "metrics", "recipes", "run_folder", "training", "zoo"},
    "tflite_files": HELPERS | {"data"},
    "export": HELPERS
    | COMPUTE
    | {"data", "detection", "model_repository", "packing", "pretrained", "run_folder"}
    | {"tflite_files", "zoo"},
    "serving": HELPERS
    | {"data", "detection", "layers", "model_repository", "models", "run_folder", "tflite_files"}
    | {"pretrained", "zoo"},
    "runs": {"detection", "evaluation", "pretrained", "recipes", "run_folder", "serving"}
    | {"training", "zoo"},
    "report": HELPERS
    | {"data", "detection", "evaluation", "geometry", "metrics", "recipes", "run_folder"}
    | {"serving", "training", "zoo"},
    "image_summary": HELPERS
    | {"canvas_rules", "data", "models", "recipes", "report", "training", "zoo"},
    "app": HELPERS
    | {"data", "detection", "models", "pretrained", "recipes", "run_folder", "serving", "zoo"},
    "demo": HELPERS
    | {"data", "evaluation", "export", "model_repository", "pretrained", "recipes", "report"}
    | {"run_folder", "training", "zoo"},
    "cli": HELPERS
    | {"app", "comparison", "conversion", "data", "demo", "detection", "evaluation", "export"}
    | {"image_summary"}
    | {"model_repository", "pretrained", "recipes", "report", "run_folder", "runs", "serving"}
    | {"training", "zoo"},
}

every_module = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)


def get_part(path):
    """The part of the package that a file belongs to, `""` for the package's own file."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def get_module(path):
    """The dotted name of the module in a file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def list_imports(tree):
    """Every import, inside functions too: `(module, names, level)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, [], 0
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", [alias.name for alias in node.names], node.level


def list_imported_parts(tree):
    for module, names, _ in list_imports(tree):
        package, _, rest = module.partition(".")
        if package == "spp_keras":
            inside = [rest.partition(".")[0]] if rest else names
            # `import spp_keras` and `from spp_keras import __version__` name no part.
            yield from (name for name in inside if not name.startswith("__"))


def list_imported_modules(tree):
    """Modules of the package that are imported, a package where one of its names is."""
    existing = {get_module(path) for path in MODULES}
    for module, names, _ in list_imports(tree):
        for name in [f"{module}.{name}" for name in names] or [module]:
            if name in existing:
                yield name
            elif module in existing:
                yield module


def read_tree(path):
    """The syntax tree of a module, without what it imports for type checkers alone."""
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if not is_type_checking(node)]
    return tree


def test_every_part_has_its_row_in_the_table():
    assert {get_part(path) for path in MODULES} == set(MAY_IMPORT)


def test_rows_name_only_parts_above_them():
    above = set()
    for part, allowed in MAY_IMPORT.items():
        assert allowed <= above, part
        above.add(part)


@every_module
def test_imports_go_one_way(path):
    part = get_part(path)
    # The type checker's view of the front door is all of the package.
    tree = ast.parse(path.read_text()) if part else read_tree(path)
    assert set(list_imported_parts(tree)) <= MAY_IMPORT[part] | {part}


def test_no_modules_import_each_other():
    graph = {get_module(path): {*list_imported_modules(read_tree(path))} for path in MODULES}
    # Every module is inside the package, whose own file imports on first use alone.
    graph = {module: imported - {module, "spp_keras"} for module, imported in graph.items()}
    assert len([*graphlib.TopologicalSorter(graph).static_order()]) == len(MODULES)


@every_module
def test_no_import_is_relative(path):
    levels = {level for _, _, level in list_imports(ast.parse(path.read_text()))}
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
def test_every_form_of_import_is_seen(code, expected):
    assert list(list_imported_parts(ast.parse(code))) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from spp_keras.zoo import tables", ["spp_keras.zoo.tables"]),
        ("from spp_keras.zoo import zf5_spp", ["spp_keras.zoo"]),
        ("from spp_keras.zoo.tables import Conv", ["spp_keras.zoo.tables"]),
        ("def f():\n    import spp_keras.cli", ["spp_keras.cli"]),
        ("from numpy import linalg", []),
    ],
)
def test_imports_are_traced_to_modules(code, expected):
    assert list(list_imported_modules(ast.parse(code))) == expected


def test_a_name_the_zoo_does_not_have_is_an_attribute_error():
    from spp_keras import zoo

    with pytest.raises(AttributeError, match=r"'spp_keras\.zoo' has no attribute 'resnet'"):
        _ = zoo.resnet
