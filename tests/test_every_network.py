"""Whatever networks of the paper can do, every other network can do as well.

One small run of each kind passes through every door that takes a run.
"""

import json

import numpy as np
import photographs
import pytest
import scenes
import tensorflow as tf

import spp_keras
from spp_keras import cli, recipes, zoo
from spp_keras.app import session
from spp_keras.evaluation import protocols

pytestmark = pytest.mark.integration

CLASSES = ("cat", "dog", "red car")
SIZES = [(74, 111), (130, 70), (90, 95), (101, 64)]
NETWORKS = {
    "zf5_spp": {"width": 0.0625, "levels": (3, 1)},
    "MobileNetV3Small": {"width": 0.25, "levels": (2, 1), "mode": "max", "units": (8,)},
    "efficientnet_lite0": {"width": 0.125, "levels": (1,), "mode": "average"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "validation"):
        for label, name in enumerate(CLASSES):
            for number, size in enumerate(SIZES):
                path = folder / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture = photographs.photograph(*size, seed=10 * label + number)
                path.write_bytes(photographs.encoded(picture))
    return folder


@pytest.fixture(scope="module", params=list(NETWORKS))
def run(request, data, tmp_path_factory):
    """A run that two epochs on twelve images trained."""
    output = tmp_path_factory.mktemp("runs") / request.param
    recipe = recipes.Recipe(
        model=request.param,
        **NETWORKS[request.param],
        data=str(data),
        size_policy="native",
        batch_size=4,
        epochs=2,
        learning_rate=0.01,
    )
    return spp_keras.train(recipe, output)


@pytest.fixture(scope="module")
def image(data):
    return (data / "validation" / "cat" / "0.png").read_bytes()


def read_pixels(image):
    return tf.cast(tf.io.decode_png(image), "float32").numpy()


def test_recipe(run):
    assert [row["epoch"] for row in run.history] == [1, 2]
    again = recipes.read_recipe(run / "recipe.toml")
    assert again == run.recipe
    assert again.has_pyramid


def test_prediction_is_the_model_s(run, image):
    prediction = run.predict(image)
    scores = run.model(read_pixels(image)[None]).numpy()[0]
    expected = sorted(zip(scores, CLASSES, strict=True), reverse=True)
    assert prediction.labels == tuple(label for _, label in expected)
    np.testing.assert_allclose(prediction.scores, [score for score, _ in expected], rtol=1e-5)


def test_scores_do_not_depend_on_the_batch(run, data):
    images = [
        tf.cast(tf.io.decode_png(path.read_bytes()), "float32")
        for path in sorted((data / "validation").rglob("*.png"))
    ]
    together = run.model.predict(tf.ragged.stack(images), verbose=0)
    alone = np.concatenate([run.model(x[None]) for x in images])
    np.testing.assert_allclose(together, alone, atol=2e-6)


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
def test_views(run, image, protocol):
    scorer = protocols.Scorer(run.model, protocol, view_size=48)
    scores = scorer.score_views(image)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    if protocol == "10-view":
        return
    if protocol in ("96-view", "96-view+full"):
        assert len(scores) == {"96-view": 96, "96-view+full": 98}[protocol]
    assert np.isfinite(scores).all()


def test_the_view_of_the_whole_map_is_the_whole_image(run, image):
    score = protocols.Scorer(
        run.model, "96-view+full", view_size=48, whole=spp_keras.data.Whole(longest_side=1024)
    )
    whole = score.score_views(image)[-2]
    np.testing.assert_allclose(whole, run.model(read_pixels(image)[None])[0], atol=1e-5)


def test_evaluation(run, tmp_path):
    results = spp_keras.evaluate(run.path, ["full", "10-view-map"], view_size=48, output=tmp_path)
    assert [row["protocol"] for row in results["rows"]] == ["full", "10-view-map"]


def test_features_and_svm(run, tmp_path):
    arguments = ["--protocol", "svm", "--layer", "spp", "--short-side", "64"]
    arguments += ["--per-class", "4,2", "--output", str(tmp_path), "--json"]
    assert cli.main(["evaluate", str(run.path), *arguments]) == 0
    results = json.loads((tmp_path / "svm.json").read_text())
    assert results["rows"][0]["length"] == run.model.get_layer("spp").output.shape[-1]


def test_boxes_are_pooled_as_images_are(run, image):
    pixels = read_pixels(image)
    height, width = pixels.shape[:2]
    model = zoo.with_boxes(run.model)
    boxes = np.array([[[0, 0, width, height], [9, 12, 60, 70]]], "float32")
    scores = model({"images": pixels[None], "boxes": boxes}).numpy()[0]
    np.testing.assert_allclose(scores[0], run.model(pixels[None])[0], atol=1e-5)
    assert np.abs(scores[1] - scores[0]).max() > 0


def test_detector(run, tmp_path, image):
    voc, rng = tmp_path / "voc", np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        scenes.write_voc(voc, split, [scenes.scene(rng) for _ in range(count)])
    detector = spp_keras.train_detector(
        run,
        tmp_path / "detector",
        data=str(voc),
        scales=(90, 120),
        input_size=48,
        epochs=1,
        progress=False,
    )
    detections = detector.predict(voc / "JPEGImages" / "val_0.jpg", score_threshold=0.0)
    assert detections.error is None
    saved = spp_keras.export_model(detector, tmp_path / "models" / "detector")
    served = spp_keras.load_detector(saved)(voc / "JPEGImages" / "val_0.jpg")
    assert served.error is None
    lite = spp_keras.export_model(detector, tmp_path / "detector.tflite")
    assert lite.stat().st_size > 1000


@pytest.mark.parametrize("name", ["saved_models/network", "network.tflite"])
def test_export_answers_as_the_run(run, tmp_path, image, name):
    path = spp_keras.export_model(run, tmp_path / name)
    prediction, expected = spp_keras.load_predictor(path)(image), run.predict(image)
    assert prediction.labels == expected.labels
    np.testing.assert_allclose(prediction.scores, expected.scores, atol=1e-5)


def test_report(run):
    assert cli.main(["report", str(run.path), "--images", "6"]) == 0
    page = (run / "report.html").read_text()
    assert "What the pyramid sees" in page
    assert f"{run.recipe.model}" in page


def test_page(run, image):
    page = session.load_session(run)
    result = page.predict(image)
    expected = run.predict(image)
    assert result["whole"]["scores"][0]["label"] == expected.labels[0]
    edges = {"left": 9, "top": 12, "right": 60, "bottom": 70}
    box = page.predict_box(result["id"], edges)
    inputs = {"images": read_pixels(image)[None], "boxes": np.array([[[9, 12, 60, 70]]], "f4")}
    scores = zoo.with_boxes(run.model)(inputs).numpy()[0, 0]
    found = {row["label"]: row["score"] for row in box["scores"]}
    np.testing.assert_allclose([found[label] for label in CLASSES], scores, atol=1e-5)
