import csv
import re

import keras
import numpy as np
from PIL import Image

from spp_keras.training import history_file, progress_bar

HISTORY = [
    {
        "epoch": epoch,
        "learning_rate": 0.1**epoch,
        "accuracy": epoch / 4,
        "val_accuracy": epoch / 5,
        "val_cross_entropy": 1 / epoch,
    }
    for epoch in (1, 2, 3)
]


def test_a_bar_says_images_per_second_and_the_time_left(capsys, monkeypatch):
    now = iter(range(0, 1000, 2))
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: next(now))
    bar = progress_bar.ProgressBar(
        epochs=3, steps=100, images_per_step=8, fill=lambda epoch: 0.875, first_step=98
    )
    bar.on_epoch_begin(1)
    bar._bar.mininterval = 0
    bar.on_train_batch_end(0, {"loss": 3.0, "accuracy": 0.5})
    # Two seconds a batch of eight images, and a batch and an epoch to go.
    assert "4 images/s, 3:22 left, fill 0.88, accuracy 0.5" in str(bar._bar)
    bar.on_train_batch_end(1, {"loss": 3.0, "accuracy": 0.25})
    bar.on_epoch_end(1, {"loss": 3.0, "accuracy": 0.25, "val_accuracy": 0.125})
    said = capsys.readouterr().err
    assert re.search(
        r"epoch 2/3: 100%.*100/100 .*images/s, took 0:0\d, fill 0\.88, accuracy 0\.25", said
    )
    assert "val_accuracy 0.125" in said
    assert "loss" not in said


def test_times_are_written_like_a_clock():
    assert [progress_bar._format_time(seconds) for seconds in (5.4, 61, 3600 * 30 + 62)] == [
        "0:05",
        "1:01",
        "30:01:02",
    ]


class Epochs:
    """An `EpochTable` and a model that has nothing but a learning rate."""

    def __init__(self, folder, history, **options):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.5))
        self.table = history_file.HistoryWriter(
            history,
            folder / "history.csv",
            folder / "curves.png",
            fill=lambda epoch: 0.25,
            **options,
        )
        self.table.set_model(model)

    def run(self, *epochs):
        for epoch in epochs:
            self.table.on_epoch_begin(epoch)
            self.table.on_epoch_end(epoch, {"loss": 9.0, "val_accuracy": epoch / 10})
        self.table.on_train_end()


def test_the_table_has_a_row_an_epoch_however_often_it_is_repeated(tmp_path):
    history = []
    Epochs(tmp_path, history).run(0, 1, 2)
    Epochs(tmp_path, history).run(1, 2)
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {key: rows[2][key] for key in ("learning_rate", "fill", "val_accuracy")} == {
        "learning_rate": "0.5",
        "fill": "0.25",
        "val_accuracy": "0.2",
    }
    assert "loss" not in rows[0]


def test_a_machine_that_does_not_write_knows_the_rows_all_the_same(tmp_path):
    history = []
    Epochs(tmp_path, history, writes=False).run(0)
    assert len(history) == 1
    assert not list(tmp_path.iterdir())


def test_columns_are_all_names_that_any_row_has():
    assert history_file.format_csv([{"a": 1}, {"a": 2, "b": 3}]) == "a,b\n1,\n2,3\n"


def test_curves_show_each_metric_and_the_learning_rate(tmp_path):
    history_file.draw_curves(HISTORY, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == (1200, 300)
        third = np.asarray(image.convert("L").crop((800, 0, 1200, 300)))
    assert len(np.unique(third)) > 10


def test_an_epoch_without_some_numbers_can_be_drawn(tmp_path):
    history_file.draw_curves(
        [*HISTORY, {"epoch": 4, "learning_rate": 1e-4}], tmp_path / "curves.png"
    )
    assert (tmp_path / "curves.png").stat().st_size > 5_000
