"""The demo as a stranger runs it: from the wheel, in another environment and another folder.

Before that, in seconds, what it says of two trainings, without these.
"""

import csv
import dataclasses
import json
import os
import re
import shlex
import site
import subprocess
import sys
import venv
from pathlib import Path

import photographs
import pytest
import small_runs

from spp_keras import demo, evaluation, run_folder, serving
from spp_keras.data import load_records

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]
CLASSES = ("ring", "square")
WARPED, WHOLE = 0.607, 0.587
STILL_LEARNING = (
    "Both trainings were broken off after 12 epochs while they were still learning; the order of "
    "warped and whole images can still change."
)


@pytest.fixture
def data(tmp_path):
    for split in ("train", "validation"):
        for number, name in enumerate(CLASSES):
            path = tmp_path / "two words" / split / name / "0.png"
            path.parent.mkdir(parents=True)
            picture = photographs.photograph(64, 90 + number, seed=number)
            path.write_bytes(photographs.encoded(picture))
    return tmp_path / "two words"


def without_work(monkeypatch, data, rates):
    """Data, trainings, tests, exports and answers of no cost; the rest of the demo is itself."""

    def train(recipe, run):
        small = {"width": 0.0625, "levels": (2, 1), "data": str(data), "data_dir": ""}
        narrow = dataclasses.replace(recipe, **small)
        small_runs.make_run(run, narrow, CLASSES, longest_side=160)
        rows = [
            {"epoch": number, "learning_rate": rate, "seconds": 30, "fill": 0.9}
            | {"accuracy": 0.6, "val_accuracy": 0.6}
            for number, rate in enumerate(rates, start=1)
        ]
        with (run / run_folder.HISTORY).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def evaluate(run, protocol, **_):
        names = [protocol] if isinstance(protocol, str) else protocol
        rows = [
            {"runs": [str(run)], "protocol": name, "views": 1.0, "view_sizes": [112]}
            | {"top1": WARPED if name == "warp" else WHOLE}
            for name in names
        ]
        result = {"data": "shapes validation", "images": 600, "skipped": 0, "rows": rows}
        result |= {"date": "2014-06-18", "versions": {"spp_keras": "0"}}
        folder = run / run_folder.EVALUATION
        folder.mkdir(exist_ok=True)
        (folder / run_folder.EVALUATION_RESULTS).write_text(json.dumps(result))
        return result

    answer = serving.Prediction(labels=("ring",), scores=(0.9,))
    monkeypatch.setattr(demo, "load_records", lambda *_: load_records(data, "validation"))
    monkeypatch.setattr(demo, "train_model", train)
    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setattr(demo.export, "export_model", lambda *_, **__: None)
    monkeypatch.setattr(serving, "load_predictor", lambda *_, **__: lambda file: answer)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([0.01] * 10 + [0.001] * 2, STILL_LEARNING),
        ([0.01] * 5 + [0.001] * 7, "Both trainings had stopped learning after 12 epochs. "),
    ],
)
def test_table_and_report_have_the_warped_row_and_say_how_long_both_were_trained(
    rates, expected, data, tmp_path, monkeypatch, capsys
):
    without_work(monkeypatch, data, rates)

    written = demo.run_demo(tmp_path / "of demo")

    printed = capsys.readouterr().out
    kept = (tmp_path / "of demo" / "tests.md").read_text()
    page = re.sub(r"<[^>]*>", "|", written.read_text())
    for text in (printed, kept, page):
        assert re.search(r"of demo/runs/zf5\W+warp\W+1\W+60\.7%", text)
        assert re.search(r"of demo/runs/zf5_spp\W+full\W+1\W+58\.7%", text)
        assert expected in text
    assert ("still learning" in kept) == (expected == STILL_LEARNING)


def test_what_to_do_next_can_be_pasted(data, tmp_path, monkeypatch, capsys):
    """Whether or not the environment is active, and from where the command was given."""
    without_work(monkeypatch, data, [0.01])
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "spp-keras"
    script.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)

    demo.run_demo("of demo")

    predict, serve = capsys.readouterr().out.splitlines()[-2:]
    assert shlex.split(serve) == ["bin/spp-keras", "app", "of demo/runs/zf5_spp"]
    (Path("of demo") / "images").mkdir(exist_ok=True)
    for line, last in ((serve, "of demo/runs/zf5_spp"), (predict, "of demo/images")):
        done = subprocess.run(line, shell=True, check=True, capture_output=True, text=True)
        assert done.stdout.splitlines()[-1].endswith(last)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert demo._find_command() == "spp-keras"


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
    arguments = ["demo", "--data", "shapes/tiny", "--epochs", "1", "--output", "looked-at"]
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
    of_run, saved = of_model["runs/zf5_spp"], of_model["saved_models/zf5_spp"]
    assert of_model["zf5_spp.tflite"] == of_run == saved
    assert "broken off after 1 epoch while they were still learning" in first.stdout
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
