"""Outputs of the arithmetic of bins, cells, views, image sizes and recipes."""

import json

import numpy as np
import tensorflow as tf
from frozen.layer_outputs import LEVELS
from frozen.old_names import (
    ADDED_KEYS,
    ADDED_RECIPES,
    CHANGED_RECIPES,
    RENAMED_KEYS,
    RENAMED_VALUES,
)

from spp_keras import geometry, recipes
from spp_keras.data import Crop, Warp, Whole, size_policies
from spp_keras.evaluation import protocols, views
from spp_keras.zoo import tables

IMAGE_SIZES = ((375, 500), (500, 333), (256, 256), (64, 300), (1201, 799))
PROTOCOLS = ("crop", "warp", "10-view", "10-view-map", "full", "96-view", "96-view+full")


def compute_bins_and_cells():
    lengths, bins = range(1, 30), range(1, 9)
    edges = [geometry.bin_edges(i, n, b) for n in lengths for b in bins for i in range(b)]
    longest = [geometry.longest_bin(n, b) for n in lengths for b in bins]
    outputs = {"bin edges": np.array(edges), "longest bin": np.array(longest)}
    grid = geometry.CellGrid().after_layer(7, 2, 3).after_layer(3, 2, 0, ceil_mode=True)
    grids = {
        "sum": grid.after_layer(5, 2, 1),
        **{trunk.name: trunk.grid for trunk in tables.TRUNKS},
    }
    for name, grid in grids.items():
        outputs[f"grid {name}"] = np.array(grid[:3], "float64")
        outputs[f"cells {name}"] = np.array([grid.map_size(n) for n in range(20, 300, 3)])
        outputs[f"least pixels {name}"] = np.array([grid.min_pixels(n) for n in range(1, 20)])
        outputs[f"most pixels {name}"] = np.array([grid.max_pixels(n) for n in range(1, 20)])
    for name, levels in LEVELS.items():
        pairs = [(n, n) if isinstance(n, int) else n for n in levels]
        rows = [
            (step.level, -1 if step.source is None else step.source, *step.pool)
            for step in geometry.derive_levels(pairs)
        ]
        outputs[f"derivations {name}"] = np.array(rows)
    return outputs


def describe_views(protocol, size, side, short_side, whole):
    """A row for each view: size of the scaled image, window, mirrored, on the feature map."""
    return np.array(
        [
            (*scaled.size, *view.window, view.mirrored, scaled.from_feature_map)
            for scaled in protocols.list_scaled_views(protocol, size, side, short_side, whole)
            for view in scaled.views
        ],
        "int64",
    )


def compute_views():
    outputs = {}
    for size in IMAGE_SIZES:
        for protocol in PROTOCOLS:
            name = f"{protocol} {size[0]}x{size[1]}"
            outputs[name] = describe_views(protocol, size, 224, 256, Whole(short_side=256))
            outputs[f"{name} of 112"] = describe_views(
                protocol, size, 112, 130, Whole(longest_side=400)
            )
    sides = range(40, 300, 7)
    outputs["short sides"] = np.array([views.six_short_sides(side) for side in sides])
    outputs["short side"] = np.array([size_policies.short_side_for(side) for side in sides])
    outputs["side"] = np.array([size_policies.image_size_for(short_side) for short_side in sides])
    return outputs


def compute_size_policies():
    sizes = np.array([*IMAGE_SIZES, (1, 1), (17, 2000)])
    whole = {
        "own": Whole(),
        "short side": Whole(short_side=256),
        "longest side": Whole(longest_side=400),
        "both": Whole(short_side=256, longest_side=320),
    }
    outputs = {f"whole {name}": policy.output_sizes(sizes) for name, policy in whole.items()}
    policies = {
        "centre 224": size_policies.center_crop(224),
        "centre 96": size_policies.center_crop(96),
        "warped": Warp(image_size=224),
        "crops": Crop(image_sizes=(224, 180), short_side=240),
        **whole,
    }
    for name, policy in policies.items():
        frames = [policy.window_and_size(tf.constant(size, tf.int32)) for size in sizes]
        outputs[f"frame {name}"] = np.array([np.concatenate(frame) for frame in frames])
    places = np.random.default_rng(0).uniform(0, 1, (len(sizes), 2))
    for position in ("corners", "random", "center"):
        policy = Crop(image_sizes=(224, 180), position=position)
        name = RENAMED_VALUES.get(position, position)
        outputs[f"windows {name}"] = policy.windows(sizes, places)
    for schedule in ("cycle", "range"):
        policy = Crop(image_sizes=(224, 200, 180), schedule=schedule)
        drawn = [policy.epoch_size(epoch, seed=3) for epoch in range(12)]
        outputs[f"sides {schedule}"] = np.array(drawn)
    return outputs


def encode_recipe(recipe):
    """A recipe by the names of 0.1.1, as JSON."""
    values = {
        RENAMED_KEYS.get(key, key): RENAMED_VALUES.get(value, value)
        for key, value in vars(recipe).items()
        if key not in ADDED_KEYS
    }
    return np.frombuffer(json.dumps(values, sort_keys=True).encode(), "uint8")


def compute_recipes():
    names = set(recipes.list_recipes("classification")).difference(ADDED_RECIPES, CHANGED_RECIPES)
    outputs = {
        name.removesuffix("/imagenet"): encode_recipe(recipes.read_recipe(name)) for name in names
    }
    outputs["defaults"] = encode_recipe(recipes.Recipe())
    return outputs
