"""The outputs of spp_keras 0.1.1 that later versions must give.

`outputs_0_1_1.npz` was made by the code of this folder as it was at commit 02e41da, from
spp_keras 0.1.1 at commit dc8fe71. It is never made again from later code: where an output
differs, the code is wrong. What later code calls by another name goes into `old_names.py`.
The names of the outputs stay as they are in the file. `zf5_spp_0_1_1.weights.h5` is a network
of 0.1.1 with the same weights.

Large outputs are stored as their first values and some sums.
"""

import functools

import numpy as np
from frozen import (
    data_outputs,
    detection_outputs,
    evaluation_outputs,
    export_outputs,
    geometry_outputs,
    layer_outputs,
    network_outputs,
)

MAX_FLOATS, MAX_INTEGERS, NUM_FIRST = 60, 1000, 32

SUBJECTS = {
    "fixed networks": network_outputs.compute_fixed_networks,
    **{
        f"{name} spp": functools.partial(network_outputs.compute_spp_network, f"{name}_spp")
        for name in network_outputs.NETWORKS
    },
    "networks without top": network_outputs.compute_networks_without_top,
    "network options": network_outputs.compute_network_options,
    "full width": network_outputs.compute_full_width,
    "backbone classifier": network_outputs.compute_backbone_classifier,
    "with boxes": network_outputs.compute_with_boxes,
    "pyramid pooling": layer_outputs.compute_pyramid_pooling,
    "roi pyramid pooling": layer_outputs.compute_roi_pyramid_pooling,
    "windows to cells": layer_outputs.compute_windows,
    "local response normalization": layer_outputs.compute_local_response_normalization,
    "masks": layer_outputs.compute_masks,
    "bins and cells": geometry_outputs.compute_bins_and_cells,
    "views": geometry_outputs.compute_views,
    "size policies": geometry_outputs.compute_size_policies,
    "recipes": geometry_outputs.compute_recipes,
    "one image": data_outputs.compute_one_image,
    "batches": data_outputs.compute_batches,
    "detector": detection_outputs.compute_detector,
    "box arithmetic": detection_outputs.compute_box_arithmetic,
    "metrics": evaluation_outputs.compute_metrics,
    "testing protocols": evaluation_outputs.compute_testing_protocols,
    "learning rates": evaluation_outputs.compute_learning_rates,
    "exported classifier": export_outputs.compute_exported_classifier,
    "exported detector": export_outputs.compute_exported_detector,
    "tflite": export_outputs.compute_tflite,
}


def summarize(name, value):
    """An array as it is stored: all of it, or its first values and sums over all values."""
    value = np.asarray(value)
    if value.dtype.kind in "OSU":
        return {name: value.astype("S")}
    is_float = value.dtype.kind == "f"
    if value.size <= (MAX_FLOATS if is_float else MAX_INTEGERS):
        return {name: value}
    flat = value.ravel().astype("float64" if is_float else "int64")
    indices = np.arange(flat.size)
    weights = np.cos(indices) if is_float else indices % 1009
    sums = np.array([flat.sum(), np.abs(flat).sum(), flat @ weights])
    name = f"{name}, {'x'.join(map(str, value.shape))}"
    return {f"{name}, first": value.ravel()[:NUM_FIRST], f"{name}, sums": sums}


def compute(subject):
    """The outputs of a subject by their names in the file."""
    outputs = {}
    for name, value in SUBJECTS[subject]().items():
        outputs |= summarize(f"{subject}: {name}", value)
    return outputs
