import json
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref

import numpy as np
import photographs
import pytest

from spp_keras import cli, evaluation, run_folder
from spp_keras.data import image_reader, records
from spp_keras.evaluation import Scorer, protocols, run_settings
from spp_keras.run_folder import RunFolder

COUNT, SIDE = 21, 64


@pytest.fixture(scope="module")
def two(make_run):
    return [make_run(1), make_run(2)]


def scores_by_hand(run, split_records, name):
    scorer = Scorer(RunFolder(run).model, name, view_size=SIDE, short_side=73)
    reader = image_reader.ImageReader(split_records.files, split_records.spans)
    return np.stack([scorer(reader.read(reader.row(i))) for i in range(len(split_records))])


@pytest.fixture
def scored(monkeypatch):
    """Protocols of the images that were scored; raises an error at the count `stop_at`."""

    class Calls(list):
        stop_at = None

    calls, once = Calls(), Scorer.__call__

    def call(self, *image):
        calls.append(self.protocol)
        if len(calls) == calls.stop_at:
            raise KeyboardInterrupt
        return once(self, *image)

    monkeypatch.setattr(Scorer, "__call__", call)
    return calls


def test_ensemble_averages_the_scores_of_its_runs(two, data, tmp_path, scored):
    result = evaluation.evaluate(two, "10-view", output=tmp_path)
    split_records = records.load_records(data, "validation")
    of_each = [scores_by_hand(run, split_records, "10-view") for run in two]
    expected = [np.mean(np.argmax(scores, axis=1) == split_records.labels) for scores in of_each]
    expected.append(np.mean(np.argmax(sum(of_each), axis=1) == split_records.labels))
    rows = result["rows"]
    assert [row["top1"] for row in rows] == pytest.approx(expected)
    assert [row["runs"] for row in rows] == [[str(two[0])], [str(two[1])], list(map(str, two))]
    assert [row["views"] for row in rows] == [10] * 3
    assert json.loads((tmp_path / "evaluation.json").read_text()) == result
    assert (result["images"], result["skipped"]) == (COUNT, 0)

    # One more protocol, and what there is is not made again.
    scored.clear()
    again = evaluation.evaluate(two[1], ["full", "10-view"], output=tmp_path)
    assert again["rows"][1] == rows[1]
    assert scored == ["full"] * COUNT


def test_evaluate_loads_one_network_at_a_time(make_run, tmp_path, monkeypatch):
    references, counts, load_model = [], [], RunFolder.load_model

    def load_and_count(self):
        model = load_model(self)
        references.append(weakref.ref(model))
        counts.append(sum(reference() is not None for reference in references))
        return model

    monkeypatch.setattr(RunFolder, "load_model", load_and_count)
    three = [make_run(seed) for seed in range(3, 6)]
    evaluation.evaluate(three, "crop", output=tmp_path)
    assert counts == [1, 1, 1]


def test_interrupted_evaluation_resumes_from_the_cache(run, tmp_path, scored):
    whole = evaluation.evaluate(run, "crop", output=tmp_path / "whole")
    scored.clear()
    scored.stop_at = 20
    with pytest.raises(KeyboardInterrupt):
        evaluation.evaluate(run, "crop", output=tmp_path / "killed")
    scored.clear()
    scored.stop_at = None
    assert evaluation.evaluate(run, "crop", output=tmp_path / "killed") == whole
    assert len(scored) == COUNT - 16


def test_score_cache_depends_on_images_and_weights(run, make_run, tmp_path, scored):
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    evaluation.evaluate(run, "crop", output=tmp_path / "to")
    scored.clear()
    # Another folder of the same run; then other weights, another side.
    evaluation.evaluate(copied, "crop", output=tmp_path / "to")
    assert not scored
    shutil.copy(make_run(7) / run_folder.BEST_WEIGHTS, copied / run_folder.BEST_WEIGHTS)
    evaluation.evaluate(copied, "crop", output=tmp_path / "to")
    assert len(scored) == COUNT
    evaluation.evaluate(copied, "crop", output=tmp_path / "to", view_size=48)
    assert len(scored) == 2 * COUNT


SETTINGS = [
    ({}, None, (64, 73)),
    ({}, 48, (48, 55)),
    ({"size_policy": "alternating", "image_sizes": (64, 51), "short_side": 80}, None, (64, 80)),
    ({"size_policy": "whole", "image_sizes": (), "short_side": 96}, None, (84, 96)),
    ({"size_policy": "native", "image_sizes": ()}, 56, (56, 64)),
]


@pytest.mark.parametrize(("changes", "side", "expected"), SETTINGS, ids=str)
def test_view_size_defaults_to_that_of_the_training(make_run, changes, side, expected):
    run = run_settings.read_run(make_run(**changes), ["crop"], side)
    assert (run.views.view_size, run.views.short_side) == expected


def test_evaluate_skips_images_too_small_to_be_sent_whole(make_run, data, tmp_path, capsys):
    small = tmp_path / "data"
    shutil.copytree(data, small)
    path = next((small / "validation" / "cat").iterdir())
    path.write_bytes(photographs.encoded(photographs.photograph(20, 60)))
    native = make_run(size_policy="native", image_sizes=(), data=str(small))
    result = evaluation.evaluate(native, "full")
    assert (result["images"], result["skipped"]) == (COUNT - 1, 1)
    assert "1 of 21 images are too small to be sent whole" in capsys.readouterr().err
    assert evaluation.evaluate(native, "crop", view_size=SIDE)["skipped"] == 0


def test_multi_label_images_are_evaluated_by_average_precision(make_run, tmp_path, monkeypatch):
    run, load = make_run(multi_label=True), records.load_records

    def several(*arguments, **options):
        split_records = load(*arguments, **options)
        labels = np.random.default_rng(0).integers(0, 2, (len(split_records), 3)).astype("uint8")
        return type(split_records)(**{**vars(split_records), "labels": labels})

    monkeypatch.setattr(run_settings, "load_records", several)
    result = evaluation.evaluate(run, "crop", output=tmp_path)
    assert 0.3 < result["rows"][0]["mean_average_precision"] < 0.9
    assert evaluation.format_results(result["rows"]).startswith("| run | protocol | views | mAP |")


REFUSED = [
    ({"protocol": []}, "`protocol` must be one or more of crop, warp, 10-view"),
    ({"protocol": "9-view"}, "`protocol` must be one of 'crop'"),
    ({"protocol": ["crop", "crop"]}, "none twice"),
    ({"view_size": 20}, "`view_size` must be at least 29"),
    ({"view_size": 0}, "`view_size` must be an int >= 1"),
    ({"split": "summer"}, "`split`"),
    ({"data": "/nowhere"}, "`data` must be an existing folder"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=str)
def test_invalid_arguments_are_refused_before_any_work(run, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        evaluation.evaluate(run, **{"protocol": "crop", "output": tmp_path / "to", **options})
    assert not (tmp_path / "to").exists()


def test_unsuitable_runs_are_refused(run, make_run, data, tmp_path):
    with pytest.raises(ValueError, match=r"recipe\.toml is missing"):
        evaluation.evaluate(tmp_path, "crop")
    with pytest.raises(
        ValueError, match="`output` must be a folder for the results of several runs"
    ):
        evaluation.evaluate([run, tmp_path], "crop")
    with pytest.raises(ValueError, match="none twice"):
        evaluation.evaluate([run, run], "crop", output=tmp_path)
    native = make_run(size_policy="native", image_sizes=())
    with pytest.raises(
        ValueError, match="`view_size` must be given for a network trained on images"
    ):
        evaluation.evaluate(native, ["full", "crop"])
    fixed = make_run(model="zf5")
    with pytest.raises(ValueError, match="for zf5, a network without a pyramid"):
        evaluation.evaluate(fixed, ["crop", "96-view"])
    with pytest.raises(ValueError, match="`view_size` must be what zf5 was built for, 64"):
        evaluation.evaluate(fixed, "crop", view_size=48)
    other = make_run(8)
    (other / run_folder.LABELS).write_text("cat\ndog\nmouse\n")
    with pytest.raises(
        ValueError, match="`data` must have the classes that the network was trained on"
    ):
        evaluation.evaluate(other, "crop")
    as_filed = make_run(orientation="file")
    with pytest.raises(ValueError, match=r"`run` must be runs of one orientation.*'exif'.*'file'"):
        evaluation.evaluate([run, as_filed], "crop", output=tmp_path)


def test_broken_weights_are_reported(make_run, tmp_path):
    broken = make_run(9)
    network = RunFolder(broken).model
    network.layers[-1].bias.assign([np.nan] * 3)
    network.save_weights(broken / run_folder.BEST_WEIGHTS)
    with pytest.raises(ValueError, match="are not finite: the weights of the network are broken"):
        evaluation.evaluate(broken, "crop")


def test_command_prints_a_table_or_json(run, tmp_path, capsys):
    arguments = ["evaluate", str(run), "--protocol", "crop", "--protocol", "full"]
    assert cli.main([*arguments, "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "| run | protocol | views | top-1 |"
    assert printed[2].startswith(f"| {run} | crop | 1 | ")
    assert cli.main([*arguments, "--output", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][1]["protocol"] == "full"
    assert cli.main(["evaluate", str(tmp_path), "--protocol", "crop"]) == 2
    assert "recipe.toml is missing" in capsys.readouterr().err


def test_help_names_every_protocol(capsys):
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "--help"])
    printed_help = capsys.readouterr().out.replace("\n", " ")
    assert all(name in printed_help for name in protocols.PROTOCOLS)
    assert "spp-keras evaluate runs/a runs/b" in printed_help


@pytest.mark.integration
def test_killed_command_resumes_with_the_same_results(run, tmp_path):
    def start(folder):
        command = [sys.executable, "-m", "spp_keras.cli", "evaluate", str(run)]
        return subprocess.Popen(
            [*command, "--protocol", "96-view", "--output", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    assert start(tmp_path / "whole").wait(timeout=300) == 0
    killed = tmp_path / "killed"
    process, end = start(killed), time.monotonic() + 200
    while not list(killed.rglob("*.npz")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "evaluation.json").exists()
    first = {path: path.stat().st_mtime_ns for path in killed.rglob("*.npz")}
    assert start(killed).wait(timeout=300) == 0
    assert {path: path.stat().st_mtime_ns for path in first} == first
    results = [(tmp_path / name / "evaluation.json").read_text() for name in ("whole", "killed")]
    assert results[0] == results[1]
