import json
import shutil

import numpy as np
import pytest
from color_trunk import make_folder, pool_colors

import spp_keras
from spp_keras import _extras, cli
from spp_keras.comparison import form_results, frozen_trunk
from spp_keras.comparison.head_training import HeadSettings
from spp_keras.zoo import weight_packages

FORMS = ["whole", "crop", "crop, 10 views", "warp"]


@pytest.fixture(autouse=True)
def colors(monkeypatch):
    """Colors as the frozen trunk, and heads for them in few steps."""
    monkeypatch.setattr(frozen_trunk, "make_pool", lambda *_: (pool_colors, "colors"))
    monkeypatch.setattr(form_results, "GRID", [HeadSettings(0.3, 0.0), HeadSettings(0.1, 0.1)])
    monkeypatch.setattr(form_results, "count_steps", lambda images: 30)


def compare(folder, cache, **options):
    return spp_keras.compare_size_policies(
        folder, **{"short_side": 48, "seeds": 3, "cache": cache, **options}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("colors"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_all_forms_are_compared_on_the_same_images(folder, cache):
    results = compare(folder, cache)
    assert [row["form"] for row in results["rows"]] == FORMS
    assert [row["views"] for row in results["rows"]] == [1, 1, 10, 1]
    for row in results["rows"]:
        assert row["accuracy"] == pytest.approx(np.mean(row["accuracies"]))
        assert row["accuracy"] > 0.5
        assert row["interval"][0] <= row["accuracy"] <= row["interval"][1]
        assert len(row["chosen"]) == 3
    accuracies = {row["form"]: np.array(row["accuracies"]) for row in results["rows"]}
    for difference in results["differences"]:
        form, other = difference["forms"]
        expected = accuracies[form] - accuracies[other]
        np.testing.assert_allclose(difference["differences"], expected, atol=1e-12)
    assert results["splits"]["images"] == [[42, 12, 18]] * 3
    assert results["splits"]["test_images_per_class"] == 6
    assert results["sentence"].startswith(f"On {folder}, ")
    assert "frozen trunk" in results["note"]
    assert json.loads(json.dumps(results)) == results


def test_the_same_call_gives_the_same_from_the_cache(folder, cache):
    first, again = (compare(folder, cache) for _ in range(2))
    assert again == first


def test_square_images_are_alike_whole_and_warped(tmp_path):
    folder = make_folder(tmp_path / "squares", square=True)
    results = compare(folder, tmp_path / "cache")
    warp = results["differences"][0]
    assert warp["forms"] == ["whole", "warp"]
    assert (warp["difference"], warp["interval"]) == (0, [0, 0])
    assert warp["verdict"] == "not shown"
    assert (
        "no difference between whole and warped images could be shown: 0.0" in (results["sentence"])
    )


def pool_squares(images):
    """Colors of square images; of others nothing."""
    return pool_colors(images) * (images.shape[1] == images.shape[2])


def test_it_is_said_where_warping_wins(tmp_path, monkeypatch):
    monkeypatch.setattr(frozen_trunk, "make_pool", lambda *_: (pool_squares, "squares"))
    results = compare(make_folder(tmp_path / "data", noise=10), tmp_path / "cache", seeds=5)
    warp, crop, _ = results["differences"]
    assert warp["verdict"] == crop["verdict"] == "shown the other way"
    assert warp["interval"][1] < 0
    for clause in ("warped images are classified better", "cropped images are classified better"):
        assert f"{clause} than whole ones: +" in results["sentence"]


def test_few_images_are_compared_and_not_judged(tmp_path):
    results = compare(make_folder(tmp_path / "few", images=12), tmp_path / "cache")
    assert {row["verdict"] for row in results["differences"]} == {"cannot be judged here"}
    assert "cannot be judged" in results["sentence"]
    assert "3.0 test images of a class" in results["sentence"]


def test_a_test_split_is_the_same_for_all_seeds(tmp_path):
    for seed, name in enumerate(("train", "test")):
        make_folder(tmp_path / "data" / name, images=12, seed=seed)
    results = compare(tmp_path / "data", tmp_path / "cache")
    assert results["splits"]["images"] == [[30, 6, 36]] * 3
    assert results["splits"]["test"] == [f"{tmp_path / 'data'} test"]
    # Of these folders every form gets most right.
    assert min(row["accuracy"] for row in results["rows"]) > 0.5


def test_copies_are_counted(tmp_path):
    folder = make_folder(tmp_path / "data", images=20)
    shutil.copy(folder / "red" / "3.png", folder / "red" / "copy.png")
    assert compare(folder, tmp_path / "cache")["splits"]["copies"] == 1


REFUSED = [
    ({"seeds": 2}, "`seeds` must be an int >= 3"),
    ({"network": "zf5"}, "take zf5_spp"),
    ({"network": "zf5_spp"}, "efficientnet_lite0, efficientnet_lite1, efficientnet_lite2 were"),
    ({"network": "MobileNetV2", "short_side": 32}, "`short_side` must be at least 34"),
    ({"weights": None}, "`weights` must be 'imagenet' or the path"),
    ({"network": "MobileNetV9"}, "Did you mean `MobileNet"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=str)
def test_wrong_arguments_are_refused(options, message, folder, cache):
    with pytest.raises(ValueError, match=message):
        compare(folder, cache, **options)


def test_a_missing_package_of_weights_is_named_with_its_remedy(folder, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "none"))
    package = weight_packages.PACKAGES["efficientnet_lite0"]._replace(module="no_such_weights")
    monkeypatch.setitem(weight_packages.PACKAGES, "efficientnet_lite0", package)
    assert cli.main(["compare", str(folder)]) == 2
    assert _extras.install_line("weights") in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".json", ".md"])
def test_the_command_prints_a_table_and_writes_a_file(suffix, folder, tmp_path, capsys):
    file = tmp_path / f"comparison{suffix}"
    options = ["--seeds", "3", "--short-side", "48", "--output", str(file)]
    assert cli.main(["compare", str(folder), *options]) == 0
    printed = capsys.readouterr().out
    assert "| whole |" in printed
    assert f"On {folder}, " in printed
    if suffix == ".md":
        assert file.read_text() == printed
    else:
        results = json.loads(file.read_text())
        assert results["sentence"] in printed


def test_the_command_prints_json(folder, capsys):
    assert cli.main(["compare", str(folder), "--seeds", "3", "--short-side", "48", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["short_side"] == 48


def test_the_command_refuses_another_file_before_it_works(folder, capsys):
    assert cli.main(["compare", str(folder), "--output", "results.txt"]) == 2
    assert "--output must end in .json or .md" in capsys.readouterr().err
