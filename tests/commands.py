"""Every command of `spp-keras`, the examples in its help, and a check of command lines."""

import argparse
import re
import shlex
from pathlib import Path

from spp_keras import cli, recipes
from spp_keras.zoo import networks

ROOT = Path(__file__).parents[1]


def _commands():
    (subparsers,) = (
        action
        for action in cli.build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return subparsers.choices


def _examples(parser):
    title, _, lines = parser.epilog.partition("\n")
    assert title == "examples:"
    return [line.strip() for line in lines.splitlines()]


COMMANDS = _commands()
EXAMPLES = {name: _examples(parser) for name, parser in COMMANDS.items()}


def arguments(line):
    """What `main` is called with for a line that has a command, perhaps within another."""
    words = line.partition("spp-keras ")[2]
    # Of a longer command in quotes.
    words = words.rstrip("'") if words.count("'") % 2 else words
    return shlex.split(re.split(r"[>|)]", words)[0], comments=True)


def check_command(line):
    """That a command line is understood, and that its recipe is there."""
    options = cli.build_parser().parse_args(arguments(line))
    assert callable(options.run_command)
    recipe = getattr(options, "recipe", None)
    if recipe is not None and recipe.startswith("zoo/"):
        assert (ROOT / recipe).is_file()
    elif recipe is not None and not recipe.endswith(".toml"):
        assert recipe in [*recipes.list_recipes(), *networks.list_networks()]
