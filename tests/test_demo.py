"""The demo as a stranger runs it: from the wheel, in another environment and another folder."""

import json
import os
import re
import shutil
import signal
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from spp_keras import demo
from spp_keras.demo import photographs, shapes_networks
from spp_keras.zoo.zoo_folder import find_zoo_folder

ROOT = Path(__file__).parents[1]
FORMS = ["whole", "warped to a square", "cropped to a square", "cropped, ten views", "whole"]


def test_the_photographs_have_five_sizes_or_more():
    from PIL import Image

    sizes = set()
    for path in photographs.list_photographs():
        with Image.open(path) as picture:
            sizes.add(picture.size)
    assert len(sizes) >= 5


def test_the_interval_is_that_of_the_results():
    results = json.loads((find_zoo_folder() / shapes_networks.RESULTS).read_text())
    text = shapes_networks.describe_interval()
    for row in results["differences"]:
        low, high = (f"{100 * end:+.1f}" for end in row["interval"])
        assert f"{100 * row['mean']:+.1f} points [{low}, {high}] over" in text
    assert text.count("points") == 3
    assert "`python benchmarks/shapes_weights.py" in text


def test_a_full_disk_is_said_before(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**6))
    with pytest.raises(OSError, match="free"):
        demo.run_demo(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


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


def start(command, folder):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.Popen(
        [command, "demo", "--epochs", "1", "--output", "two words"],
        cwd=folder,
        env=kept | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell lets what it starts in the background ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.integration
def test_the_demo_is_interrupted_goes_on_and_says_what_to_type_next(
    command, drawn_shapes, tmp_path
):
    # Drawn by the same code, elsewhere.
    shutil.copytree(drawn_shapes, tmp_path / "two words" / "data")
    with start(command, tmp_path) as first:
        said = ""
        # In the midst of the training.
        while "epoch 1/1" not in said:
            character = first.stderr.read(1)
            assert character, said
            said += character
        first.send_signal(signal.SIGINT)
        said += first.stderr.read()
        assert "Traceback" not in said, said
    assert first.returncode == 130, said

    with start(command, tmp_path) as second:
        printed, errors = second.communicate()

    assert second.returncode == 0, errors
    assert re.findall(r"^\d", printed, re.MULTILINE) == list("123456")
    rows = re.findall(r"^\| zf5_spp/\w+(?:, fine-tuned)? \| (.+?) \| ([\d.]+)% \|", printed, re.M)
    assert [form for form, _ in rows] == FORMS
    assert shapes_networks.describe_interval() in printed
    named, answers = printed.split("2. Drawing")[0], printed.split("5. Exporting")[1]
    for path in photographs.list_photographs():
        line = re.search(rf"^ +{path.name} +\d+x\d+ +(.+?) (\d\.\d\d)  ", named, re.MULTILINE)
        answer = re.search(rf"^ +{path.name} +(.+?) (\d\.\d\d)$", answers, re.MULTILINE)
        assert line[1] == answer[1]
        assert abs(float(line[2]) - float(answer[2])) <= 0.011
    for line in (printed + errors).splitlines():
        assert "warning" not in line.lower(), line
    page = tmp_path / "two words" / "report.html"
    assert page.read_text().count("<figure") == 3 * len(photographs.list_photographs())
    assert (tmp_path / "two words" / "runs" / "zf5_spp" / "report.html").is_file()

    predict = re.search(r"^  (.+ predict .+)$", printed, re.MULTILINE)[1]
    done = subprocess.run(
        predict, cwd=tmp_path, shell=True, check=True, capture_output=True, text=True
    )
    assert "cat" in done.stdout
