import dataclasses
import json
import os

import pytest

from spp_keras import cli, recipes
from spp_keras.cli import predict


def test_zoo_lists_every_network(capsys):
    assert cli.main(["zoo"]) == 0
    printed = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in printed[1:]]
    assert names == [
        "zf5",
        "zf5_spp",
        "alexnet5",
        "alexnet5_spp",
        "overfeat5",
        "overfeat5_spp",
        "overfeat7",
        "overfeat7_spp",
        *(f"efficientnet_lite{number}" for number in range(3)),
    ]


def test_zoo_as_json_has_the_numbers_of_the_paper(capsys):
    assert cli.main(["zoo", "--json"]) == 0
    networks = {network["name"]: network for network in json.loads(capsys.readouterr().out)}
    assert networks["overfeat7_spp"]["parameters"] == 136_988_264
    assert networks["zf5_spp"]["stride"] == 16
    assert (networks["zf5"]["map_224"], networks["zf5"]["map_180"]) == (13, 10)


def test_flops_count_two_for_each_product_of_a_network_worked_by_hand(capsys):
    cli.main(["zoo", "--json"])
    networks = {network["name"]: network for network in json.loads(capsys.readouterr().out)}
    convolutions = (
        112**2 * 96 * 7 * 7 * 3
        + 27**2 * 256 * 5 * 5 * 96
        + 13**2 * (384 * 9 * 256 + 384 * 9 * 384 + 256 * 9 * 384)
    )
    dense = 12800 * 4096 + 4096 * 4096 + 4096 * 1000
    assert networks["zf5_spp"]["flops"] == 2 * (convolutions + dense)


@pytest.mark.parametrize("arguments", [["zoos"], ["zoo", "--jsn"]], ids=str)
def test_wrong_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    assert "usage: spp-keras" in capsys.readouterr().err


def test_the_program_alone_prints_help(capsys):
    assert cli.main([]) == 0
    printed = capsys.readouterr().out
    assert "usage: spp-keras" in printed
    assert "train-detector" in printed


def test_help_of_a_command_is_its_help(capsys):
    for words in (["help", "train"], ["train", "--help"]):
        with pytest.raises(SystemExit) as exit_:
            cli.main(words)
        assert exit_.value.code == 0
        assert "usage: spp-keras train" in capsys.readouterr().out


def test_patterns_that_the_shell_left_are_expanded_and_links_are_refused(tmp_path):
    for name in ("a.png", "b.png", "c.jpg"):
        (tmp_path / name).touch()
    pattern = str(tmp_path / "*.png")
    assert predict.list_images([pattern]) == [str(tmp_path / f"{name}.png") for name in "ab"]
    assert predict.list_images([str(tmp_path / "*.gif")]) == [str(tmp_path / "*.gif")]
    with pytest.raises(ValueError, match=r"Download it first.*curl"):
        predict.list_images(["https://example.org/photo.jpg"])


def test_a_network_without_weights_is_named_as_one(capsys):
    assert cli.main(["predict", "zf5_spp", "photo.jpg"]) == 2
    assert "zf5_spp is a network: `spp-keras train zf5_spp --data" in capsys.readouterr().err


def test_the_zoo_shows_the_card_of_a_network(capsys):
    assert cli.main(["zoo", "zf5_spp"]) == 0
    assert capsys.readouterr().out.startswith("# zf5_spp\n")
    assert cli.main(["zoo", "zf5_sp"]) == 2
    assert "Did you mean `zf5_spp`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["evaluate", "report", "app", "export", "train-detector", "predict"]
)
def test_a_missing_run_is_answered_with_the_runs_there_are(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main([command])
    assert "none; `spp-keras train` makes one" in capsys.readouterr().err
    for number, name in enumerate(("old", "new")):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "recipe.toml").write_text("")
        os.utime(folder / "recipe.toml", (number, number))
    with pytest.raises(SystemExit):
        cli.main([command])
    message = "Runs here, the newest first: runs/new, runs/old."
    assert message in capsys.readouterr().err
    assert cli.main([command, "gone", *(["x.jpg"] if command == "predict" else [])]) == 2
    printed = capsys.readouterr().err
    assert "RUN must be an existing folder, or the name of a network with weights" in printed
    assert message in printed


@pytest.mark.parametrize("command", ["predict", "detect"])
def test_missing_images_are_named(command, tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, str(tmp_path)])
    assert "required: IMAGE" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert cli.main([command, str(tmp_path), str(tmp_path / "empty")]) == 2
    assert "IMAGE must be a directory with images" in capsys.readouterr().err


def test_the_help_of_a_training_has_every_key_of_a_recipe(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["train", "--help"])
    assert exit_.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(recipes.Recipe):
        if field.name != "task":
            assert f"--{field.name.replace('_', '-')} " in printed
    assert "Initial learning rate of SGD. Defaults to 0.01." in printed


def test_a_flag_that_is_no_key_of_a_recipe_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["train", "zf5_spp", "--batchsize", "3"])
    assert exit_.value.code == 2
    assert "--batchsize" in capsys.readouterr().err


REFUSED = [
    (["zf5_sp"], "Did you mean zf5_spp or"),
    (["zf5_spp/shapes", "--epochs", "0"], "`epochs` must be an int >= 1"),
    (["zf5_spp/shapes", "--levels", "6,0"], "`levels` must be"),
    (["zf5_spp/detector"], "take it to `spp-keras train-detector`"),
    (["zf5_spp"], "`data` must be a folder of images or the name of a data set"),
    ([], "such as `--data photos/`. Received: data=''"),
    (["zf5_spp", "--data", "."], "`data` must have a folder for each of at least two classes"),
    (["zf5_spp", "--data", "/nowhere"], "`data` must be an existing folder or table."),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_training_refuses_with_2_and_leaves_nothing(
    arguments, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert cli.main(["train", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def trained(monkeypatch):
    """The arguments of `train_model`, in place of a training."""
    from spp_keras import training

    calls = []

    def train_model(recipe, output, *, devices=None, callbacks=(), reasons=None):
        calls.append((recipe, output, devices))
        if recipe.seed == 130:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "train_model", train_model)
    return calls


def test_settings_and_options_reach_the_training(trained, capsys):
    arguments = ["--data", "voc/2007", "--epochs", "3", "--no-flip", "--devices", "2"]
    assert cli.main(["train", "zf5_spp/imagenet", *arguments]) == 0
    [(recipe, run, devices)] = trained
    assert (recipe.model, recipe.data, recipe.epochs, devices) == ("zf5_spp", "voc/2007", 3, 2)
    assert not recipe.flip
    assert str(run) == "runs/zf5_spp-voc-2007"
    assert capsys.readouterr().out == "runs/zf5_spp-voc-2007\n"


def test_the_folder_of_a_run_can_be_chosen(trained, tmp_path):
    assert cli.main(["train", "zf5_spp/shapes", "--output", str(tmp_path / "mine")]) == 0
    assert trained[0][1] == str(tmp_path / "mine")


def test_an_interruption_exits_with_130_and_says_how_to_go_on(trained, capsys):
    assert cli.main(["train", "zf5_spp/shapes", "--seed", "130"]) == 130
    assert "the same command goes on" in capsys.readouterr().err
