"""Detectors made of others."""

from typing import Any

import keras

from spp_keras.detection import heads
from spp_keras.detection.detector import Detector
from spp_keras.zoo.model_parts import ModelParts


def create_detector(
    halves: ModelParts, labels: tuple[str, ...], kind: type[Detector] = Detector, **options: Any
) -> tuple[Detector, keras.Model]:
    """A detector of a network, with a head that is still to be trained, and that head.

    Args:
        halves: The network, see `spp_keras.zoo.model_parts.split_model`.
        labels: Name of each class.
        kind: `Detector` or `RegionDetector`. Defaults to `Detector`.
        **options: See `Detector`.
    """
    head = heads.build_softmax_head(halves, len(labels))
    detector = kind(
        halves.trunk,
        heads.finalize_head(head),
        labels=labels,
        grid=halves.grid,
        levels=halves.pooling.levels,
        mode=halves.pooling.mode,
        **options,
    )
    return detector, head


def replace_parts(detector: Detector, **changes: Any) -> Detector:
    """The same detector but for some of its arguments; what is the same is shared.

    Args:
        detector: The detector.
        **changes: New values of arguments of `Detector`.
    """
    names: tuple[str, ...] = ("trunk", "head", "labels", "grid", "scales", "input_size")
    names += ("rpn", "iou_threshold", "score_threshold", "max_detections")
    arguments = {name: getattr(detector, name) for name in names}
    arguments |= {"levels": detector.roi_spp.levels, "mode": detector.roi_spp.mode}
    return type(detector)(**arguments | changes)
