import json

import numpy as np
import pytest
import scenes

from spp_keras import run_folder
from spp_keras.detection import train_detector
from spp_keras.recipes import DetectorRecipe
from spp_keras.run_folder import RunFolder


def test_train_detector_writes_a_detector_and_its_metrics(voc, run_and_proposals, tmp_path):
    run, proposals = map(str, run_and_proposals)
    options = {"scales": (120,), "input_size": 48, "epochs": 2, "learning_rate": 0.05}
    recipe = DetectorRecipe(run=run, data=str(voc), proposals=proposals, **options)
    metrics = train_detector(recipe, tmp_path, progress=False)
    assert json.loads((tmp_path / run_folder.DETECTION_METRICS).read_text()) == metrics
    assert metrics["images"] == 6
    assert metrics["untrained"] == []
    assert set(metrics["voc_area"]["classes"]) == set(scenes.CLASSES)
    # There are no objects that COCO calls large.
    assert metrics["coco"]["APlarge"] is None
    assert metrics["coco"]["AP50"] == pytest.approx(metrics["voc_area"]["mean"], abs=0.05)
    detector = RunFolder(tmp_path).load_model()
    assert detector.labels == scenes.CLASSES
    assert detector.rpn is not None
    # The trunk is that of the network, unchanged.
    weights = {weight.path: weight.numpy() for weight in RunFolder(run).model.weights}
    for weight in detector.trunk.weights:
        np.testing.assert_array_equal(weight, weights[weight.path])
