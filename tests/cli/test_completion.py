import shutil
import subprocess

import pytest
from commands import COMMANDS

import spp_keras
from spp_keras import cli, evaluation, recipes
from spp_keras.cli import evaluate

# Asks bash as it asks itself when the tab key is pressed.
ASK = """
source completion.bash
function=$(complete -p spp-keras | sed -E 's/.* -F (\\S+) .*/\\1/')
while IFS=' ' read -r -a COMP_WORDS; do
    [[ ${#COMP_WORDS[@]} = 1 || ${COMP_WORDS[-1]} = . ]] && COMP_WORDS[-1]=''
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    "$function"
    echo "${COMPREPLY[@]}"
done
"""


@pytest.fixture
def scripts(capsys):
    def script(shell):
        assert cli.main(["completion", shell]) == 0
        return capsys.readouterr().out

    return script


@pytest.fixture
def complete(scripts, tmp_path):
    """What bash offers for commands that are not typed to the end; `.` for an empty last word."""
    (tmp_path / "completion.bash").write_text(scripts("bash"))
    (tmp_path / "runs" / "zf5_spp-shapes").mkdir(parents=True)
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "mine.toml").touch()

    def ask(*typed):
        bash = [shutil.which("bash"), "--norc", "-c", ASK]
        words = "".join(f"{line}\n" for line in typed)
        done = subprocess.run(
            bash, input=words, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True
        )
        assert done.stderr == ""
        return [line.split() for line in done.stdout.splitlines()]

    return ask


def test_bash_completes_commands_options_names_and_paths(complete):
    typed = {
        "spp-keras ev": ["evaluate"],
        "spp-keras train-": ["train-detector"],
        "spp-keras train zf5_spp/shapes_": [
            "zf5_spp/shapes_cropped",
            "zf5_spp/shapes_detector",
            "zf5_spp/shapes_warped",
        ],
        "spp-keras train mi": ["mine.toml"],
        "spp-keras train zf5_spp --dev": ["--devices"],
        "spp-keras train zf5_spp --data ru": ["runs"],
        "spp-keras train zf5_spp --data ph": [],
        "spp-keras evaluate ru": ["runs"],
        "spp-keras evaluate runs/": ["runs/zf5_spp-shapes"],
        "spp-keras evaluate runs/one --protocol 9": ["96-view", "96-view+full"],
        "spp-keras predict runs --top 3 ph": ["photo.jpg"],
        "spp-keras export runs/one --quantize fl": ["float16"],
        "spp-keras completion z": ["zsh"],
    }
    assert dict(zip(typed, complete(*typed), strict=True)) == typed


def test_bash_completes_every_command_and_every_recipe(complete):
    commands, names = complete("spp-keras .", "spp-keras train .")
    assert sorted(commands) == sorted(COMMANDS)
    assert set(names) == {
        *recipes.list_recipes(),
        *spp_keras.list_models(),
        "completion.bash",
        "mine.toml",
        "photo.jpg",
        "runs",
    }


def test_protocols_are_those_that_there_are():
    assert (*evaluation.PROTOCOLS, "svm") == evaluate.PROTOCOLS


@pytest.mark.parametrize(("shell", "begins"), [("zsh", "#compdef spp-keras"), ("tcsh", "# AUTO")])
def test_other_shells_have_a_script_with_every_command(scripts, shell, begins):
    script = scripts(shell)
    assert script.startswith(begins)
    assert all(name in script for name in COMMANDS)
    assert all(name in script for name in evaluation.PROTOCOLS)
