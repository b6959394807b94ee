import io
import sys
from pathlib import Path

import pytest
from commands import COMMANDS, EXAMPLES, arguments, check_command
from photographs import encoded, photograph
from small_detectors import make_detector_run
from small_runs import LABELS, RECIPE, make_run

from spp_keras import cli, recipes


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_examples_of_the_command(name):
    assert EXAMPLES[name]
    assert all(arguments(line)[0] == name for line in EXAMPLES[name])


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_a_command_that_there_is(line):
    check_command(line)


def expanded(word):
    """Files, as a shell puts them in the place of a pattern."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


@pytest.mark.integration
def test_examples_that_need_no_training_do_what_they_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        content = encoded(photograph(90, 120 + number, number), "JPEG", quality=90)
        for folder in (".", "photos", *(f"pets/train/{label}" for label in LABELS)):
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{number}.jpg").write_bytes(content)
    Path("0.jpg").rename("photo.jpg")
    Path("photo.png").write_bytes(encoded(photograph(90, 91)))
    recipe = recipes.Recipe(**{**vars(RECIPE), "data": str(tmp_path / "pets")})
    make_run(Path("runs/zf5_spp-shapes"), recipe)
    make_detector_run(Path("runs/detector"))
    done = []
    # Exported first, since others ask what was exported.
    for name in ("export", "predict", "detect", "zoo", "completion"):
        for line in EXAMPLES[name]:
            # For the example that reads an image from a pipe.
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
            words = [path for word in arguments(line) for path in expanded(word)]
            assert cli.main(words) == 0, line
            printed = capsys.readouterr()
            assert printed.out, line
            assert "spp-keras:" not in printed.err, line
            done.append(line)
    assert len(done) > 10
    assert Path("saved_models/zf5_spp/1").is_dir()
    assert Path("phone/detector.tflite").is_file()
    assert Path("drawn/1.jpg").is_file()
