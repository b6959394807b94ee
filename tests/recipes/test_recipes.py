import dataclasses
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spp_keras import recipes
from spp_keras.recipes import Recipe, fields
from spp_keras.zoo import model_summary

ROOT = Path(__file__).parents[2]
GOLDENS = ROOT / "tests" / "goldens"
# Table 2 of the paper, by hand: without SPP, with it at one size, at two; top-1 and top-5.
TABLE_2 = {
    "zf5": ((35.99, 14.76), (34.98, 14.14), (34.60, 13.64)),
    "alexnet5": ((34.93, 13.92), (34.38, 13.54), (33.94, 13.33)),
    "overfeat5": ((34.13, 13.52), (32.87, 12.80), (32.26, 12.33)),
    "overfeat7": ((32.01, 11.97), (30.36, 11.12), (29.68, 10.95)),
}
NAMES = [f"{trunk}{ending}" for trunk in TABLE_2 for ending in ("", "_spp")]

every_model = pytest.mark.parametrize("name", NAMES)


def figures(name):
    """What the paper reports for the training of a recipe."""
    without, _, two_sizes = TABLE_2[name.removesuffix("_spp")]
    return [f"{value:.2f}" for value in (two_sizes if name.endswith("_spp") else without)]


@pytest.fixture
def recipe_file(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@every_model
def test_the_resolved_recipe_is_the_golden_one(name):
    golden = GOLDENS / f"{name}.txt"
    assert recipes.recipe_to_toml(recipes.read_recipe(f"{name}/imagenet")) == golden.read_text(), (
        "Where the change is meant, write `recipe_to_toml(read_recipe(...))` of "
        f"{name}/imagenet to {golden}."
    )


@every_model
def test_a_recipe_trains_as_the_paper_did(name):
    recipe = recipes.read_recipe(f"{name}/imagenet")
    assert recipe.model == name
    assert recipe.epochs == (70 if name.startswith("zf5") else 90)
    assert (recipe.learning_rate, recipe.num_lr_drops, recipe.dropout) == (0.01, 2, 0.5)
    assert (recipe.short_side, recipe.crop, recipe.flip, recipe.color_jitter) == (
        256,
        "corners",
        True,
        0.1,
    )
    policy = ("alternating", (224, 180)) if name.endswith("_spp") else ("fixed", (224,))
    assert (recipe.size_policy, recipe.image_sizes) == policy
    assert (recipe.data, recipe.width, recipe.levels) == ("imagenet2012", 1, (6, 3, 2, 1))


@every_model
def test_a_recipe_opens_with_its_command_its_source_and_what_it_reports(name):
    text = (ROOT / "zoo" / name / "imagenet.toml").read_text()
    opening = text[: text.index("\nmodel = ")]
    assert all(line.startswith("#") for line in opening.strip().splitlines() if line)
    assert f"spp-keras train {name}/imagenet --data imagenet2012" in opening
    assert "arxiv.org/abs/1406.4729" in opening
    top1, top5 = figures(name)
    assert f"{top1} % top-1 and {top5} % top-5" in opening
    assert "GTX Titan" in opening
    assert "not trained here" in opening


@every_model
def test_what_an_opening_says_to_set_is_a_recipe(name):
    opening = (ROOT / "zoo" / name / "imagenet.toml").read_text()
    for line in re.findall(r"--size-policy .*", opening):
        policy, sizes = re.search(r"--size-policy (\w+) --image-sizes ([\d,]+)", line).groups()
        image_sizes = tuple(map(int, sizes.split(",")))
        recipe = recipes.read_recipe(
            f"{name}/imagenet", size_policy=policy, image_sizes=image_sizes
        )
        assert recipe.image_sizes in [(224,), (180, 224)]


@every_model
def test_card_and_table_have_the_figures_of_paper_and_network(name):
    card = (ROOT / "zoo" / name / "card.md").read_text()
    measured, reported = card.split("## Measured here")[1].split("## Reported by the paper")
    assert not any(f"{value:.2f}" in measured for value in _all(name))
    (network,) = (network for network in model_summary.summarize_models() if network.name == name)
    (row,) = re.findall(rf"^\| \[{name}\].*", (ROOT / "zoo" / "README.md").read_text(), re.M)
    for value in figures(name):
        assert f" {value} |" in reported
        assert f" {value} |" in row
    for text in (card, row):
        assert f"{network.parameters:,}" in text
    if network.pyramid:
        assert f"any from {network.min_size} |" in row
        assert f"any size from {network.min_size}x{network.min_size}," in card
        assert all(f" {value} |" in reported for value in map("{:.2f}".format, _all(name)))


@every_model
def test_card_and_table_have_what_was_measured_in_small(name):
    rows = json.loads((ROOT / "benchmarks" / "results" / "table2.json").read_text())["rows"]
    card = (ROOT / "zoo" / name / "card.md").read_text()
    measured = card.split("## Measured here")[1].split("## Reported by the paper")[0]
    trunk = name.removesuffix("_spp")
    (row,) = re.findall(rf"^\| \[{name}\].*", (ROOT / "zoo" / "README.md").read_text(), re.M)
    table = {}
    for variant in ["single", "multi", "random"] if name.endswith("_spp") else ["none"]:
        of = [one for one in rows if (one["net"], one["variant"]) == (trunk, variant)]
        if of:
            table[variant] = [
                mean_and_error([one[key] for one in of]) for key in ("top-1", "top-5")
            ]
    cells = re.findall(r"^\| .* \| (\S+ ± \S+) \| (\S+ ± \S+) \|$", measured, re.M)
    assert [list(one) for one in cells] == list(table.values())
    assert row.endswith(f"| {table.get('multi', table.get('none'))[0]} |")


def mean_and_error(values):
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1) / len(values) ** 0.5:.1f}"


def _all(name):
    return [value for row in TABLE_2[name.removesuffix("_spp")] for value in row]


@every_model
def test_every_key_that_a_recipe_of_the_paper_rests_on_is_spelled_out(name):
    keys = tomllib.loads((ROOT / "zoo" / name / "imagenet.toml").read_text()).keys()
    without_effect_here = {"weights", "freeze", "longest_side", "max_pixels", "width", "data_dir"}
    without_effect_here |= {"units", "top_epochs", "trunk_multiplier"}
    without_effect_here |= {"early_stopping", "class_weight"}
    of_the_machine = {
        "task",
        "on_error",
        "max_skipped_fraction",
        "orientation",
        "background",
        "checkpoint_minutes",
    }
    missing = {field.name for field in dataclasses.fields(Recipe)} - keys
    expected = without_effect_here | of_the_machine | ({"levels", "mode"} - keys)
    assert missing == expected
    assert ("levels" in keys) == ("mode" in keys) == name.endswith("_spp")


def test_the_zoo_has_a_recipe_for_any_machine():
    assert set(recipes.list_recipes()) == {
        *(f"{name}/imagenet" for name in NAMES),
        "efficientnet_lite0/fine_tuning",
        "zf5_spp/shapes",
        "zf5_spp/shapes_cropped",
        "zf5_spp/shapes_warped",
        "zf5_spp/detector",
        "zf5_spp/shapes_detector",
    }
    recipe = recipes.read_recipe("zf5_spp/shapes")
    assert (recipe.data, recipe.size_policy) == ("shapes", "native")
    assert recipe.width < 0.5
    assert recipe.early_stopping


def test_recipes_that_are_compared_differ_in_sizes_alone():
    whole, *others = (
        vars(recipes.read_recipe(f"zf5_spp/{name}"))
        for name in ("shapes", "shapes_cropped", "shapes_warped")
    )
    of_sizes = {"size_policy", "image_sizes", "short_side", "longest_side", "crop"}
    for other in others:
        assert {key for key in whole if whole[key] != other[key]} <= of_sizes


def test_the_defaults_need_no_file_of_ours(recipe_file):
    assert recipes.read_recipe(recipe_file("")) == Recipe()
    assert recipes.read_recipe(str(recipe_file("# nothing"))) == Recipe()


def test_an_integer_stands_for_a_float_and_lists_for_tuples():
    recipe = Recipe(width=1, color_jitter=0, levels=[4, [3, 2]], freeze=["conv"])
    assert (recipe.levels, recipe.freeze) == ((4, (3, 2)), ("conv",))
    assert type(recipe.width) is type(recipe.color_jitter) is float
    assert recipe == Recipe(width=1.0, color_jitter=0.0, levels=(4, (3, 2)), freeze=("conv",))
    hash(recipe)


def test_a_recipe_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().epochs = 3


texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.floats(0, allow_infinity=False, exclude_min=True) | st.integers(1, 10**6)


@given(
    data=texts.filter(bool),
    data_dir=texts,
    freeze=st.lists(texts).map(tuple),
    levels=st.lists(
        st.integers(1, 9) | st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1
    ),
    learning_rate=numbers,
    weight_decay=numbers,
    dropout=st.floats(0, 1, exclude_max=True),
    flip=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    sizes=st.sampled_from(
        [("native", ()), ("whole", ()), ("fixed", (99,)), ("alternating", (224, 180, 200))]
    ),
)
def test_what_is_written_reads_back_equal(tmp_path_factory, sizes, levels, **keys):
    policy, sides = sizes
    recipe = Recipe(size_policy=policy, image_sizes=sides, levels=tuple(levels), **keys)
    path = tmp_path_factory.getbasetemp() / "round_trip.toml"
    path.write_text(recipes.recipe_to_toml(recipe), encoding="utf-8", newline="")
    assert recipes.read_recipe(path) == recipe


@pytest.mark.parametrize(
    "text", ["\x7f\x00\x85\u2028", 'a"b\\c\r\n\t', "Straße 日本 😀", "'''"], ids=ascii
)
def test_any_name_can_be_written(tmp_path, text):
    path = tmp_path / "named.toml"
    path.write_bytes(recipes.recipe_to_toml(Recipe(data=text)).encode())
    assert recipes.read_recipe(path).data == text


def test_an_override_replaces_the_key_of_the_file(recipe_file):
    recipe = recipes.read_recipe(recipe_file("batch_size = 2\nseed = 1"), batch_size=3, epochs=7)
    assert recipe == Recipe(batch_size=3, seed=1, epochs=7)


def test_keys_of_the_files_own_size_policy_do_not_count_with_another(recipe_file):
    crops = recipe_file('size_policy = "fixed"\nimage_sizes = [224]')
    assert recipes.read_recipe(crops, size_policy="native") == Recipe()
    whole = recipe_file('size_policy = "whole"\nlongest_side = 300')
    recipe = recipes.read_recipe(whole, size_policy="fixed", image_sizes=(180,))
    assert recipe == Recipe(size_policy="fixed", image_sizes=(180,))


def test_a_recipe_for_detectors_is_told_by_its_task(recipe_file):
    path = recipe_file('task = "detection"\ndata = "voc/2007"\nscales = [480, 688]')
    recipe = recipes.read_recipe(path, run="runs/x")
    assert recipe == recipes.DetectorRecipe(run="runs/x", data="voc/2007", scales=(480, 688))
    assert recipes.read_recipe(path, task="detection", run="runs/x") == recipe
    with pytest.raises(ValueError, match=r"for detection: take it to `spp-keras train-detector`"):
        recipes.read_recipe(path, task="classification", run="runs/x")
    with pytest.raises(ValueError, match=r"for classification: take it to `spp-keras train`"):
        recipes.read_recipe("zf5_spp/imagenet", task="detection")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"run": ""}, "`run` must name the run folder"),
        ({"data": ""}, "`data` must name images with boxes"),
        ({"head": "linear"}, "`head` must be one of 'softmax', 'svm'"),
        ({"scales": ()}, "`scales` must have one short side or more"),
        ({"scales": (0,)}, "`scales` must be an int >= 1"),
        ({"epochs": 0}, "`epochs` must be an int >= 1"),
        ({"orientation": "up"}, "`orientation` must be one of 'exif', 'file'"),
        ({"rpn": 1}, "`rpn` must be true or false"),
    ],
)
def test_a_wrong_value_in_a_detector_recipe_is_named(keys, message):
    with pytest.raises(ValueError, match=message):
        recipes.DetectorRecipe(**{"run": "runs/x", "data": "voc/2007"} | keys)


def test_the_recipes_of_the_zoo_for_detectors_can_be_read():
    names = recipes.list_recipes("detection")
    assert names == ["zf5_spp/detector", "zf5_spp/shapes_detector"]
    for name in names:
        recipe = recipes.read_recipe(name, run="runs/x")
        assert recipes.read_recipe(name, task="detection", run="runs/x") == recipe


@pytest.mark.parametrize("key", ["sizes", "crops", "colour", "drops", "most_skipped"])
def test_a_recipe_of_0_1_is_refused_with_the_new_name_of_its_key(recipe_file, key):
    with pytest.raises(ValueError, match=rf"spp_keras 0\.1: since 0\.2 its key `{key}` is `\w+`"):
        recipes.read_recipe(recipe_file(f"{key} = 1"))


def test_a_recipe_of_0_2_is_refused_with_the_new_name_of_its_key(recipe_file):
    message = r"spp_keras 0\.2: since 0\.3 its key `batch_pixels` is `max_pixels`.*run folder"
    with pytest.raises(ValueError, match=message):
        recipes.read_recipe(recipe_file("batch_pixels = 1000"))


def test_every_key_is_described():
    for recipe_class in (Recipe, recipes.DetectorRecipe):
        names = [field.name for field in dataclasses.fields(recipe_class)]
        assert list(fields.describe_fields(recipe_class)) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat = 0.1", r"no key `learning_rat`\. Did you mean `learning_rate`\? It has: "),
        (
            "zzz = 1",
            r"no key `zzz`\. It has: task, model, width, .*checkpoint_minutes\. Received: zzz=1",
        ),
        ("[data]\nname = 'voc'", r"`data` must be a string\. Received: data=\{'name': 'voc'\}"),
        ("epochs = '7'", r"`epochs` must be an integer\. Received: epochs='7'\. Read from .*mine"),
        ("epochs = 7.0", r"`epochs` must be an integer\. Received: epochs=7\.0"),
        ("epochs = true", r"`epochs` must be an integer\. Received: epochs=True"),
        ("flip = 1", r"`flip` must be true or false\. Received: flip=1"),
        ("width = '1'", r"`width` must be a finite number\. Received: width='1'"),
        ("width = true", r"`width` must be a finite number"),
        ("learning_rate = inf", r"`learning_rate` must be a finite number.*=inf"),
        ("weight_decay = nan", r"`weight_decay` must be a finite number.*=nan"),
        (f"color_jitter = 1{400 * '0'}", r"`color_jitter` must be a finite number"),
        ("image_sizes = '224'", r"`image_sizes` must be a list of integers, such as \[224, 180\]"),
        ("image_sizes = [224.0]", r"`image_sizes` must be a list of integers"),
        ("image_sizes = [true]", r"`image_sizes` must be a list of integers"),
        ("freeze = 'conv'", r'`freeze` must be a list of strings, such as \["conv1"'),
        ("freeze = [1]", r"`freeze` must be a list of strings"),
        ("levels = [6, 0]", r"`levels` must be .*where 0 is neither"),
        ("levels = 6", r"`levels` must be a non-empty sequence"),
        ("model = 'zf_spp'", r"`model` must be a network of .* Did you mean `zf5_spp`\?"),
        ("model = 'MobilNetV2'", r"`model` must be a network of .* Did you mean `MobileNetV2`\?"),
        ("mode = 'mean'", r"`mode` must be one of 'max', 'average'"),
        ("units = [64]", r"`units` must be empty for zf5_spp, which has its own"),
        ("model = 'MobileNetV2'\nunits = [0]", r"`units` must be an int >= 1"),
        ("model = 'ResNet50'\nwidth = 0.5", r"`width` must be 1 for ResNet50"),
        ("weights = 'imagenet'", r"`weights` must be a file or empty for zf5_spp, of which there"),
        (
            "size_policy = 'any'",
            r"`size_policy` must be one of 'fixed', .*Received: size_policy='any'",
        ),
        ("crop = 'middle'", r"`crop` must be one of"),
        ("precision = 'half'", r"`precision` must be one of"),
        ("on_error = 'stop'", r"`on_error` must be one of 'skip', 'fail'"),
        ("batch_size = 0", r"`batch_size` must be an int >= 1"),
        ("patience = 0", r"`patience` must be an int >= 1"),
        ("num_lr_drops = -1", r"`num_lr_drops` must be an int >= 0"),
        ("seed = 4294967296", r"`seed` must be below 2\*\*32"),
        ("learning_rate = 0", r"`learning_rate` must be a number > 0"),
        ("checkpoint_minutes = 0", r"`checkpoint_minutes` must be a number > 0"),
        ("momentum = 1", r"`momentum` must be a number in \[0, 1\)"),
        ("max_skipped_fraction = -0.1", r"`max_skipped_fraction` must be a number in \[0, 1\)"),
        ("color_jitter = -1", r"`color_jitter` must be a number >= 0"),
        ("weight_decay = -1e-4", r"`weight_decay` must be a number >= 0"),
        ("data = ''", r"`data` must be a folder or the name"),
        ("weights = 'best.keras'", r"`weights` must be .*ending in \.weights\.h5"),
        ("epochs =", r"Invalid value.*Read from .*mine\.toml"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_was_expected(recipe_file, text, message):
    with pytest.raises(ValueError, match=message):
        recipes.read_recipe(recipe_file(text))


FIXED = {"size_policy": "fixed", "image_sizes": (224,)}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"size_policy": "fixed"}, r"`image_sizes` must be one size.*Received: image_sizes=\[\]"),
        ({"size_policy": "fixed", "image_sizes": (224, 180)}, "`image_sizes` must be one size"),
        ({"size_policy": "alternating", "image_sizes": (224,)}, "must be two sizes or more"),
        (
            {"size_policy": "range", "image_sizes": (224, 180)},
            "must be the smallest and the largest size",
        ),
        (
            {"size_policy": "range", "image_sizes": (180, 200, 224)},
            "the smallest and the largest size",
        ),
        ({"size_policy": "whole", "image_sizes": (224,)}, "`image_sizes` must be empty"),
        (
            {"size_policy": "native", "image_sizes": (224,)},
            "must be empty.* for size_policy='native'",
        ),
        ({"size_policy": "fixed", "image_sizes": (28,)}, "`image_sizes` must be at least 29"),
        ({**FIXED, "short_side": 223}, r"`short_side` must be at least 224.*short_side=223"),
        (
            {"size_policy": "alternating", "image_sizes": (180, 300)},
            "`short_side` must be at least 300",
        ),
        ({"size_policy": "whole", "short_side": 28}, "`short_side` must be at least 29"),
        ({"size_policy": "warped"}, r"`image_sizes` must be one size.*Received: image_sizes=\[\]"),
        ({**FIXED, "longest_side": 500}, "`longest_side` must be 0 for size_policy='fixed'"),
        ({**FIXED, "max_pixels": 500}, "`max_pixels` must be 0 for size_policy='fixed'"),
        ({"longest_side": 28}, "`longest_side` must be 0 or at least 29"),
        ({"size_policy": "whole", "longest_side": 255}, "`longest_side` must be 0 or at least 256"),
        (
            {"model": "zf5"},
            "`size_policy` must be 'fixed' or 'warped' for zf5.*any size.*size_policy='native'",
        ),
        (
            {"model": "zf5", "size_policy": "alternating", "image_sizes": (224, 180)},
            "`size_policy` must be 'fixed' or 'warped' for zf5",
        ),
    ],
)
def test_keys_that_contradict_each_other_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**keys)


@pytest.mark.parametrize(
    "keys",
    [
        {**FIXED, "model": "zf5"},
        {**FIXED, "short_side": 224},
        {"size_policy": "alternating", "image_sizes": (180, 224, 200)},
        {"size_policy": "range", "image_sizes": (180, 224)},
        {"size_policy": "whole", "longest_side": 256, "max_pixels": 10**6},
        {"size_policy": "native", "longest_side": 29, "short_side": 1},
    ],
)
def test_keys_that_agree_make_a_recipe(keys):
    assert dataclasses.asdict(Recipe(**keys)).items() >= keys.items()


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list():
    with pytest.raises(
        ValueError, match=r"Did you mean zf5_spp.*`spp-keras zoo` lists them\. Received"
    ):
        recipes.read_recipe("zf5spp")


def test_an_error_names_file_and_settings(recipe_file):
    with pytest.raises(ValueError, match=r"Read from .*mine\.toml, with seed=1, with epochs=0\."):
        recipes.read_recipe(recipe_file(""), seed=1, epochs=0)


def test_bytes_that_are_no_text_are_an_error_of_the_file(tmp_path):
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"Read from .*bad\.toml"):
        recipes.read_recipe(tmp_path / "bad.toml")


def test_the_wheel_has_the_recipes_where_they_are_looked_for():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["force-include"] == {"zoo": "spp_keras/zoo/entries"}


def test_recipes_need_neither_tensorflow_nor_keras_nor_numpy():
    code = """
import sys
from spp_keras import recipes
recipes.read_recipe("zf5_spp/imagenet")
print(sorted({'tensorflow', 'keras', 'numpy', 'h5py'} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("zf5_spp", r"its recipes are zf5_spp/detector, zf5_spp/imagenet, .* choose a recipe"),
        ("MobileNetV3Small", r"the name of a recipe in the zoo. `spp_keras.train` .* choose"),
    ],
)
def test_the_name_of_a_network_is_no_recipe(name, hint):
    with pytest.raises(ValueError, match=hint):
        recipes.read_recipe(name)


def test_comments_on_keys_are_kept_beside_them():
    text = recipes.recipe_to_toml(Recipe(), {"epochs": "at most"})
    (line,) = (line for line in text.splitlines() if "#" in line)
    assert line.split() == ["epochs", "=", "70", "#", "at", "most"]
    assert recipes.Recipe(**tomllib.loads(text)) == Recipe()
