import json
import subprocess
import sys

import pytest

from spp_keras import cli


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
    ]


def test_zoo_as_json_has_the_numbers_of_the_paper(capsys):
    assert cli.main(["zoo", "--json"]) == 0
    networks = {network["name"]: network for network in json.loads(capsys.readouterr().out)}
    assert networks["overfeat7_spp"]["parameters"] == 136_988_264
    assert networks["zf5_spp"]["step"] == 16
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


@pytest.mark.parametrize("arguments", [[], ["zoos"], ["zoo", "--jsn"]], ids=str)
def test_wrong_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    assert "usage: spp-keras" in capsys.readouterr().err


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["zoo", "--help"])
    assert exit_.value.code == 0
    assert "spp-keras zoo --json" in capsys.readouterr().out


def test_listing_the_zoo_loads_neither_tensorflow_nor_keras():
    script = (
        "import sys\n"
        "from spp_keras import cli\n"
        "cli.main(['zoo'])\n"
        "loaded = {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300, capture_output=True)


def test_training_shows_examples(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["train", "--help"])
    assert exit_.value.code == 0
    assert "spp-keras train zf5_spp/shapes" in capsys.readouterr().out


REFUSED = [
    (["zf5_sp"], "Did you mean `zf5_spp`?"),
    (["zf5_spp", "--set", "batchsize=3"], "Did you mean `batch_size`?"),
    (["zf5_spp", "--set", "epochs=many"], "`epochs` must be an integer. Received: epochs='many'"),
    (["zf5_spp", "--set", "epochs"], "A setting must be key=value. Received: 'epochs'"),
    (["zf5_spp", "--data", "."], "`data` must have a folder for each of at least two classes"),
    (["zf5_spp", "--data", "/nowhere"], "`data` must be an existing folder."),
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
    """What `train` was called with, in place of a training."""
    from spp_keras import training

    calls = []

    def train(recipe, run, *, devices=None):
        calls.append((recipe, run, devices))
        if recipe.seed == 130:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", train)
    return calls


def test_settings_and_options_reach_the_training(trained, capsys):
    arguments = ["--data", "voc/2007", "--set", "epochs=3", "--set", "data=mnist", "--devices", "2"]
    assert cli.main(["train", "zf5_spp", *arguments]) == 0
    [(recipe, run, devices)] = trained
    assert (recipe.model, recipe.data, recipe.epochs, devices) == ("zf5_spp", "voc/2007", 3, 2)
    assert str(run) == "runs/zf5_spp-voc-2007"
    assert capsys.readouterr().out == "runs/zf5_spp-voc-2007\n"


def test_the_folder_of_a_run_can_be_chosen(trained, tmp_path):
    assert cli.main(["train", "zf5_spp", "--run", str(tmp_path / "mine")]) == 0
    assert trained[0][1] == tmp_path / "mine"


def test_an_interruption_exits_with_130_and_says_how_to_go_on(trained, capsys):
    assert cli.main(["train", "zf5_spp", "--set", "seed=130"]) == 130
    assert "the same command goes on" in capsys.readouterr().err
