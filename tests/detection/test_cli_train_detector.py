import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import scenes

from spp_keras import cli, run_folder
from spp_keras.run_folder import RunFolder


@pytest.fixture
def command(voc, run_and_proposals):
    """The command without its output folder."""
    run, proposals = run_and_proposals
    text = f"train-detector {run} --data {voc} --proposals {proposals} --scales 90,120"
    return [*text.split(), "--input-size", "48", "--epochs", "2"]


@pytest.mark.integration
def test_train_detector_trains_a_detector_that_detect_uses(command, voc, tmp_path, capsys):
    run, maps = tmp_path / "detector", tmp_path / "maps"
    arguments = [*command, "--head", "svm", "--output", str(run), "--feature-cache", str(maps)]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr()
    mean = json.loads((run / run_folder.DETECTION_METRICS).read_text())["voc_area"]["mean"]
    assert printed.out == f"{run}\tmAP {100 * mean:.1f}%\n"
    assert "epoch 2/2" in printed.err
    assert not (run / "maps").exists()
    detector = RunFolder(run).load_model()
    assert (detector.scales, detector.input_size, detector.score_threshold) == ((90, 120), 48, -1.5)
    photograph = voc / "JPEGImages" / "val_0.jpg"
    detect = ["detect", str(run), str(photograph), "--score-threshold", "-1", "--json"]
    assert cli.main(detect) == 0
    detections = json.loads(capsys.readouterr().out)
    assert set(detections["labels"]) <= set(scenes.CLASSES)
    assert detections["boxes"]
    # The same command again ends at once.
    assert cli.main([*arguments, "--json"]) == 0
    metrics = json.loads((run / run_folder.DETECTION_METRICS).read_text())
    assert json.loads(capsys.readouterr().out) == {"run": str(run), **metrics}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "`epochs` must be an int >= 1"),
        (["--scales", "90,0"], "`scales` must be an int >= 1"),
        (["--data", "/nowhere/voc"], "`data` must be an existing folder"),
        (["--train-split", "summer"], "`split` must be one of"),
        (["--proposals", "/nowhere/proposals.jsonl"], "proposals.jsonl"),
    ],
)
def test_wrong_options_are_named_before_any_work(command, tmp_path, capsys, options, message):
    run = tmp_path / "detector"
    assert cli.main([*command, "--output", str(run), *options]) == 2
    assert message in capsys.readouterr().err
    assert not run.exists()


def test_scales_that_are_no_numbers_are_refused(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--scales", "90,big"])
    assert ended.value.code == 2
    assert "must be whole numbers with commas between" in capsys.readouterr().err


@pytest.mark.integration
def test_a_training_that_is_killed_goes_on_and_ends_the_same(command, tmp_path):
    def start(folder):
        return subprocess.Popen(
            [sys.executable, "-m", "spp_keras.cli", *command, "--output", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    # Only what is killed needs a process of its own.
    assert cli.main([*command, "--output", str(tmp_path / "whole")]) == 0
    killed = tmp_path / "killed"
    marks = [
        lambda: len(list((killed / "maps").rglob("*.npz"))) > 7,
        lambda: (killed / run_folder.CHECKPOINT).exists(),
    ]
    for mark in marks:
        process = start(killed)
        while not mark():
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
    assert cli.main([*command, "--output", str(killed)]) == 0
    assert not list(killed.glob(".*"))
    whole, resumed = (RunFolder(run).load_model() for run in (tmp_path / "whole", killed))
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    scores = [
        json.loads((f / run_folder.DETECTION_METRICS).read_text())
        for f in (tmp_path / "whole", killed)
    ]
    assert scores[0]["voc_area"]["mean"] == pytest.approx(scores[1]["voc_area"]["mean"], abs=0.02)
