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
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True)
