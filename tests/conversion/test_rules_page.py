"""The page on `any_size` names every layer and operation that has a rule."""

import re
from pathlib import Path

from spp_keras.conversion import rule_table

PAGE = Path(__file__).parents[2] / "docs" / "any-size.md"
# Operators and slices, which have other names on the page.
OPERATORS = {"GetItem": "x[:, 1:-1, ::2]"}


def name_operation(class_name):
    """The function of `keras.ops` that a class belongs to."""
    joined = class_name.replace("ReLU", "Relu")
    return OPERATORS.get(class_name) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", joined).lower()


def test_every_rule_is_on_the_page():
    section = PAGE.read_text().partition("## What it does")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([^`]+)`", section))
    layers = {layer_class.__name__ for layer_class in rule_table._LAYERS}
    layers |= {name for _, name in rule_table._NAMED}
    operations = {name_operation(name) for name in rule_table._OPERATIONS}

    assert layers | operations <= named


def test_every_row_of_the_page_has_its_reason():
    section = PAGE.read_text().partition("## What it does")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")]

    assert len(rows) > 15
    assert all(len(row) == 3 for row in rows)
