"""What a page says of how long networks were trained."""

import csv

import pytest

from spp_keras import recipes, run_folder
from spp_keras.report import training_status
from spp_keras.run_folder import RunFolder


@pytest.fixture
def make(tmp_path):
    """A run folder that has made so many epochs, the last ones at the lowest rate."""

    def folder(name, epochs, lowest, size_policy="native"):
        made = tmp_path / name
        made.mkdir()
        squares = {"image_sizes": (112,)} if size_policy in ("warped", "fixed") else {}
        recipe = recipes.Recipe(
            size_policy=size_policy, learning_rate=0.1, num_lr_drops=1, patience=2, **squares
        )
        (made / run_folder.RECIPE).write_text(recipes.recipe_to_toml(recipe))
        (made / run_folder.LABELS).write_text("cat\ndog\n")
        (made / run_folder.BEST_WEIGHTS).write_bytes(b"")
        RunFolder(made).write_data_info(multi_label=False, longest_side=None)
        if epochs:
            with (made / run_folder.HISTORY).open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["epoch", "learning_rate", "val_accuracy"])
                for epoch in range(1, epochs + 1):
                    writer.writerow([epoch, 0.01 if epoch > epochs - lowest else 0.1, 0.5])
        return made

    return folder


def test_one_training(make):
    assert training_status.describe_training([make("a", 1, 1)]).startswith(
        "The training of a was broken off after 1 epoch while it was still learning; more epochs "
        "can still change its figures. A training has stopped learning when all drops"
    )
    assert training_status.describe_training([make("B", 9, 2)]).startswith(
        "The training of B had stopped learning after 9 epochs. A training has"
    )


def test_trainings_alike_are_said_together(make):
    seeds = [make(name, 5, 1) for name in "abc"]
    assert training_status.describe_training(seeds).startswith(
        "All 3 trainings were broken off after 5 epochs while they were still learning; their "
        "figures can still change. "
    )


def test_trainings_that_differ_are_said_apart(make):
    different = [make("whole", 9, 3), make("warped", 5, 1, "warped"), make("crops", 5, 0, "fixed")]
    assert training_status.describe_training(different).startswith(
        "The training of whole had stopped learning after 9 epochs; the training of warped was "
        "broken off after 5 epochs while it was still learning; the training of crops was broken "
        "off after 5 epochs while it was still learning; the order of cropped, warped and whole "
        "images can still change. "
    )


def test_a_run_without_a_history_is_left_out(make):
    assert training_status.describe_training([make("a", 0, 0)]) == ""
    assert training_status.describe_training([make("b", 0, 0), make("c", 9, 2)]).startswith(
        "The training of c "
    )
