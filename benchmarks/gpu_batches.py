"""Plans the batches of `gpu.py`, for machines that have no TensorFlow.

python benchmarks/gpu_batches.py                    # benchmarks/gpu_batches.json
python benchmarks/gpu_batches.py --output batches.json
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from packing_cases import draw_photographs, draw_shapes

from spp_keras import _files
from spp_keras.models.graph_run import find_canvas_rules
from spp_keras.packing import plan_canvases
from spp_keras.zoo import zf5_spp


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the sizes and the places on canvases of every batch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).with_suffix(".json"),
        help="default: benchmarks/gpu_batches.json",
    )
    output = parser.parse_args(arguments).output
    rules = find_canvas_rules(zf5_spp(12, width=0.02))
    sizes_by_name = {
        "tiny, to try the command": np.maximum(draw_shapes(4) // 6, 32),
        "16 of `shapes`": draw_shapes(16),
        "64 of `shapes`": draw_shapes(64, seed=1),
        "64 photographs around 375x500": draw_photographs(64, None),
    }
    batches = {name: _plan_batch(sizes, rules) for name, sizes in sizes_by_name.items()}
    _files.write_file(output, json.dumps(batches) + "\n")
    print(output)
    return 0


def _plan_batch(sizes: np.ndarray, rules: Any) -> dict[str, Any]:
    layout = plan_canvases(sizes, rules)
    return {
        "canvases": [int(layout.canvases), int(layout.height), int(layout.width)],
        "placements": layout.placements.numpy().tolist(),
    }


if __name__ == "__main__":
    sys.exit(main())
