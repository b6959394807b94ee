"""A photograph of 48 megapixels, as phones take them, goes through every path as it is."""

import io

import keras
import numpy as np
import pytest
from PIL import Image
from small_runs import LABELS, make_run

from spp_keras import export, serving
from spp_keras.app import load_session
from spp_keras.data import Pipeline, Whole, load_records

SIZE = (6000, 8000)
BACK, MARK = (200, 120, 40), (20, 60, 220)


@pytest.fixture(scope="module")
def photo():
    """One color, with a mark in the lower right quarter, so that the file is small."""
    image = Image.new("RGB", SIZE[::-1], BACK)
    image.paste(MARK, (4000, 3000, 8000, 6000))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "pets"
    make_run(folder, longest_side=160)
    return folder


@pytest.fixture(scope="module")
def small():
    """The photograph at the size that the network sees."""
    pixels = np.full((120, 160, 3), BACK, "uint8")
    pixels[60:, 80:] = MARK
    return pixels


def test_it_is_loaded_for_training(photo, small, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "1.jpg").write_bytes(photo)
    records = load_records(tmp_path, "train", progress=False)
    assert records.sizes.tolist() == [list(SIZE)] * 2
    pipeline = Pipeline(records, Whole(longest_side=160), batch_size=1)
    images, _ = next(iter(pipeline.dataset()))
    pixels = (images["images"] if isinstance(images, dict) else images).numpy()[0]
    # But for the edges of the mark.
    differences = np.abs(pixels.astype(int) - small).max(axis=-1)
    assert (differences > 3).mean() < 0.05


@pytest.mark.parametrize("kind", ["run", pytest.param("SavedModel", marks=pytest.mark.integration)])
def test_it_is_predicted(kind, photo, small, run, tmp_path):
    path = run if kind == "run" else export.export_model(run, tmp_path / "models" / "pets")
    predict = serving.load_predictor(path)
    expected = dict(zip(predict(small).labels, predict(small).scores, strict=True))
    answer = predict(photo)
    assert answer.error is None
    assert dict(zip(answer.labels, answer.scores, strict=True)) == pytest.approx(expected, abs=0.1)


@pytest.mark.integration
def test_the_page_takes_it(photo, run):
    session = load_session(run)
    result = session.predict(photo)
    assert (result["height"], result["width"]) == SIZE
    assert result["decoded"] == {"height": 120, "width": 160}
    box = {"left": 0, "top": 0, "right": 4000, "bottom": 3000}
    assert len(session.predict_box(result["id"], box)["scores"]) == len(LABELS)


@pytest.mark.integration
def test_a_list_of_images_may_have_it(photo):
    images = keras.Input((None, None, 3))
    means = keras.layers.GlobalAveragePooling2D()(images)
    scores = serving.predict_images(keras.Model(images, means), [photo])
    expected = (0.75 * np.array(BACK) + 0.25 * np.array(MARK))[np.newaxis]
    np.testing.assert_allclose(scores, expected, atol=1)
