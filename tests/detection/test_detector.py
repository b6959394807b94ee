import keras
import moving_cells
import numpy as np
import oracles
import pytest
import scenes
import tensorflow as tf
from trained_detectors import make_detector

from spp_keras import zoo
from spp_keras.detection import Detections, Detector, RegionProposalNetwork, heads


def create_detector(network, **options):
    """A detector whose scores differ."""
    detector, head = make_detector(network, **options)
    layers = heads.get_dense_layers(heads.finalize_head(head))
    rng = np.random.default_rng(3)
    layers = [
        layer._replace(kernel=rng.normal(0, 2 / len(layer.kernel) ** 0.5, layer.kernel.shape))
        if layer.name in ("probabilities", "deltas")
        else layer
        for layer in layers
    ]
    return detector.replace(head=heads.build_head(layers))


def small_rpn():
    return RegionProposalNetwork(8, anchor_sizes=(30, 60), max_proposals=30)


def detect_by_loops(detector, image, rois):
    """The detections by loops, with nothing of ours but the networks themselves."""
    height, width = image.shape[:2]
    best, vectors = [], []
    scaled = {}
    for scale in detector.scales:
        size = [int(side * scale / min(height, width) + 0.5) for side in (height, width)]
        pixels = tf.image.resize(image[np.newaxis], size)
        scaled[scale] = size, detector.trunk(pixels)[0].numpy()
    for box in rois:
        area = (box[2] - box[0]) * (box[3] - box[1])
        distances = []
        for scale in detector.scales:
            factors = [a / b for a, b in zip(scaled[scale][0], (height, width), strict=True)]
            distances.append(abs(area * factors[0] * factors[1] - detector.input_size**2))
        size, feature_map = scaled[detector.scales[int(np.argmin(distances))]]
        factors = np.array([size[1] / width, size[0] / height] * 2, "float32")
        first_centers = [detector.grid.at(side).first_center for side in size]
        window = oracles.window_of_box(
            box * factors, detector.grid.stride, first_centers, *feature_map.shape[:2]
        )
        levels = detector.roi_spp.levels
        vectors.append(oracles.window_pyramid(feature_map, window, levels, "max"))
    scores, deltas = (part.numpy() for part in detector.head(np.array(vectors)))
    for box, box_scores, moves in zip(rois, scores, deltas, strict=True):
        for label, score in enumerate(box_scores):
            if score > detector.score_threshold:
                dx, dy, dw, dh = moves[4 * label : 4 * label + 4]
                w, h = box[2] - box[0], box[3] - box[1]
                x, y = (box[0] + box[2]) / 2 + dx * w, (box[1] + box[3]) / 2 + dy * h
                w, h = w * np.exp(dw), h * np.exp(dh)
                edges = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
                edges = np.clip(edges, 0, [width, height] * 2)
                if edges[2] > edges[0] and edges[3] > edges[1]:
                    best.append((score, label, edges))
    candidates = Detections(
        np.array([box for _, _, box in best]),
        np.array([score for score, _, _ in best]),
        np.array([label for _, label, _ in best]),
    )
    kept = oracles.suppression(candidates, detector.iou_threshold)[: detector.max_detections]
    return Detections(*(part[kept] for part in candidates[:3]))


def list_detections(outputs, item=0):
    """Boxes, scores and classes of an image; what is behind them is empty."""
    count = int(outputs["count"][item])
    for name, filling in (("boxes", 0), ("scores", 0), ("classes", -1)):
        assert (outputs[name][item, count:] == filling).numpy().all()
    return [outputs[name][item, :count].numpy() for name in ("boxes", "scores", "classes")]


@pytest.mark.parametrize("scales", [(120,), (90, 120, 200)])
@pytest.mark.parametrize("size", [(100, 150), (61, 40)])
def test_detections_are_those_of_loops(network, scales, size):
    detector = create_detector(network, scales=scales)
    image, rois = scenes.random_image(*size), scenes.random_boxes(40, *size)
    expected = detect_by_loops(detector, image, rois)
    assert len(expected.scores) > 5
    boxes, scores, classes = list_detections(detector((image[np.newaxis], rois[np.newaxis])))
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(boxes, expected.boxes, atol=1e-2)
    np.testing.assert_array_equal(classes, expected.classes)


@pytest.mark.parametrize("size", [(100, 150), (61, 40)])
def test_detections_on_cells_that_move_with_the_size_are_those_of_loops(size):
    detector = create_detector(moving_cells.make_small_network(), scales=(89, 120, 203))
    scaled = [detector.scale_image_size(size, scale).numpy() for scale in detector.scales]
    firsts = [moving_cells.first_center_of_small_network(n) for n in np.concatenate(scaled)]
    assert [detector.grid.at(int(n)).first_center for n in np.concatenate(scaled)] == firsts
    assert len(set(firsts)) > 2
    image, rois = scenes.random_image(*size), scenes.random_boxes(40, *size)
    expected = detect_by_loops(detector, image, rois)
    assert len(expected.scores) > 5
    boxes, scores, classes = list_detections(detector((image[np.newaxis], rois[np.newaxis])))
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(boxes, expected.boxes, atol=1e-2)
    np.testing.assert_array_equal(classes, expected.classes)


def test_a_roi_of_a_training_image_gives_the_training_feature_map():
    network = zoo.zf5_spp(classes=3, width=0.0625, levels=(2, 1))
    detector, _ = make_detector(network, scales=(224,), input_size=224)
    image = scenes.random_image(224, 224)
    feature_maps = detector.compute_feature_maps(tf.constant(image))
    assert feature_maps[0].shape[1:3] == (13, 13)
    roi = tf.constant([[0.0, 0.0, 224.0, 224.0]])
    vectors, _ = detector.pool_rois(feature_maps, roi, tf.constant([224, 224]))
    pooled = keras.Model(network.input, network.get_layer("spp").output)(image[np.newaxis])
    np.testing.assert_array_equal(vectors, pooled)


def test_detections_do_not_depend_on_the_batch(network):
    detector = create_detector(network, scales=(90, 120), rpn=small_rpn())
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
            for a, b in zip(
                list_detections(together, item), list_detections(detector(one)), strict=True
            ):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


def test_boxes_without_area_are_ignored(network):
    detector = create_detector(network, scales=(90, 120))
    image, boxes = scenes.random_image(80, 100), scenes.random_boxes(5, 80, 100)
    empty = [[0, 0, 0, 0], [30, 40, 30, 60], [200, 10, 220, 20], [-9, -9, -1, -1]]
    padded = np.concatenate([boxes, np.array(empty, "float32")])
    expected = list_detections(detector((image[None], boxes[None])))
    for a, b in zip(list_detections(detector((image[None], padded[None]))), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "boxes",
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
def test_boxes_can_be_anywhere(network, boxes):
    detector = create_detector(network, scales=(90, 120))
    boxes = np.array(boxes, "float32").reshape(1, -1, 4)
    _, scores, _ = list_detections(detector((scenes.random_image(80, 100)[None], boxes)))
    assert len(scores) <= 2 * boxes.shape[1]
    assert (len(scores) > 0) == (boxes.shape[1] > 0)


@pytest.mark.integration
def test_twenty_thousand_boxes(network):
    detector = create_detector(network, scales=(120,))
    boxes = scenes.random_boxes(20_000, 80, 100)
    inputs = scenes.random_image(80, 100)[None], boxes[None]
    _, scores, _ = list_detections(detector(inputs))
    # Neighbors are suppressed, so there are no hundred.
    assert 0 < len(scores) <= 100
    assert np.all(np.diff(scores) <= 0)


def test_rois_on_the_same_cells_are_pooled_once(network):
    detector = create_detector(network, scales=(120,))
    rois = np.array([[10, 10, 60, 60], [10.5, 10, 60, 60], [70, 10, 90, 60]], "float32")
    feature_maps = detector.compute_feature_maps(tf.constant(scenes.random_image(80, 100)))
    vectors, rows = detector.pool_rois(feature_maps, tf.constant(rois), tf.constant([80, 100]))
    assert len(vectors) == 2
    assert rows[0] == rows[1] != rows[2]


@pytest.mark.parametrize("moving", [False, True])
def test_a_saved_detector_gives_the_same_detections(network, moving, tmp_path):
    network = moving_cells.make_small_network() if moving else network
    detector = create_detector(network, scales=(90, 120), rpn=small_rpn())
    detector.save(tmp_path / "detector.keras")
    loaded = keras.models.load_model(tmp_path / "detector.keras")
    assert isinstance(loaded, Detector)
    assert loaded.grid == detector.grid
    assert (loaded.labels, loaded.scales, loaded.input_size) == (scenes.CLASSES, (90, 120), 48)
    image = scenes.random_image(80, 100)[None]
    for inputs in (image, (image, scenes.random_boxes(9, 80, 100)[None])):
        for name, expected in detector(inputs).items():
            np.testing.assert_array_equal(loaded(inputs)[name], expected)


def test_a_detector_of_0_1_is_refused_with_the_remedy(network):
    config = create_detector(network).get_config()
    config["most"] = config.pop("max_detections")
    with pytest.raises(ValueError, match=r"saved by spp_keras 0\.1.*has to be trained again"):
        Detector.from_config(config)


@pytest.mark.integration
def test_predict_takes_pairs_and_dictionaries(network):
    detector = create_detector(network, scales=(120,))
    images = np.stack([scenes.random_image(80, 100, seed) for seed in (1, 2, 3)])
    windows = np.stack([scenes.random_boxes(9, 80, 100, seed) for seed in (1, 2, 3)])
    expected = detector((images, windows))
    for inputs in ((images, windows), {"images": images, "boxes": windows}):
        for name, value in detector.predict(inputs, batch_size=2, verbose=0).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("box", [[50, 10, 20, 60], [10, 60, 20, 10], [np.nan, 0, 5, 5]])
def test_a_box_that_is_inverted_or_not_finite_is_refused(network, box):
    detector = create_detector(network, scales=(120,))
    boxes = np.array([[[0, 0, 9, 9], box]], "float32")
    with pytest.raises(tf.errors.InvalidArgumentError, match="`boxes` must be finite"):
        detector((scenes.random_image(80, 100)[None], boxes))


def test_a_detector_without_rpn_needs_boxes(network):
    with pytest.raises(ValueError, match="`boxes` must be given"):
        create_detector(network)(scenes.random_image(80, 100)[None])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ("one",)}, "`labels` must name the 2 classes"),
        ({"scales": ()}, "`scales` must be a non-empty sequence"),
        ({"scales": (10,)}, "`scales` must be an int >= 29"),
        ({"input_size": 0}, "`input_size` must be an int >= 1"),
        ({"iou_threshold": 1.5}, "`iou_threshold` must be a number in"),
        ({"max_detections": 0}, "`max_detections` must be an int >= 1"),
    ],
)
def test_wrong_arguments_are_named(network, options, message):
    detector = create_detector(network)
    with pytest.raises(ValueError, match=message):
        detector.replace(**options)
