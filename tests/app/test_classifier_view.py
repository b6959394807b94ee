"""What the page says of a network, against the network itself and plain loops over its map."""

import keras
import numpy as np
import pytest
from image_files import GIGAPIXEL, UNUSABLE, USABLE
from oracles import window_of_box, window_pyramid
from photographs import bilinear, decoded, encoded, photograph
from small_runs import LABELS, make_run

from spp_keras import recipes, serving, zoo
from spp_keras.app import classifier_view, image_decoding, session
from spp_keras.run_folder import RunFolder
from spp_keras.zoo import model_parts

PHOTOGRAPH = encoded(photograph(100, 140))
# Of 320x400 pixels, seen at half of that.
LARGE = encoded(photograph(320, 256))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "pets"
    keras.utils.set_random_seed(20140618)
    return folder, make_run(folder, longest_side=160)


@pytest.fixture(scope="module")
def model(run):
    return classifier_view.ClassifierView(run[0], max_pixels=200_000)


def by_label(scores):
    return {one["label"]: one["score"] for one in scores}


def check_scores(said, expected):
    assert [one["score"] for one in said] == sorted((one["score"] for one in said), reverse=True)
    found = by_label(said)
    np.testing.assert_allclose([found[label] for label in LABELS], expected, rtol=1e-4, atol=1e-6)


def dense(model, x):
    """The layers behind the pyramid, as products of matrices."""
    for name in ("fc6", "fc7", "predictions"):
        kernel, bias = map(np.asarray, model.get_layer(name).weights)
        x = x @ kernel + bias
        x = np.maximum(x, 0) if name != "predictions" else np.exp(x) / np.exp(x).sum()
    return x


def test_the_whole_photograph_has_the_scores_that_the_command_prints(run, model):
    ask = serving.load_predictor(run[0])
    for file in (PHOTOGRAPH, LARGE):
        look, answer = model.predict(file), ask(file)
        said = look.values["whole"]["scores"]
        assert tuple(one["label"] for one in said) == answer.labels
        np.testing.assert_allclose([one["score"] for one in said], answer.scores, rtol=1e-4)
    assert (look.size, look.decoded_size) == ((320, 256), (160, 128))


def test_the_warped_one_has_the_scores_of_a_square_with_as_many_pixels(run, model):
    warped = model.predict(PHOTOGRAPH).values["warped"]
    side = round((100 * 140) ** 0.5)
    assert (warped["image_size"], warped["source"]) == (side, "as many pixels")
    square = bilinear(decoded(PHOTOGRAPH), (side, side))[np.newaxis]
    check_scores(warped["scores"], np.asarray(run[1](square.astype("float32")))[0])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"size_policy": "fixed", "image_sizes": (180,)}, (180, "the training's crop")),
        ({"size_policy": "range", "image_sizes": (96, 200)}, (200, "the training's crop")),
        ({"size_policy": "warped", "image_sizes": (112,)}, (112, "the training's square")),
        ({"size_policy": "whole", "short_side": 120}, (120, "the training's short side")),
        ({"size_policy": "native"}, (120, "as many pixels")),
    ],
)
def test_the_square_is_that_of_the_training(keys, expected):
    assert classifier_view.warp_size(recipes.Recipe(**keys), (90, 160), 29) == expected


BOXES = [(0, 0, 140, 100), (40, 20, 130, 80), (33.5, 0, 61.25, 100), (60, 40, 62, 41)]


@pytest.mark.parametrize("box", BOXES)
def test_a_box_has_the_scores_of_bins_over_its_cells(run, model, box):
    look = model.predict(PHOTOGRAPH)
    feature_map = look.feature_maps[0].numpy()[0]
    # Against the layers of the network itself, too: what is kept is its map.
    trunk = model_parts.split_model(run[1]).trunk
    pixels = decoded(PHOTOGRAPH)[np.newaxis].astype("float32")
    np.testing.assert_allclose(feature_map, np.asarray(trunk(pixels))[0], rtol=1e-4, atol=1e-5)
    cells = window_of_box(box, 16, 14, *feature_map.shape[:2])
    answer = model.predict_box(look, box)
    check_scores(answer["scores"], dense(run[1], window_pyramid(feature_map, cells, (2, 1), "max")))
    assert answer["cells"] == [cells[2] - cells[0], cells[3] - cells[1]]


@pytest.mark.parametrize("file", [PHOTOGRAPH, LARGE], ids=["as it is", "scaled down"])
def test_a_box_has_the_scores_of_the_network_for_boxes(run, model, file):
    look = model.predict(file)
    window = np.array((41.0, 22.0, 120.0, 79.0))
    box = window * look.decoded_size[0] / look.size[0]
    pixels = bilinear(decoded(file), look.decoded_size) if file is LARGE else decoded(file)
    inputs = {"images": pixels[np.newaxis].astype("float32"), "boxes": box[np.newaxis, np.newaxis]}
    expected = np.asarray(zoo.with_boxes(run[1])(inputs))[0, 0]
    found = by_label(model.predict_box(look, window)["scores"])
    # The larger one is scaled by a filter that averages, which the oracle does not.
    tolerance = 2e-2 if file is LARGE else 1e-5
    np.testing.assert_allclose([found[label] for label in LABELS], expected, atol=tolerance)


def test_a_box_is_answered_from_the_feature_map_without_a_convolution(tmp_path):
    make_run(tmp_path, longest_side=160)
    run = RunFolder(tmp_path)
    view = classifier_view.ClassifierView(run)
    result = view.predict(PHOTOGRAPH)
    before = view.predict_box(result, (10, 10, 90, 90))["scores"]
    for layer in run.model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(0 * layer.kernel)
    assert view.predict_box(result, (10, 10, 90, 90))["scores"] == before
    assert view.predict_box(view.predict(PHOTOGRAPH), (10, 10, 90, 90))["scores"] != before


@pytest.mark.parametrize("shape", [(40, 1000), (1000, 40), (20, 25)], ids=str)
def test_what_would_be_too_thin_for_the_network_is_seen_larger(model, shape):
    file = encoded(photograph(*shape))
    look = model.predict(file)
    assert min(look.decoded_size) == 29
    assert look.decoded_size[0] / look.decoded_size[1] == pytest.approx(
        shape[0] / shape[1], rel=0.02
    )
    window = model.predict_box(look, (0, 0, shape[1], shape[0]))
    whole = by_label(look.values["whole"]["scores"])
    assert by_label(window["scores"]) == pytest.approx(whole, rel=1e-4)
    assert len(whole) == len(LABELS)


def test_a_cmyk_jpeg_is_seen_in_its_colors(model):
    cmyk, plain = (
        by_label(model.predict(USABLE[kind][0]).values["whole"]["scores"])
        for kind in ("CMYK JPEG", "JPEG")
    )
    assert cmyk == pytest.approx(plain, abs=0.05)


@pytest.mark.parametrize("case", sorted(UNUSABLE))
def test_what_cannot_be_used_is_said_with_what_to_do(model, case):
    with pytest.raises(
        image_decoding.UnusableImage, match=r"^The file .*[;:] (send|take|conv|scale|cut).*\.$"
    ):
        model.predict(UNUSABLE[case][0])


@pytest.mark.parametrize("kind", sorted(GIGAPIXEL))
def test_pixels_are_counted_in_the_header(model, kind):
    with pytest.raises(
        image_decoding.UnusableImage, match=r"has 40000x40000 pixels, more than 200000; sca"
    ):
        model.predict(GIGAPIXEL[kind])


def test_the_last_photographs_are_kept_and_no_more_memory_than_agreed(model):
    files = [encoded(photograph(60, 80 + i)) for i in range(4)]
    one = model.predict(files[0]).bytes
    assert one == 4 * model.predict(files[0]).feature_maps[0].numpy().size
    whole = {"left": 0, "top": 0, "right": 80, "bottom": 60}

    def kept(page):
        numbers = [page.predict(file)["id"] for file in files[:3]]
        page.predict_box(numbers[0], whole) if page is not small else None
        numbers.append(page.predict(files[3])["id"])
        found = []
        for number in numbers:
            try:
                found.append(bool(page.predict_box(number, whole)["scores"]))
            except session.UnknownImage:
                found.append(False)
        return found

    small = session.Session(model, max_bytes=one // 2)
    assert kept(small) == [False, False, False, True]
    # What was asked about last stays.
    assert kept(session.Session(model, cache_size=3)) == [True, False, True, True]


def test_a_network_without_pyramid_is_refused(tmp_path):
    make_run(
        tmp_path,
        recipes.Recipe(
            model="zf5", width=0.0625, size_policy="fixed", image_sizes=(96,), levels=(1,)
        ),
    )
    with pytest.raises(ValueError, match=r"`run` must be of a network with a pyramid.* zf5_spp"):
        classifier_view.ClassifierView(tmp_path)


def test_what_is_no_run_is_said_to_be_none(tmp_path):
    with pytest.raises(ValueError, match=r"`run` must be a run folder; recipe\.toml is missing"):
        session.load_session(tmp_path)
    with pytest.raises(ValueError, match=r"Received: run=.*gone"):
        session.load_session(tmp_path / "gone")
