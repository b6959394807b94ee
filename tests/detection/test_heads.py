import numpy as np
import pytest

from spp_keras.detection import compression, heads


def random_vectors(count, length):
    return np.random.default_rng(0).normal(size=(count, length)).astype("float32")


def test_smooth_l1_of_the_deltas_of_the_right_class():
    deltas = np.array([[0.05, 0.0, 0.4, 0.0], [9, 9, 9, 9]], "float32")
    targets = heads.box_targets(deltas, np.array([2, 0]), num_classes=3)
    outputs = np.zeros((2, 12), "float32")
    # By hand: 0.05 / 0.1 is quadratic, 0.4 / 0.2 linear; the background's do not count.
    np.testing.assert_allclose(heads.smooth_l1(targets, outputs), [0.125 + 1.5, 0], rtol=1e-6)
    outputs[0, 4:8] = [0.5, 0, 2, 0]
    outputs[0, :4] = 7
    np.testing.assert_allclose(heads.smooth_l1(targets, outputs), [0, 0], atol=1e-6)


def test_finalize_head_drops_the_background_and_the_spread_of_the_deltas(untrained):
    _, head = untrained
    finished = heads.finalize_head(head)
    vectors = random_vectors(7, head.input_shape[1])
    expected, (scores, deltas) = head(vectors, training=False), finished(vectors)
    np.testing.assert_allclose(scores, expected["probabilities"][:, 1:], rtol=1e-5)
    spread = np.tile([0.1, 0.1, 0.2, 0.2], 2)
    np.testing.assert_allclose(deltas, expected["deltas"] * spread, rtol=1e-4, atol=1e-7)


def test_make_trainable_inverts_finalize_head(trained):
    head = trained.detector.head
    back = heads.finalize_head(heads.make_trainable(head))
    vectors = random_vectors(5, back.input_shape[1])
    for a, b in zip(back(vectors), head(vectors), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_make_trainable_refuses_a_head_of_svms(trained):
    units = trained.head.get_layer("fc7").units
    svms = heads.build_linear_head(trained.head, (np.zeros((units, 2)), np.zeros(2)), None)
    with pytest.raises(ValueError, match=r"`head` must have probabilities and .* with svms"):
        heads.make_trainable(svms)


def test_truncate_dense_at_full_rank_is_the_layer_itself(trained):
    detector = trained.detector
    length, units = detector.head.layers[1].kernel.shape
    full = compression.truncate_dense(detector, (min(length, units), units))
    vectors = random_vectors(5, length)
    for a, b in zip(full.predict_rois(vectors), detector.predict_rois(vectors), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
