"""Outputs of the layers."""

import numpy as np
import tensorflow as tf
from frozen import inputs

from spp_keras import layers
from spp_keras.conversion.placement_layers import CellPlacements, MaskCells

LEVELS = {"paper": (6, 3, 2, 1), "odd": (5, 3, 1), "pairs": ((2, 3), (7, 1), 4)}
MODES = ("max", "average")
# Stride, first center, excess of rounding up.
GRIDS = {"zf5": (16, 14, 0), "odd": (7, 2.5, 3), "one": (1, 0, 0)}
BOX_FORMATS = (
    "xyxy",
    "yxyx",
    "xywh",
    "center_xywh",
    "center_yxhw",
    "rel_xyxy",
    "rel_yxyx",
    "rel_xywh",
    "rel_center_xywh",
)


def compute_pyramid_pooling():
    maps = inputs.make_feature_maps(3, 11, 13, 5)
    sizes = np.array([[11, 13], [4, 9], [10, 1]])
    pairs = zip(maps, sizes, strict=True)
    ragged = tf.ragged.stack([padded[:rows, :columns] for padded, (rows, columns) in pairs])
    outputs = {}
    for mode in MODES:
        for name, levels in LEVELS.items():
            pool = layers.SpatialPyramidPooling(levels, mode)
            outputs[f"{mode} {name} dense"] = pool(maps)
            outputs[f"{mode} {name} sizes"] = pool(maps, sizes=sizes)
            outputs[f"{mode} {name} ragged"] = pool(ragged)
        pool = layers.SpatialPyramidPooling((3, 1), mode, data_format="channels_first")
        outputs[f"{mode} channels first"] = pool(maps.transpose(0, 3, 1, 2))
    return outputs


def compute_roi_pyramid_pooling():
    outputs = {}
    maps = inputs.make_feature_maps(2, 13, 17, 4)
    boxes = np.stack([inputs.make_boxes(140, 190, 7, seed) for seed in range(2)])
    image_sizes = np.array([[200, 260]] * 2)
    for mode in MODES:
        for box_format in BOX_FORMATS:
            pool = layers.RoISpatialPyramidPooling(
                16, 14, levels=(3, 2, 1), mode=mode, bounding_box_format=box_format
            )
            converted = inputs.convert_boxes(boxes, box_format, 200, 260)
            outputs[f"{mode} {box_format}"] = pool(maps, converted, image_sizes=image_sizes)
        for name, (stride, first_center, ceil_excess) in GRIDS.items():
            pool = layers.RoISpatialPyramidPooling(
                stride, first_center, ceil_excess, levels=((2, 3), 5, 1), mode=mode
            )
            scaled = boxes * stride / 16
            outputs[f"{mode} grid {name}"] = pool(maps, scaled)
            ragged = tf.RaggedTensor.from_row_lengths(scaled.reshape(-1, 4)[:9], [7, 2])
            pooled = pool(maps, ragged, sizes=np.array([[13, 17], [9, 12]]))
            outputs[f"{mode} grid {name} ragged"] = pooled.flat_values
    return outputs


def compute_windows():
    outputs = {}
    boxes = inputs.make_boxes(140, 190, 40).round(1)
    items, sizes = np.arange(40, dtype="int32") % 2, np.array([[13, 17], [9, 12]], "int32")
    for name, (stride, first_center, ceil_excess) in GRIDS.items():
        pool = layers.RoISpatialPyramidPooling(stride, first_center, ceil_excess)
        outputs[name] = pool.windows(tf.constant(boxes * stride / 16), items, sizes)
    return outputs


def compute_local_response_normalization():
    maps = 5 * inputs.make_feature_maps(2, 6, 7, 9)
    cases = {
        "across": {},
        "across 3": {"size": 3, "alpha": 0.5, "beta": 0.5, "bias": 1.0},
        "within": {"region": "within", "size": 3, "alpha": 0.1},
        "within 5": {"region": "within", "size": 5, "alpha": 0.02, "bias": 1.0},
    }
    return {
        name: layers.LocalResponseNormalization(**options)(maps) for name, options in cases.items()
    }


def make_cell_placements(stride, first_center, ceil_excess=0):
    """The layer that counts the cells of a `CellGrid`."""
    steps = [(1, stride + ceil_excess - 1 - int(2 * first_center), stride)]
    return CellPlacements(rows=steps, columns=steps)


def compute_masks():
    maps = inputs.make_feature_maps(3, 12, 15, 2)
    sizes = np.array([[45, 60], [31, 17], [48, 5]], "int32")
    outputs = {}
    for name, grid in {"zero": (4, 0), "half": (4, 1.5), "beyond": (4, 2, 3)}.items():
        map_sizes = make_cell_placements(*grid)(sizes)
        masked = MaskCells()(maps, map_sizes)
        outputs[f"valid cells {name}"], outputs[f"valid cells {name} cells"] = masked, map_sizes
    images = inputs.make_mixed_images()
    cases = {"padded": inputs.pad_images(images), "ragged": (tf.ragged.stack(images),)}
    for name, arguments in cases.items():
        padded, sizes = layers.PadRagged(20)(*arguments)
        padded = MaskCells()(padded, sizes)
        outputs[f"mixed sizes {name}"], outputs[f"mixed sizes {name} sizes"] = padded, sizes
    return outputs
