"""The names of 0.2 in the changelog's tables of old and new names are there."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from commands import COMMANDS

from spp_keras import recipes, run_folder, tflite_files

TITLES = (
    "modules",
    "Classes and functions",
    "Arguments",
    "Keys of recipes",
    "Command line",
    "Files and keys in them",
)
# Names of 0.2 that later versions do not have.
GONE = ("spp_keras.layers.MaskPadding", "spp_keras.data.Pipeline.padding_fraction")
CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def read_tables():
    """The rows of each table of 0.2.0, by the line above it."""
    section = CHANGELOG.read_text().partition("## 0.2.0\n")[2].partition("\n## ")[0]
    tables = {}
    for title, table in re.findall(r"^(.+):\n\n((?:\|.*\n)+)", section, re.MULTILINE):
        rows = [
            [cell.strip() for cell in row.strip("|\n").split(" | ")] for row in table.splitlines()
        ]
        tables[title.rpartition(", ")[2]] = rows[2:]
    return tables


# A title is missing where the changelog has no such table, which the first test tells.
TABLES = {title: [] for title in TITLES} | read_tables()


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def find(name):
    """What a dotted name stands for."""
    parts = name.split(".")
    value = importlib.import_module(parts[0])
    for index, part in enumerate(parts[1:], start=2):
        if not hasattr(value, part):
            importlib.import_module(".".join(parts[:index]))
        value = getattr(value, part)
    return value


def test_the_changelog_has_all_tables():
    assert [*read_tables()] == [*TITLES]


@pytest.mark.parametrize(
    "name",
    [
        name
        for title in ("modules", "Classes and functions")
        for row in TABLES[title]
        for name in names(row[1])
        if name not in GONE
    ],
)
def test_a_new_name_is_there(name):
    assert find(name) is not None


@pytest.mark.parametrize("name", GONE)
def test_a_name_that_is_gone_is_not_there(name):
    with pytest.raises((AttributeError, ImportError)):
        find(name)


@pytest.mark.parametrize(
    "row",
    [row for row in TABLES["Arguments"] if names(row[0])[0] not in GONE],
    ids=lambda row: row[0].strip("`"),
)
def test_new_arguments_are_there_and_old_ones_are_not(row):
    (owner,), old, new = map(names, row)
    parameters = set(inspect.signature(find(owner)).parameters)
    assert set(new) <= parameters
    assert not set(old) & parameters


@pytest.mark.parametrize("row", TABLES["Keys of recipes"], ids=lambda row: row[0].strip("`"))
def test_new_keys_are_there_and_old_ones_are_not(row):
    (old,), (new,) = map(names, row)
    assert hasattr(recipes.Recipe(), new)
    assert not hasattr(recipes.Recipe(), old)


@pytest.mark.parametrize("row", TABLES["Command line"], ids=lambda row: row[0].strip("`"))
def test_new_options_are_there_and_old_ones_are_not(row):
    old, new = map(names, row)
    command = new[0].split()[0]
    options = COMMANDS[command]._option_string_actions
    assert set(re.findall(r"--[a-z-]+", " ".join(new))) <= set(options)
    if old[0].split()[0] == command:
        assert not set(re.findall(r"--[a-z-]+", " ".join(old))) & set(options)
    else:
        assert old[0].split()[0] not in COMMANDS


def test_new_files_are_there_and_old_ones_are_not():
    files = {value for name, value in vars(run_folder).items() if name.isupper()}
    rows = [row for row in TABLES["Files and keys in them"] if row[0].startswith("run folder")]
    for row in rows:
        (old,), (new,) = map(names, row)
        assert new in files
        assert old not in files
    assert (".view.json", tflite_files.PREPROCESSING) == (
        tflite_files._OLD_PREPROCESSING,
        ".preprocessing.json",
    )
