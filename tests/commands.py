"""Every command of `spp-keras`, and the examples in its help."""

import argparse

from spp_keras import cli


def _commands():
    (found,) = (
        action
        for action in cli.build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return found.choices


def _examples(parser):
    title, _, lines = parser.epilog.partition("\n")
    assert title == "examples:"
    return [line.strip() for line in lines.splitlines()]


COMMANDS = _commands()
EXAMPLES = {name: _examples(parser) for name, parser in COMMANDS.items()}
