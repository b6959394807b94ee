"""`spp-keras completion`."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from spp_keras.cli import evaluate
from spp_keras.cli._command import add_command

# Arguments that are folders and files, by what stands for them in the help or, without that,
# by the name that their command knows them by.
_FOLDERS = ("RUN", "DIR", "DATA", "DATA_DIR", "data")
_FILES = ("FILE", "TO", "IMAGE", "WEIGHTS", "PROPOSALS", "output")


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "completion",
        help="print what makes a shell complete commands",
        description="Prints a script by which a shell completes commands, options, names of "
        "recipes and protocols, files and folders. Have the shell run it when it starts.",
        examples='  eval "$(spp-keras completion bash)"                # in ~/.bashrc\n'
        '  eval "$(spp-keras completion zsh)"                 # in ~/.zshrc, behind compinit\n'
        "  spp-keras completion tcsh > ~/.spp-keras.tcsh      # source it in ~/.tcshrc",
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell that completes")
    parser.set_defaults(run_command=_print_completion)


def _print_completion(options: argparse.Namespace) -> int:
    import shtab

    from spp_keras import recipes
    from spp_keras.zoo import registry

    # What argparse may know an argument by is one word or several.
    kinds: dict[str | tuple[str, ...], Any] = {
        "RECIPE": _recipes([*recipes.list_recipes(), *registry.list_models()]),
        **dict.fromkeys(_FOLDERS, shtab.DIRECTORY),
        **dict.fromkeys(_FILES, shtab.FILE),
    }
    for argument in _arguments(options.parser):
        if argument.dest == "protocols":
            argument.choices = evaluate.PROTOCOLS
        elif (kind := kinds.get(argument.metavar or argument.dest)) is not None:
            vars(argument)["complete"] = kind
    print(shtab.complete(options.parser, options.shell))
    return 0


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Those of all commands; `shtab` reads the same attribute of argparse."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _arguments(inner)
        else:
            yield action


def _recipes(names: Sequence[str]) -> dict[str, Any]:
    """Names in the zoo and, where a shell completes both, files."""
    choices = " ".join(names)
    script = (
        "_spp_keras_recipe_or_file() {\n"
        f'  compgen -W "{choices}" -- "$1"\n  compgen -f -- "$1"\n'
        "}"
    )
    return {
        "bash": "_spp_keras_recipe_or_file",
        "zsh": f"({choices})",
        "tcsh": "f",
        "preamble": {"bash": script},
    }
