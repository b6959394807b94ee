import keras
import numpy as np
import pytest

from spp_keras import recipes, zoo
from spp_keras.data import records
from spp_keras.training import machine_speed, time_estimate, work_counts
from spp_keras.zoo import model_summary


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("tfds"))
    return [records.load_records("shapes/tiny", split, folder) for split in ("train", "test")]


def make_recipe(**keys):
    return recipes.Recipe(**{"model": "zf5_spp", "width": 0.125, "epochs": 3, **keys})


def test_multiplications_of_layers_are_those_counted_by_hand():
    inputs = keras.Input((None, None, 3))
    maps = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(inputs)
    maps = keras.layers.DepthwiseConv2D(5, padding="same", name="each")(maps)
    maps = keras.layers.Conv2D(6, 1, groups=2)(maps)
    vectors = keras.layers.GlobalMaxPooling2D()(maps)
    counts = work_counts.count_work(keras.Model(inputs, keras.layers.Dense(7)(vectors)))
    # A quarter of the pixels is left behind the first layer.
    assert counts.dense == pytest.approx((3 * 3 * 3 * 8 + 4 * 6) / 4)
    assert counts.depthwise == pytest.approx(5 * 5 * 8 / 4)
    assert counts.top == 6 * 7
    # Three maps of half its height and width.
    assert counts.values == pytest.approx((8 + 8 + 6) / 4)


@pytest.mark.parametrize("name", ["zf5_spp", "efficientnet_lite0"])
def test_networks_have_the_multiplications_of_their_tables(name):
    counts = work_counts.count_work(zoo.create_model(name, classes=1000))
    convolutions = 224**2 * (counts.dense + counts.depthwise)
    (summary,) = (one for one in model_summary.summarize_models() if one.name == name)
    # The table's pyramid is the default one of `zf5_spp`; Lite's top is a single bin.
    top = counts.top if name == "zf5_spp" else 1280 * 1000
    assert convolutions + top == pytest.approx(summary.flops / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("keys", "pixels"),
    [
        ({"size_policy": "fixed", "image_sizes": (64,), "short_side": 72}, 64**2),
        ({"size_policy": "alternating", "image_sizes": (64, 48)}, (64**2 + 48**2) / 2),
        ({"size_policy": "warped", "image_sizes": (80,)}, 80**2),
    ],
    ids=lambda value: value["size_policy"] if isinstance(value, dict) else "",
)
def test_squares_have_the_pixels_of_their_size(keys, pixels, shapes):
    train, test = shapes
    work = time_estimate.count_training_work(make_recipe(**keys), train, test)
    assert work.step_images == 3 * len(train)
    assert work.step_pixels == pytest.approx(3 * len(train) * pixels)
    assert work.forward_images == 3 * len(test)
    assert work.forward_pixels == pytest.approx(3 * len(test) * pixels)
    in_files = sum(int(height) * int(width) for part in shapes for height, width in part.sizes)
    assert work.decoded_pixels == 3 * in_files


def test_batches_of_one_image_have_no_padding(shapes):
    train, test = shapes
    recipe = make_recipe(batch_size=1, top_epochs=9)
    work = time_estimate.count_training_work(recipe, train, test)
    pixels = [sum(int(h) * int(w) for h, w in part.sizes) for part in shapes]
    assert work.step_pixels == pytest.approx(3 * pixels[0])
    # All images go forward once more for the top.
    assert work.forward_pixels == pytest.approx(pixels[0] + 4 * pixels[1])
    assert work.decoded_pixels == 4 * sum(pixels)


def test_padding_is_work(shapes):
    train, test = shapes
    whole = make_recipe(batch_size=8)
    padded = time_estimate.count_training_work(whole, train, test)
    alone = time_estimate.count_training_work(make_recipe(batch_size=1), train, test)
    assert padded.step_pixels > alone.step_pixels


def test_twice_the_epochs_take_twice_the_time_but_for_the_start(shapes):
    speed = machine_speed.MachineSpeed(1e-10, 1e-9, 1e-8, 1e-8)
    times = [
        time_estimate.convert_to_seconds(
            time_estimate.count_training_work(make_recipe(epochs=epochs), *shapes), speed
        )
        for epochs in (1, 2, 3)
    ]
    first, second = np.diff(times)
    assert first == pytest.approx(second)
    assert 0 < first < times[0]


def test_a_quick_machine_takes_less(shapes, monkeypatch):
    times = []
    for factor in (1, 10):
        speed = machine_speed.MachineSpeed(*(value / factor for value in (1e-9, 1e-8, 1e-7, 1e-7)))
        monkeypatch.setattr(time_estimate, "measure_speed", lambda speed=speed: speed)
        times.append(time_estimate.estimate_seconds(make_recipe(), *shapes))
    assert times[1] < times[0]
