"""A small detector, the training of its head and its mean average precision."""

import keras
from scenes import CLASSES

from spp_keras import zoo
from spp_keras.detection import Detector, evaluation, head_training, heads
from spp_keras.detection.feature_cache import FeatureMapCache
from spp_keras.detection.roi_features import RoIFeatures
from spp_keras.metrics import evaluate_voc

HEAD_OPTIONS = {"epochs": 8, "rois_per_image": 16, "learning_rate": 0.05, "seed": 3}


def make_network(width=0.0625):
    return zoo.zf5_spp(classes=3, width=width, levels=(2, 1), dropout=0.0)


def make_detector(network, **options):
    """A detector of random weights, and its head that is still to be trained."""
    head = heads.build_softmax_head(network, len(CLASSES))
    options = {"scales": (120,), "input_size": 48, **options}
    return Detector.from_network(
        network, heads.finalize_head(head), labels=CLASSES, **options
    ), head


class TrainedHead:
    """A network, a head that was trained on it, and the detector that it makes."""

    def __init__(self, network, images, folder):
        self.network = network
        keras.utils.set_random_seed(3)
        untrained, self.head = make_detector(network)
        self.cache = FeatureMapCache(untrained, images, folder)
        self.features = RoIFeatures(self.cache)
        self.history = head_training.train_head(
            self.head, self.features, folder / "last.npz", **HEAD_OPTIONS
        )
        self.detector = untrained.replace(head=heads.finalize_head(self.head))


def measure_map(detector, cache):
    """Mean average precision of a detector on the images of a cache."""
    detections = evaluation.detect_images(detector, cache, progress=False)
    loaded = cache.images.records
    return evaluate_voc(detections, loaded.objects, loaded.sizes, loaded.classes).mean
