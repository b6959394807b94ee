"""The demo as a stranger runs it: from the wheel, in another environment and another folder."""

import os
import re
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    # What the package needs is taken from here; an editable install of it does not reach there.
    (there,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (there / "needed.pth").write_text("\n".join(site.getsitepackages()))
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    return folder / "venv" / "bin" / "spp-keras"


def run(command, folder):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    arguments = ["demo", "--data", "shapes/tiny", "--epochs", "1", "looked-at"]
    return subprocess.run(
        [command, *arguments], cwd=folder, env=kept, check=True, capture_output=True, text=True
    )


def test_the_demo_goes_through_and_makes_nothing_twice(command, tmp_path):
    first = run(command, tmp_path)

    folder = tmp_path / "looked-at"
    assert re.findall(r"^\d", first.stdout, re.MULTILINE) == list("1234567")
    protocols = re.findall(r"^\| looked-at/runs/\w+ \| (\S+) ", first.stdout, re.MULTILINE)
    assert protocols == ["warp", "crop", "full", "10-view-map", "96-view+full"]
    answers = re.findall(r"^  (\S+) +(\S+\.jpg) +(\w+) ", first.stdout, re.MULTILINE)
    of_model = {}
    for model, photograph, label in answers:
        of_model.setdefault(model, []).append((photograph, label))
    assert len(answers) == 9
    assert of_model["zf5_spp.tflite"] == of_model["zf5_spp"][:3] == of_model["zf5_spp"][3:]
    assert (folder / "saved_models" / "zf5_spp" / "1" / "saved_model.pb").is_file()
    assert "What the pyramid sees" in (folder / "runs" / "zf5_spp" / "report.html").read_text()
    for line in (first.stdout + first.stderr).splitlines():
        assert "warning" not in line.lower(), line

    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*.weights.h5")}
    again = run(command, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert len(list((folder / "saved_models" / "zf5_spp").iterdir())) == 1
    tests = [text[text.index("| run") : text.index("5. ")] for text in (first.stdout, again.stdout)]
    assert tests[0] == tests[1]
