import keras
import numpy as np
import pytest
import scenes
import tensorflow as tf

from spp_keras import geometry, ops
from spp_keras.detection import RegionProposalNetwork, rpn_training


def test_anchors_lie_about_the_centers_of_cells():
    rpn = RegionProposalNetwork(8, anchor_sizes=(32,), aspect_ratios=(1.0, 4.0))
    anchors = rpn.anchors(2, 3, geometry.CellGrid(16, 14))
    assert anchors.shape == (12, 4)
    # Cell (1, 2), by hand: centered on pixels 30 and 46, whose centers are at 30.5 and 46.5.
    np.testing.assert_allclose(anchors[10], [30.5, 14.5, 62.5, 46.5])
    np.testing.assert_allclose(anchors[11], [38.5, -1.5, 54.5, 62.5])


def test_anchors_move_with_the_size_of_the_image():
    rpn, grid = RegionProposalNetwork(8, anchor_sizes=(32,)), geometry.CellGrid(16, 14)
    moving = geometry.CellGrid(16, 15, 2, shifts=(0, -1))
    for image_size, move in [((64, 64), (1, 1)), ((63, 64), (1, 0)), ((65, 33), (0, 0))]:
        expected = rpn.anchors(2, 3, grid).numpy() + np.array([*move, *move])
        anchors = rpn.anchors(2, 3, moving, np.array(image_size))
        np.testing.assert_allclose(anchors, expected)
    with pytest.raises(ValueError, match="`image_sizes` must be given for a grid with `shifts`"):
        rpn.anchors(2, 3, moving)


def test_proposals_are_in_the_image_and_apart(untrained):
    rpn = RegionProposalNetwork(8, anchor_sizes=(30, 60), max_proposals=20, iou_threshold=0.7)
    detector = untrained[0].replace(rpn=rpn)
    feature_maps = detector.compute_feature_maps(tf.constant(scenes.random_image(80, 100)))
    proposals = detector.propose(feature_maps, tf.constant([80, 100])).numpy()
    assert 0 < len(proposals) <= 20
    assert (proposals >= 0).all()
    assert (proposals <= np.array([100, 80, 100, 80]) + 1e-3).all()
    iou = ops.box_iou(proposals, proposals) - np.eye(len(proposals))
    assert iou.max() <= 0.7 + 1e-4


def test_a_trained_rpn_proposes_the_objects(trained, validation_cache):
    keras.utils.set_random_seed(0)
    rpn = RegionProposalNetwork(16, anchor_sizes=(12, 24, 48), max_proposals=30)
    rpn_training.train_rpn(rpn, trained.cache, epochs=12, learning_rate=5e-3, progress=False)
    detector, iou = trained.detector.replace(rpn=rpn), []
    for index in range(len(validation_cache)):
        image = validation_cache.images[index]
        boxes = detector.propose(validation_cache[index], np.array(image.size, "int32"))
        iou.append(ops.box_iou(boxes, image.gt_boxes).max(axis=0))
    assert (np.concatenate(iou) >= 0.4).mean() >= 0.6
