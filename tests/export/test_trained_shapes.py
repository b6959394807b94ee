import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

AGREEMENT = Path(__file__).parents[2] / "benchmarks" / "serving_agreement.py"
# How far scores may be, and how many images must have the class that the network gives them.
BOUNDS = {
    "SavedModel": (1e-5, 1.0),
    "TFLite, float32": (1e-4, 1.0),
    "TFLite, float16": (1e-2, 0.995),
    "TFLite, dynamic": (0.1, 0.98),
    "TFLite, int8": (0.1, 0.98),
}


def test_what_is_exported_from_a_training_agrees_with_its_network(drawn_shapes):
    done = subprocess.run(
        [sys.executable, AGREEMENT, "zf5_spp/shapes"],
        check=True,
        timeout=600,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TFDS_DATA_DIR": drawn_shapes},
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [row["name"] for row in rows] == list(BOUNDS)
    for row in rows:
        difference, same = BOUNDS[row["name"]]
        assert row["largest difference"] <= difference, row
        assert row["same class"] >= same, row
