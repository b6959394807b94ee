import json
import zipfile

import keras
import numpy as np
import oracles
import pytest
import scenes
import tensorflow as tf

from spp_keras import ops, zoo
from spp_keras.detection import (
    Detector,
    RegionDetector,
    RegionProposalNetwork,
    boxes,
    heads,
    variants,
)
from spp_keras.zoo import model_parts


def made(halves, **options):
    """A detector whose scores differ."""
    detector, head = variants.create_detector(halves, scenes.CLASSES, side=48, **options)
    layers = heads.get_dense_layers(heads.finalize_head(head))
    rng = np.random.default_rng(3)
    layers = [
        layer._replace(kernel=rng.normal(0, 2 / len(layer.kernel) ** 0.5, layer.kernel.shape))
        if layer.name in ("probabilities", "deltas")
        else layer
        for layer in layers
    ]
    return variants.replace_parts(detector, head=heads.build_head(layers))


def literal(detector, image, windows):
    """The detector's answer by loops, with nothing of ours but the networks themselves."""
    height, width = image.shape[:2]
    best, vectors = [], []
    scaled = {}
    for scale in detector.scales:
        size = [int(side * scale / min(height, width) + 0.5) for side in (height, width)]
        pixels = tf.image.resize(image[np.newaxis], size)
        scaled[scale] = size, detector.trunk(pixels)[0].numpy()
    for box in windows:
        area = (box[2] - box[0]) * (box[3] - box[1])
        distances = []
        for scale in detector.scales:
            factors = [a / b for a, b in zip(scaled[scale][0], (height, width), strict=True)]
            distances.append(abs(area * factors[0] * factors[1] - detector.side**2))
        size, feature_map = scaled[detector.scales[int(np.argmin(distances))]]
        factors = np.array([size[1] / width, size[0] / height] * 2, "float32")
        window = oracles.window_of_box(
            box * factors, *detector.grid[:2], feature_map.shape[0], feature_map.shape[1]
        )
        levels = detector.roi_spp.levels
        vectors.append(oracles.window_pyramid(feature_map, window, levels, "max"))
    scores, deltas = (part.numpy() for part in detector.head(np.array(vectors)))
    for box, of_box, moves in zip(windows, scores, deltas, strict=True):
        for label, score in enumerate(of_box):
            if score > detector.score_threshold:
                dx, dy, dw, dh = moves[4 * label : 4 * label + 4]
                w, h = box[2] - box[0], box[3] - box[1]
                x, y = (box[0] + box[2]) / 2 + dx * w, (box[1] + box[3]) / 2 + dy * h
                w, h = w * np.exp(dw), h * np.exp(dh)
                edges = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
                edges = np.clip(edges, 0, [width, height] * 2)
                if edges[2] > edges[0] and edges[3] > edges[1]:
                    best.append((score, label, edges))
    found = boxes.Detections(
        np.array([box for _, _, box in best]),
        np.array([score for score, _, _ in best]),
        np.array([label for _, label, _ in best]),
    )
    kept = oracles.suppression(found, detector.iou_threshold)[: detector.most]
    return boxes.Detections(*(part[kept] for part in found))


def answer(found, item=0):
    count = int(found["count"][item])
    for name, filling in (("boxes", 0), ("scores", 0), ("classes", -1)):
        assert (found[name][item, count:] == filling).numpy().all()
    return [found[name][item, :count].numpy() for name in ("boxes", "scores", "classes")]


@pytest.mark.parametrize("scales", [(120,), (90, 120, 200)])
@pytest.mark.parametrize("size", [(100, 150), (61, 40)])
def test_the_answer_is_that_of_loops(halves, scales, size):
    detector = made(halves, scales=scales)
    image, windows = scenes.random_image(*size), scenes.random_boxes(40, *size)
    expected = literal(detector, image, windows)
    assert len(expected.scores) > 5
    found = answer(detector((image[np.newaxis], windows[np.newaxis])))
    np.testing.assert_allclose(found[1], expected.scores, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[0], expected.boxes, atol=1e-2)
    np.testing.assert_array_equal(found[2], expected.classes)


def test_the_window_of_a_training_image_gives_the_training_map(halves):
    network = zoo.zf5_spp(classes=3, width=0.0625, levels=(2, 1))
    halves = model_parts.split_model(network)
    detector, _ = variants.create_detector(halves, scenes.CLASSES, scales=(224,), side=224)
    image = scenes.random_image(224, 224)
    encoded = detector.encode(tf.constant(image))
    assert encoded[0].shape[1:3] == (13, 13)
    window = tf.constant([[0.0, 0.0, 224.0, 224.0]])
    vectors, _ = detector.pool(encoded, window, tf.constant([224, 224]))
    pooled = keras.Model(network.input, network.get_layer("spp").output)(image[np.newaxis])
    np.testing.assert_array_equal(vectors, pooled)


def test_an_answer_does_not_depend_on_the_batch(halves):
    detector = made(halves, scales=(90, 120), rpn=RegionProposalNetwork(8, sides=(30, 60), most=30))
    sizes = [(100, 150), (80, 60), (120, 50)]
    images = [scenes.random_image(*size, seed=i) for i, size in enumerate(sizes)]
    windows = [scenes.random_boxes(9 - i, *size, seed=i) for i, size in enumerate(sizes)]
    ragged = tf.ragged.stack([tf.RaggedTensor.from_tensor(i, ragged_rank=2) for i in images])
    for inputs, alone in (
        (
            (ragged, tf.ragged.stack(windows)),
            [(i[None], w[None]) for i, w in zip(images, windows, strict=True)],
        ),
        (ragged, [image[None] for image in images]),
    ):
        together = detector(inputs)
        for item, one in enumerate(alone):
            for a, b in zip(answer(together, item), answer(detector(one)), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


def test_boxes_without_area_find_nothing(halves):
    detector = made(halves, scales=(90, 120))
    image, windows = scenes.random_image(80, 100), scenes.random_boxes(5, 80, 100)
    nothing = [[0, 0, 0, 0], [30, 40, 30, 60], [200, 10, 220, 20], [-9, -9, -1, -1]]
    filled = np.concatenate([windows, np.array(nothing, "float32")])
    expected = answer(detector((image[None], windows[None])))
    for a, b in zip(answer(detector((image[None], filled[None]))), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "windows",
    [
        np.zeros((0, 4)),
        [[0, 0, 100, 80]],
        [[-50, -50, 500, 500]],
        [[99, 79, 100, 80]],
        [[0, 0, 1, 1]],
        [[0, 30, 1, 80]],
    ],
    ids=["none", "all", "more than all", "last pixel", "first pixel", "border"],
)
def test_any_windows_can_be_asked_for(halves, windows):
    detector = made(halves, scales=(90, 120))
    windows = np.array(windows, "float32").reshape(1, -1, 4)
    found = answer(detector((scenes.random_image(80, 100)[None], windows)))
    assert len(found[1]) <= 2 * windows.shape[1]
    assert (len(found[1]) > 0) == (windows.shape[1] > 0)


def test_twenty_thousand_windows(halves):
    detector = made(halves, scales=(120,))
    windows = scenes.random_boxes(20_000, 80, 100)
    found = answer(detector((scenes.random_image(80, 100)[None], windows[None])))
    # Neighbors are suppressed, so there are no hundred.
    assert 0 < len(found[1]) <= 100
    assert np.all(np.diff(found[1]) <= 0)


def test_windows_on_the_same_cells_are_pooled_once(halves):
    detector = made(halves, scales=(120,))
    windows = np.array([[10, 10, 60, 60], [10.5, 10, 60, 60], [70, 10, 90, 60]], "float32")
    encoded = detector.encode(tf.constant(scenes.random_image(80, 100)))
    vectors, rows = detector.pool(encoded, tf.constant(windows), tf.constant([80, 100]))
    assert len(vectors) == 2
    assert rows[0] == rows[1] != rows[2]


def test_a_saved_detector_answers_the_same(halves, tmp_path):
    detector = made(halves, scales=(90, 120), rpn=RegionProposalNetwork(8, sides=(30, 60), most=30))
    detector.save(tmp_path / "detector.keras")
    loaded = keras.models.load_model(tmp_path / "detector.keras")
    assert isinstance(loaded, Detector)
    assert (loaded.labels, loaded.scales, loaded.side) == (scenes.CLASSES, (90, 120), 48)
    image = scenes.random_image(80, 100)[None]
    for inputs in (image, (image, scenes.random_boxes(9, 80, 100)[None])):
        for name, expected in detector(inputs).items():
            np.testing.assert_array_equal(loaded(inputs)[name], expected)


def saved_with_gate(detector, path, gate):
    """As 0.1.0 saved every detector: with a gate in its configuration, mostly of `None`."""
    detector.save(path.with_name("new.keras"))
    with zipfile.ZipFile(path.with_name("new.keras")) as new, zipfile.ZipFile(path, "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["gate"] = gate
                content = json.dumps(config)
            old.writestr(name, content)
    return path


@pytest.mark.parametrize("kind", [Detector, RegionDetector])
def test_a_detector_that_was_saved_without_a_gate_is_loaded(halves, tmp_path, kind):
    detector, _ = variants.create_detector(halves, scenes.CLASSES, kind, side=64, scales=(120,))
    loaded = keras.models.load_model(saved_with_gate(detector, tmp_path / "old.keras", None))
    assert "gate" not in loaded.get_config()
    inputs = scenes.random_image(80, 100)[None], scenes.random_boxes(9, 80, 100)[None]
    for name, expected in detector(inputs).items():
        np.testing.assert_array_equal(loaded(inputs)[name], expected)


def test_a_detector_that_was_saved_with_a_gate_is_refused(halves, tmp_path):
    detector = made(halves, scales=(120,))
    gate = keras.saving.serialize_keras_object(detector.head)
    path = saved_with_gate(detector, tmp_path / "old.keras", gate)
    with pytest.raises(ValueError, match=r"of a detector without a gate.*Use spp_keras 0\.1\.0"):
        keras.models.load_model(path)


def test_predict_takes_pairs_and_dictionaries(halves):
    detector = made(halves, scales=(120,))
    images = np.stack([scenes.random_image(80, 100, seed) for seed in (1, 2, 3)])
    windows = np.stack([scenes.random_boxes(9, 80, 100, seed) for seed in (1, 2, 3)])
    expected = detector((images, windows))
    for inputs in ((images, windows), {"images": images, "boxes": windows}):
        for name, value in detector.predict(inputs, batch_size=2, verbose=0).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-4)


def test_proposed_windows_are_in_the_image_and_apart(halves):
    rpn = RegionProposalNetwork(8, sides=(30, 60), most=20, iou_threshold=0.7)
    detector = made(halves, scales=(120,), rpn=rpn)
    size = tf.constant([80, 100])
    encoded = detector.encode(tf.constant(scenes.random_image(80, 100)))
    windows = detector.proposals(encoded, size).numpy()
    assert 0 < len(windows) <= 20
    assert (windows >= 0).all()
    assert (windows <= np.array([100, 80, 100, 80]) + 1e-3).all()
    overlaps = ops.box_iou(windows, windows) - np.eye(len(windows))
    assert overlaps.max() <= 0.7 + 1e-4


def test_anchors_lie_about_the_centers_of_cells():
    anchors = RegionProposalNetwork(8, sides=(32,), aspects=(1.0, 4.0)).anchors(2, 3, zoo_grid())
    assert anchors.shape == (12, 4)
    # Cell (1, 2), by hand: centered on pixels 30 and 46, which are half a pixel wide on either side.
    np.testing.assert_allclose(anchors[10], [30.5, 14.5, 62.5, 46.5])
    np.testing.assert_allclose(anchors[11], [38.5, -1.5, 54.5, 62.5])


def zoo_grid():
    from spp_keras import geometry

    return geometry.CellGrid(16, 14)


@pytest.mark.parametrize("box", [[50, 10, 20, 60], [10, 60, 20, 10], [np.nan, 0, 5, 5]])
def test_a_box_that_is_none_is_refused(halves, box):
    detector = made(halves, scales=(120,))
    windows = np.array([[[0, 0, 9, 9], box]], "float32")
    with pytest.raises(tf.errors.InvalidArgumentError, match="`boxes` must be finite"):
        detector((scenes.random_image(80, 100)[None], windows))


def test_a_detector_without_proposer_needs_boxes(halves):
    with pytest.raises(ValueError, match="`boxes` must be given"):
        made(halves)(scenes.random_image(80, 100)[None])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ("one",)}, "`labels` must name the 2 classes"),
        ({"scales": ()}, "`scales` must be a non-empty sequence"),
        ({"scales": (10,)}, "`scales` must be an int >= 29"),
        ({"side": 0}, "`side` must be an int >= 1"),
        ({"iou_threshold": 1.5}, "`iou_threshold` must be a number in"),
        ({"most": 0}, "`most` must be an int >= 1"),
    ],
)
def test_wrong_arguments_are_named(halves, options, message):
    detector = made(halves)
    with pytest.raises(ValueError, match=message):
        variants.replace_parts(detector, **options)
