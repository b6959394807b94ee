import json

import numpy as np
import photographs
import pytest
import scenes
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from spp_keras import cli, evaluation
from spp_keras.data import image_reader, records, size_policies
from spp_keras.evaluation import Scorer, SVMOptions, feature_svm, features
from spp_keras.metrics import classification
from spp_keras.run_folder import RunFolder

SIDE = 64
# Of 8 images to a class.
DRAWN = {"svm": SVMOptions(draws=3, per_class=(4, 3))}
CLASSES = ("disc", "kite")


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    """A tree of VOC, some of whose objects are difficult: gray images, some half red, or green."""
    root, rng = tmp_path_factory.mktemp("voc"), np.random.default_rng(5)
    for split, count in (("train", 14), ("val", 18)):
        images = []
        for seed in range(count):
            pixels, objects = photographs.photograph(*rng.integers(60, 90, 2), seed), []
            for label, kind in enumerate(CLASSES):
                state = rng.choice(["none", "easy", "difficult"], p=[0.45, 0.4, 0.15])
                if state != "none":
                    pixels[:, :: 2 + label, label] = 255
                    objects.append((kind, (1, 1, 30, 30), state == "difficult"))
            images.append((pixels, objects))
        scenes.write_voc(root, split, images)
    return root


@pytest.fixture
def scored_sizes(monkeypatch):
    """Sizes of the images that were scored; raises an error at the count `stop_at`."""

    class Calls(list):
        stop_at = None

    calls, score = Calls(), Scorer.__call__

    def call(self, image, size, *how):
        calls.append(size)
        if len(calls) == calls.stop_at:
            raise KeyboardInterrupt
        return score(self, image, size, *how)

    monkeypatch.setattr(Scorer, "__call__", call)
    return calls


def vectors_by_hand(run, split_records, layer, protocol, **settings):
    extract = features.make_extractor(RunFolder(run).model, [layer], protocol, **settings)
    reader = image_reader.ImageReader(split_records.files, split_records.spans)
    return normalize([extract(reader.read(reader.row(i)))[0] for i in range(len(split_records))])


def machine():
    return LinearSVC(C=1.0, loss="hinge", random_state=0, max_iter=100_000)


def test_single_label_images_are_drawn_from_both_splits(run, data, tmp_path):
    result = evaluation.evaluate_features(
        run, ["spp/2x2", "fc7"], short_side=70, output=tmp_path, **DRAWN
    )
    parts = [records.load_records(data, split) for split in ("train", "validation")]
    whole = size_policies.Whole(short_side=70)
    for row, layer in zip(result["rows"], ("spp/2x2", "fc7"), strict=True):
        vectors = np.concatenate(
            [vectors_by_hand(run, part, layer, "full", whole=whole) for part in parts]
        )
        labels = np.concatenate([part.labels for part in parts])
        expected = []
        for index in range(3):
            learn, test = feature_svm.draw_split(labels, index, (4, 3))
            predicted = machine().fit(vectors[learn], labels[learn]).predict(vectors[test])
            expected.append(np.mean(predicted == labels[test]))
        assert row["draws"] == pytest.approx(expected)
        assert row["accuracy"] == pytest.approx(np.mean(expected))
        assert row["standard_deviation"] == pytest.approx(np.std(expected, ddof=1))
        assert (row["layer"], row["length"]) == (layer, vectors.shape[1])
    assert json.loads((tmp_path / "svm.json").read_text()) == result
    told = {
        key: result[key] for key in ("images", "protocol", "view_size", "short_side", "per_class")
    }
    assert told == {
        "images": [3, 21],
        "protocol": "full",
        "view_size": None,
        "short_side": 70,
        "per_class": [4, 3],
    }


@pytest.mark.integration
def test_multi_label_svms_train_on_one_split_and_test_on_another(make_run, voc, tmp_path):
    # Of other classes than the data's, and without a pyramid.
    run = make_run(11, model="zf5")
    result = evaluation.evaluate_features(run, "conv4", data=str(voc), output=tmp_path)
    train, test = (records.load_records(voc, split) for split in ("train", "val"))
    assert train.classes == CLASSES
    vectors = [
        vectors_by_hand(run, part, "conv4", "crop", view_size=SIDE, short_side=SIDE)
        for part in (train, test)
    ]
    areas, points, left_out = [], [], 0
    for i in range(2):
        masks = []
        for part in (train, test):
            only_difficult = [
                any(objects.difficult[objects.labels == i]) and not part.labels[index, i]
                for index, objects in enumerate(part.objects)
            ]
            masks.append(~np.array(only_difficult))
            left_out += sum(only_difficult)
        fitted = machine().fit(vectors[0][masks[0]], train.labels[masks[0], i])
        scores, labels = fitted.decision_function(vectors[1][masks[1]]), test.labels[masks[1], i]
        areas.append(average_precision_score(labels, scores))
        points.append(
            classification.mean_average_precision(scores[:, None], labels[:, None], rule="11-point")
        )
    assert left_out > 4
    row = result["rows"][0]
    assert row["mean_average_precision"] == pytest.approx(np.mean(areas))
    assert row["mean_average_precision_11_point"] == pytest.approx(np.mean(points))
    assert (result["view_size"], result["short_side"], result["images"]) == (SIDE, SIDE, [14, 18])
    head = "| layer | length | mAP | mAP, 11-point |"
    assert evaluation.format_feature_results(result["rows"]).startswith(head)


@pytest.mark.integration
def test_interrupted_evaluation_resumes_from_the_cache(run, tmp_path, scored_sizes):
    def evaluate(name, layers=("spp", "fc7"), **view):
        scored_sizes.clear()
        return evaluation.evaluate_features(run, layers, output=tmp_path / name, **view, **DRAWN)

    whole = evaluate("whole", view_size=48)
    assert len(scored_sizes) == 24
    scored_sizes.stop_at = 22
    with pytest.raises(KeyboardInterrupt):
        evaluate("killed", view_size=48)
    scored_sizes.stop_at = None
    # 3 images to learn from are a file, and the first 16 of 21.
    assert evaluate("killed", view_size=48) == whole
    assert len(scored_sizes) == 5
    # One layer alone; a file that is lost; another view; another layer.
    evaluate("killed", ["fc7"], view_size=48)
    assert not scored_sizes
    next((tmp_path / "killed").glob("features/crop-spp-*/*/*.npz")).unlink()
    assert evaluate("killed", view_size=48) == whole
    assert len(scored_sizes) in (3, 5, 16)
    evaluate("killed", view_size=48, short_side=60)
    assert len(scored_sizes) == 24
    evaluate("killed", ["fc6"], view_size=48)
    assert len(scored_sizes) == 24


REFUSED = [
    ({"layers": "fc8"}, "`layers` must be one or more of .*'fc7'"),
    ({"layers": "conv5"}, "`layers` must be after the pyramid .* or crops"),
    ({"short_side": 20}, "`short_side` must be at least 29"),
    ({"view_size": 28}, "`view_size` must be at least 29"),
    ({"view_size": 0}, "`view_size` must be an int >= 1"),
    ({"view_size": 64, "short_side": 60}, "`view_size` must be at most `short_side`"),
    ({"svm": SVMOptions(draws=0)}, "`draws` must be an int >= 1"),
    ({"svm": SVMOptions(cost=0)}, "`cost` must be a number > 0"),
    ({"svm": SVMOptions(per_class=(4,))}, "`per_class` must be two numbers"),
    ({"svm": SVMOptions(per_class=(4, 0))}, "`per_class` must be an int >= 1"),
    (
        {"svm": SVMOptions(per_class=(8, 1))},
        "`per_class` must leave an image of each class .* 8 images of 'cat'",
    ),
    ({"split": "train"}, "must have no image in common.* share 3"),
    ({"split": "summer"}, "`split`"),
    ({"data": "/nowhere"}, "`data` must be an existing folder"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=str)
def test_invalid_arguments_are_refused_before_any_work(run, tmp_path, options, message):
    given = {"layers": "fc7", "output": tmp_path / "to", **DRAWN, **options}
    with pytest.raises(ValueError, match=message):
        evaluation.evaluate_features(run, **given)
    assert not (tmp_path / "to").exists()


def test_impossible_view_sizes_are_refused(make_run):
    with pytest.raises(ValueError, match="`view_size` must be what zf5 was built for, 64"):
        evaluation.evaluate_features(make_run(model="zf5"), "fc7", view_size=48)
    native = make_run(size_policy="native", image_sizes=())
    with pytest.raises(
        ValueError, match="`short_side` must be given for a network trained on images"
    ):
        evaluation.evaluate_features(native, "fc7")


def test_command_prints_a_table_or_json(run, tmp_path, capsys):
    arguments = ["evaluate", str(run), "--protocol", "svm", "--layer", "fc7", "--layer", "spp"]
    arguments += ["--short-side", "64", "--per-class", "4,3", "--output", str(tmp_path)]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "| layer | length | accuracy |"
    assert [line.split(" | ")[0] for line in printed[2:]] == ["| fc7", "| spp"]
    assert cli.main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / "svm.json").read_text())
    assert len(result["rows"][0]["draws"]) == 10


TOGETHER = [
    ("--protocol svm", "needs a --layer, such as fc7"),
    ("--protocol svm --protocol crop --layer fc7", "--protocol svm stands alone"),
    ("another --protocol svm --layer fc7", "takes one run. Received: 2"),
    ("--protocol crop --layer fc7", "--layer is for --protocol svm. Received: --protocol crop"),
    ("--protocol crop --short-side 64", "--short-side is for --protocol svm"),
    ("--protocol full --train-split train", "--train-split is for --protocol svm"),
    ("--protocol full --per-class 3,4", "--per-class is for --protocol svm"),
]


@pytest.mark.parametrize(("options", "message"), TOGETHER)
def test_command_refuses_options_that_exclude_each_other(run, options, message, capsys):
    options = options.replace("another", str(run))
    assert cli.main(["evaluate", str(run), *options.split()]) == 2
    assert message in capsys.readouterr().err


def test_command_refuses_a_malformed_per_class(capsys):
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "run", "--protocol", "svm", "--per-class", "30"])
    assert "must be two whole numbers with a comma between, not '30'" in capsys.readouterr().err
