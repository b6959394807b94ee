import pytest

from spp_keras import recipes
from spp_keras.training import plateau

RECIPE = recipes.Recipe(learning_rate=0.01, num_lr_drops=2, patience=3)


def rows(rates, values, name="val_accuracy"):
    """A history, with the columns in the order of `history.csv`."""
    return [
        {"epoch": number + 1.0, "learning_rate": rate, "accuracy": 1.0, name: value}
        | {"val_cross_entropy": float(number)}
        for number, (rate, value) in enumerate(zip(rates, values, strict=True))
    ]


# As float32 has them.
HIGH, MIDDLE, LOWEST = 0.009999999776482582, 0.0010000000474974513, 0.00010000000474974513


@pytest.mark.parametrize(
    ("rates", "values", "expected"),
    [
        ([HIGH, HIGH, LOWEST, LOWEST, LOWEST], [0.3, 0.6, 0.6, 0.6, 0.6], True),
        ([HIGH, HIGH, LOWEST, LOWEST, LOWEST], [0.3, 0.6, 0.59, 0.604, 0.6], True),
        # Still gaining.
        ([HIGH, HIGH, LOWEST, LOWEST, LOWEST], [0.3, 0.6, 0.59, 0.606, 0.6], False),
        # A drop is left.
        ([HIGH, HIGH, MIDDLE, MIDDLE, MIDDLE], [0.3, 0.6, 0.6, 0.6, 0.6], False),
        ([HIGH, HIGH, HIGH, HIGH, HIGH], [0.3, 0.6, 0.6, 0.6, 0.6], False),
        # The last drop was just made.
        ([HIGH, HIGH, MIDDLE, MIDDLE, LOWEST], [0.3, 0.6, 0.6, 0.6, 0.6], False),
        # Too short to tell.
        ([LOWEST, LOWEST, LOWEST], [0.6, 0.6, 0.6], False),
        ([], [], False),
    ],
)
def test_a_training_has_stopped_when_its_last_epochs_at_the_lowest_rate_gain_nothing(
    rates, values, expected
):
    assert plateau.has_stopped_learning(rows(rates, values), RECIPE) is expected


def test_classes_that_an_image_has_several_of_are_judged_by_mean_average_precision():
    rates = [HIGH, LOWEST, LOWEST, LOWEST]
    values = [0.3, 0.3, 0.3, 0.3]
    history = rows(rates, values, "val_mean_average_precision")
    assert plateau.has_stopped_learning(history, RECIPE)


class Model:
    stop_training = False


def test_a_training_ends_with_the_epoch_after_which_it_has_stopped_learning():
    history, model = [], Model()
    stop = plateau.StopOnPlateau(history, RECIPE)
    stop.set_model(model)
    for row in rows([HIGH, HIGH, LOWEST, LOWEST, LOWEST], [0.3, 0.6, 0.6, 0.6, 0.6]):
        assert not model.stop_training
        history.append(row)
        stop.on_epoch_end(0)
    assert model.stop_training
