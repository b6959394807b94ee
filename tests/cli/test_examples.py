import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMANDS, EXAMPLES
from detector_folder import make_detector
from photographs import encoded, photograph
from small_runs import LABELS, RECIPE, make_run

from spp_keras import cli, recipes

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("zoo/**/*.md"), *ROOT.glob("saved_models/*.md")]


def in_documents():
    """Commands in blocks of the documents, a line each."""
    for document in DOCUMENTS:
        for block in re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.M | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("spp-keras "):
                    yield pytest.param(line, id=f"{document.name}: {line[:60]}")


def arguments(line):
    """What `main` is called with for a line that begins with, or evaluates, a command."""
    _, words = re.fullmatch(r'(eval "\$\(|curl .* \| )?spp-keras (.*)', line).groups()
    words = re.split(r"[>|)]", words)[0]
    return shlex.split(words, comments=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_examples_of_the_command(name):
    assert EXAMPLES[name]
    assert all(arguments(line)[0] == name for line in EXAMPLES[name])


@pytest.mark.parametrize(
    "line",
    [
        *(line for lines in EXAMPLES.values() for line in lines),
        *in_documents(),
    ],
)
def test_examples_are_commands_that_there_are(line):
    options = cli.build_parser().parse_args(arguments(line))
    assert callable(options.run_command)
    if getattr(options, "recipe", None) is None:
        return
    if not options.recipe.endswith(".toml"):
        assert options.recipe in recipes.list_recipes()
    else:
        assert (ROOT / options.recipe).is_file()


@pytest.mark.parametrize(
    "line",
    ["zoo", "zoo --json", "--version", "--help", "completion bash", "evaluate --view-size x"],
)
def test_a_command_that_runs_no_network_loads_none(line):
    check_light(line)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_quick(name):
    check_light(f"{name} --help")


def check_light(line):
    script = (
        "import sys\n"
        "from spp_keras import cli\n"
        "try:\n"
        f"    cli.main({line.split()})\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'h5py', 'keras', 'matplotlib', 'numpy', 'PIL', 'tensorflow', 'tqdm'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300, capture_output=True)


def expanded(word):
    """Files, as a shell puts them in the place of a pattern."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


@pytest.mark.slow
def test_examples_that_need_no_training_do_what_they_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        content = encoded(photograph(90, 120 + number, number), "JPEG", quality=90)
        for folder in (".", "photographs", *(f"pets/train/{label}" for label in LABELS)):
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{number}.jpg").write_bytes(content)
    Path("0.jpg").rename("photo.jpg")
    Path("photo.png").write_bytes(encoded(photograph(90, 91)))
    recipe = recipes.Recipe(**{**vars(RECIPE), "data": str(tmp_path / "pets")})
    make_run(Path("runs/zf5_spp-shapes"), recipe)
    make_detector(Path("runs/detector"))
    done = []
    # Exported first, since others ask what was exported.
    for name in ("export", "predict", "detect", "zoo", "completion"):
        for line in EXAMPLES[name]:
            words = [path for word in arguments(line) for path in expanded(word)]
            assert cli.main(words) == 0, line
            printed = capsys.readouterr()
            assert printed.out, line
            assert "spp-keras:" not in printed.err, line
            done.append(line)
    assert len(done) > 10
    assert Path("saved_models/zf5_spp/2").is_dir()
    assert Path("phone/detector.tflite").is_file()
    assert Path("found/1.jpg").is_file()
