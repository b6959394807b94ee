"""The outputs of spp_keras 0.1.1 that later versions must give.

`outputs_0_1_1.npz` was made by `python tests/frozen/outputs.py FILE` at commit dc8fe71,
version 0.1.1. It is never made again from later code: where an output differs, the code is
wrong. What later code calls by another name goes into the tables `RENAMED...` below. The
names of the outputs stay as they are; they are the names in the file.

Large outputs are kept as their first values and some sums.
"""

import functools
import hashlib
import io
import json
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from spp_keras.detection.nms import non_max_suppression

from spp_keras import detection, evaluation, export, geometry, layers, recipes, zoo
from spp_keras import training as train_package
from spp_keras.data import Crop, Pipeline, Records, Warp, Whole, image_ops, size_policies
from spp_keras.data.sources import Objects
from spp_keras.detection import box_coding, boxes
from spp_keras.evaluation import protocols, views
from spp_keras.metrics import average_precision, classification, detection
from spp_keras.zoo import tables

# Path of a weight, "layer/variable", to its path in 0.1.1.
RENAMED = {}
# Key of a recipe to its name in 0.1.1, value of one to its name in 0.1.1, keys that came later.
RENAMED_KEYS = {}
RENAMED_VALUES = {}
ADDED_KEYS = ()

NETWORKS = ("alexnet5", "overfeat5", "overfeat7", "zf5")
LABELS = ("cat", "red car", "x")
MOST_FLOATS, MOST_INTEGERS, FIRST = 60, 1000, 32


# Weights and inputs: functions of names and seeds alone.


def path_of(variable):
    """Path of a weight in 0.1.1."""
    path = "/".join(variable.path.split("/")[-2:])
    return RENAMED.get(path, path)


def fill(model, factors=None):
    """Gives each weight values that follow from its path in 0.1.1, times a factor if it has one."""
    paths = [path_of(variable) for variable in model.weights]
    assert len(set(paths)) == len(paths), "two weights of one path"
    for path, variable in zip(paths, model.weights, strict=True):
        seed = int.from_bytes(hashlib.sha256(path.encode()).digest(), "big")
        drawn = np.random.default_rng(seed).standard_normal(tuple(variable.shape), "float32")
        scale = 0.1 if drawn.ndim < 2 else 1 / np.sqrt(np.prod(drawn.shape[:-1]))
        variable.assign(drawn * np.float32(scale * (factors or {}).get(path, 1)))
    return model


def pixels(height, width, seed=0):
    """A picture, uint8: coarse squares and noise."""
    drawn = np.random.default_rng((seed, height, width))
    coarse = drawn.integers(0, 224, (-(-height // 12), -(-width // 12), 3))
    coarse = coarse.repeat(12, axis=0).repeat(12, axis=1)[:height, :width]
    return (coarse + drawn.integers(0, 32, (height, width, 3))).astype("uint8")


def picture(height, width, seed=0):
    return pixels(height, width, seed).astype("float32")


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def seeded_maps(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, "float32")


def seeded_boxes(height, width, count, seed=0):
    """Left, top, right, bottom, some of which leave the image; none is outside of it."""
    drawn = np.random.default_rng(seed)
    low = drawn.uniform(-10, [0.7 * width, 0.7 * height], (count, 2))
    sides = drawn.uniform(15, [0.6 * width, 0.6 * height], (count, 2))
    return np.concatenate([low, low + sides], axis=1).astype("float32")


def padded(pictures):
    """Images in a batch as large as the largest, 99 beyond each, and their sizes."""
    each = np.array([one.shape[:2] for one in pictures], "int32")
    batch = np.full((len(pictures), *each.max(axis=0), 3), 99, "float32")
    for into, one in zip(batch, pictures, strict=True):
        into[: one.shape[0], : one.shape[1]] = one
    return batch, each


MIXED_SIZES = ((70, 91), (64, 64), (97, 58))


def mixed():
    return [picture(*size, seed) for seed, size in enumerate(MIXED_SIZES)]


def dense(height, width, count=2):
    return np.stack([picture(height, width, seed) for seed in range(count)])


# Networks.


def network(name, **options):
    """A narrow network of the zoo that answers with logits."""
    options = {"width": 0.125, "classes": 10, "classifier_activation": None, **options}
    return fill(getattr(zoo, name)(**options))


def in_all_forms(model):
    batch, each = padded(mixed())
    return {
        "dense": model(dense(64, 91)),
        "ragged": model(tf.ragged.stack(mixed())),
        "padded": model({"images": batch, "sizes": each}),
    }


def fixed_networks():
    return {name: network(name)(dense(224, 224)) for name in NETWORKS}


def spp_networks(name):
    return in_all_forms(network(name))


def networks_without_top():
    found = {}
    for name in NETWORKS:
        model = fill(getattr(zoo, f"{name}_spp")(include_top=False, width=0.0625))
        found[name] = model(dense(64, 91))
    for pooling in ("avg", "max", "spp"):
        model = fill(zoo.zf5_spp(include_top=False, width=0.0625, pooling=pooling))
        found[pooling] = model(tf.ragged.stack(mixed()))
    return found


def network_options():
    levels = (5, (2, 3), 1)
    model = network("zf5_spp", classifier_activation="softmax", levels=levels, width=0.0625)
    return in_all_forms(model)


def full_width():
    return {"zf5_spp": network("zf5_spp", width=1.0, classes=1000)(dense(180, 224, 1))}


def backbone_classifier():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 128, -1.0)(inputs)
    x = keras.layers.Conv2D(
        6, 5, strides=3, padding="same", activation="relu", name="backbone_conv1"
    )(x)
    x = keras.layers.BatchNormalization(name="backbone_norm1")(x)
    x = keras.layers.Conv2D(
        8, 3, strides=2, padding="same", activation="relu", name="backbone_conv2"
    )(x)
    backbone = keras.Model(inputs, x)
    model = zoo.spp_classifier(backbone, 5, levels=(3, 1), units=(16,), classifier_activation=None)
    fill(model)
    norm = backbone.get_layer("backbone_norm1")
    norm.moving_variance.assign(np.abs(norm.moving_variance) + 1)
    return in_all_forms(model)


def with_boxes():
    model = network("zf5_spp", width=0.0625)
    asked = np.stack([seeded_boxes(97, 140, 6, seed) for seed in range(2)])
    found = {"whole": model(dense(97, 140))}
    found["xyxy"] = zoo.with_boxes(model)({"images": dense(97, 140), "boxes": asked})
    asked = as_format(asked, "center_xywh", 97, 140)
    model = zoo.with_boxes(model, "center_xywh")
    found["center_xywh"] = model({"images": dense(97, 140), "boxes": asked})
    return found


# Layers.

LEVELS = {"paper": (6, 3, 2, 1), "odd": (5, 3, 1), "pairs": ((2, 3), (7, 1), 4)}
MODES = ("max", "average")
# First center, step, pixels beyond.
GRIDS = {"zf5": (16, 14, 0), "odd": (7, 2.5, 3), "one": (1, 0, 0)}
FORMATS = (
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


def as_format(asked, form, height, width):
    """Boxes `(..., 4)` of left, top, right, bottom in another format."""
    x0, y0, x1, y1 = np.moveaxis(asked, -1, 0)
    if form.startswith("rel_"):
        x0, y0, x1, y1 = x0 / width, y0 / height, x1 / width, y1 / height
    parts = {
        "xyxy": (x0, y0, x1, y1),
        "yxyx": (y0, x0, y1, x1),
        "xywh": (x0, y0, x1 - x0, y1 - y0),
        "center_xywh": ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0),
        "center_yxhw": ((y0 + y1) / 2, (x0 + x1) / 2, y1 - y0, x1 - x0),
    }
    return np.stack(parts[form.removeprefix("rel_")], axis=-1).astype("float32")


def pyramid_pooling():
    maps, each = seeded_maps(3, 11, 13, 5), np.array([[11, 13], [4, 9], [10, 1]])
    pairs = zip(maps, each, strict=True)
    ragged = tf.ragged.stack([one[:rows, :columns] for one, (rows, columns) in pairs])
    found = {}
    for mode in MODES:
        for name, levels in LEVELS.items():
            pool = layers.SpatialPyramidPooling(levels, mode)
            found[f"{mode} {name} dense"] = pool(maps)
            found[f"{mode} {name} sizes"] = pool(maps, sizes=each)
            found[f"{mode} {name} ragged"] = pool(ragged)
        first = layers.SpatialPyramidPooling((3, 1), mode, data_format="channels_first")
        found[f"{mode} channels first"] = first(maps.transpose(0, 3, 1, 2))
    return found


def roi_pyramid_pooling():
    found = {}
    maps = seeded_maps(2, 13, 17, 4)
    asked = np.stack([seeded_boxes(140, 190, 7, seed) for seed in range(2)])
    image_sizes = np.array([[200, 260]] * 2)
    for mode in MODES:
        for form in FORMATS:
            pool = layers.RoISpatialPyramidPooling(
                16, 14, levels=(3, 2, 1), mode=mode, bounding_box_format=form
            )
            given = as_format(asked, form, 200, 260)
            found[f"{mode} {form}"] = pool(maps, given, image_sizes=image_sizes)
        for name, (step, first_center, beyond) in GRIDS.items():
            pool = layers.RoISpatialPyramidPooling(
                step, first_center, beyond, levels=((2, 3), 5, 1), mode=mode
            )
            given = asked * step / 16
            found[f"{mode} grid {name}"] = pool(maps, given)
            ragged = tf.RaggedTensor.from_row_lengths(given.reshape(-1, 4)[:9], [7, 2])
            pooled = pool(maps, ragged, sizes=np.array([[13, 17], [9, 12]]))
            found[f"{mode} grid {name} ragged"] = pooled.flat_values
    return found


def windows_to_cells():
    found = {}
    given = seeded_boxes(140, 190, 40).round(1)
    items, each = np.arange(40, dtype="int32") % 2, np.array([[13, 17], [9, 12]], "int32")
    for name, (step, first_center, beyond) in GRIDS.items():
        pool = layers.RoISpatialPyramidPooling(step, first_center, beyond)
        found[name] = pool.windows(tf.constant(given * step / 16), items, each)
    return found


def local_response_normalization():
    maps = 5 * seeded_maps(2, 6, 7, 9)
    options = {
        "across": {},
        "across 3": {"size": 3, "alpha": 0.5, "beta": 0.5, "bias": 1.0},
        "within": {"region": "within", "size": 3, "alpha": 0.1},
        "within 5": {"region": "within", "size": 5, "alpha": 0.02, "bias": 1.0},
    }
    return {name: layers.LocalResponseNormalization(**each)(maps) for name, each in options.items()}


def masks():
    maps, each = seeded_maps(3, 12, 15, 2), np.array([[45, 60], [31, 17], [48, 5]], "int32")
    found = {}
    for name, options in {"zero": (4, 0), "half": (4, 1.5), "beyond": (4, 2, 3)}.items():
        valid, cells = layers.MaskPadding(*options)(maps, sizes=each)
        found[f"valid cells {name}"], found[f"valid cells {name} cells"] = valid, cells
    batch, each = padded(mixed())
    for name, given in {"padded": (batch, each), "ragged": (tf.ragged.stack(mixed()),)}.items():
        whole, own = layers.PadRagged(20)(*given)
        found[f"mixed sizes {name}"], found[f"mixed sizes {name} sizes"] = whole, own
    return found


# Arithmetic.


def bins_and_cells():
    lengths, bins = range(1, 30), range(1, 9)
    edges = [geometry.bin_edges(i, n, b) for n in lengths for b in bins for i in range(b)]
    longest = [geometry.longest_bin(n, b) for n in lengths for b in bins]
    found = {"bin edges": np.array(edges), "longest bin": np.array(longest)}
    grids = {
        "sum": geometry.CellGrid().after_layer(7, 2, 3).then(3, 2, 0, ceil_mode=True).then(5, 2, 1),
        **{trunk.name: trunk.grid for trunk in tables.TRUNKS},
    }
    for name, grid in grids.items():
        found[f"grid {name}"] = np.array(tuple(grid), "float64")
        found[f"cells {name}"] = np.array([grid.map_size(pixels) for pixels in range(20, 300, 3)])
        found[f"least pixels {name}"] = np.array([grid.min_pixels(n) for n in range(1, 20)])
        found[f"most pixels {name}"] = np.array([grid.max_pixels(n) for n in range(1, 20)])
    for name, levels in LEVELS.items():
        pairs = [(n, n) if isinstance(n, int) else n for n in levels]
        steps = geometry.derive_levels(pairs)
        rows = [
            (step.level, -1 if step.source is None else step.source, *step.pool) for step in steps
        ]
        found[f"derivations {name}"] = np.array(rows)
    return found


IMAGE_SIZES = ((375, 500), (500, 333), (256, 256), (64, 300), (1201, 799))
VIEWS = ("crop", "warp", "10-view", "10-view-map", "full", "96-view", "96-view+full")


def looked_at(protocol, size, side, short_side, whole):
    """A row for each view: size of the scaled image, window, mirrored, from the map."""
    return np.array(
        [
            (*part.size, *view.window, view.mirrored, part.from_feature_map)
            for part in protocols.list_scaled_views(protocol, size, side, short_side, whole)
            for view in part.views
        ],
        "int64",
    )


def views_of_images():
    found = {}
    for size in IMAGE_SIZES:
        for protocol in VIEWS:
            name = f"{protocol} {size[0]}x{size[1]}"
            found[name] = looked_at(protocol, size, 224, 256, Whole(short_side=256))
            found[f"{name} of 112"] = looked_at(protocol, size, 112, 130, Whole(longest_side=400))
    found["short sides"] = np.array([views.six_short_sides(side) for side in range(40, 300, 7)])
    found["short side"] = np.array(
        [size_policies.short_side_for(side) for side in range(40, 300, 7)]
    )
    found["side"] = np.array([size_policies.image_size_for(short) for short in range(40, 300, 7)])
    return found


def sizes_of_policies():
    given = np.array([*IMAGE_SIZES, (1, 1), (17, 2000)])
    whole = {
        "own": Whole(),
        "short side": Whole(short_side=256),
        "longest side": Whole(longest_side=400),
        "both": Whole(short_side=256, longest_side=320),
    }
    found = {f"whole {name}": policy.output_sizes(given) for name, policy in whole.items()}
    framed = {
        "center 224": size_policies.center_crop(224),
        "center 96": size_policies.center_crop(96),
        "warped": Warp(image_size=224),
        "crops": Crop(image_sizes=(224, 180), short_side=240),
        **whole,
    }
    for name, policy in framed.items():
        frames = [policy.window_and_size(tf.constant(size, tf.int32)) for size in given]
        found[f"frame {name}"] = np.array([np.concatenate(frame) for frame in frames])
    places = np.random.default_rng(0).uniform(0, 1, (len(given), 2))
    for positions in ("corners", "random", "center"):
        policy = Crop(image_sizes=(224, 180), positions=positions)
        found[f"windows {positions}"] = policy.windows(given, places)
    for draw in ("cycle", "range"):
        policy = Crop(image_sizes=(224, 200, 180), draw=draw)
        found[f"sides {draw}"] = np.array([policy.side(epoch, seed=3) for epoch in range(12)])
    return found


def of_0_1_1(recipe):
    """A recipe by the names of 0.1.1, as JSON."""
    kept = {
        RENAMED_KEYS.get(key, key): RENAMED_VALUES.get(value, value)
        for key, value in vars(recipe).items()
        if key not in ADDED_KEYS
    }
    return np.frombuffer(json.dumps(kept, sort_keys=True).encode(), "uint8")


def recipes_of_the_zoo():
    found = {name: of_0_1_1(recipes.read_recipe(name)) for name in recipes.list_recipes()}
    found["defaults"] = of_0_1_1(recipes.Recipe())
    return found


# Images and batches.


def one_image():
    encoded, size = tf.constant(png(pixels(90, 124))), [90, 124]
    found = {
        "decoded": image_ops.decode_image(encoded),
        "turned": image_ops.decode_image(encoded, 6),
        "crop": image_ops.decode_window(encoded, size, [7, 20, 60, 60], [60, 60]),
        "smaller crop": image_ops.decode_window(encoded, size, [7, 20, 60, 60], [47, 47]),
        "half crop": image_ops.decode_window(encoded, size, [7, 20, 60, 60], [24, 24]),
        "turned crop": image_ops.decode_window(encoded, [124, 90], [20, 7, 60, 70], [40, 50], 8),
        "smaller": image_ops.decode_resized(encoded, size, [64, 88]),
        "larger": image_ops.decode_resized(encoded, size, [100, 138]),
    }
    factors = 0.1 * seeded_maps(4, 3)
    found["shifts"] = image_ops.draw_color_shifts(factors)
    found["shifted"] = image_ops.shift_color(found["smaller"], found["shifts"][1])
    found["mirrored"] = image_ops.flip_horizontal(found["smaller"], True)
    return found


def small_records(folder, count=20):
    """Images of mixed sizes, each of a class of its own."""
    measured = np.random.default_rng(0).integers(16, 60, (count, 2))
    files, spans = [], []
    for number, size in enumerate(measured):
        files.append(Path(folder) / f"{number:02}.png")
        files[-1].write_bytes(png(pixels(*size, number)))
        spans.append((number, 0, files[-1].stat().st_size))
    return Records(
        name="small",
        classes=tuple(f"class {number}" for number in range(count)),
        ids=np.array([file.name for file in files]),
        labels=np.arange(count, dtype="int32"),
        sizes=measured.astype("int32"),
        objects=None,
        files=tuple(map(str, files)),
        spans=np.array(spans, "int64"),
        skipped=(),
        converted={},
    )


def batches():
    found = {}
    pipelines = {
        "own size": {},
        "short side": {"sizes": Whole(short_side=24, longest_side=40), "flip": True},
        "pixels": {"batch_pixels": 6000, "seed": 5},
        "crops": {
            "sizes": Crop(image_sizes=(24, 18), short_side=28),
            "flip": True,
            "color_jitter": 0.1,
        },
        "range": {"sizes": Crop(image_sizes=(16, 24), short_side=28, schedule="range"), "seed": 2},
        "warped": {"sizes": Warp(image_size=20), "shuffle": False},
    }
    with tempfile.TemporaryDirectory() as folder:
        records = small_records(folder)
        for name, options in pipelines.items():
            pipeline = Pipeline(records, batch_size=6, **options)
            dataset = pipeline.dataset(repeat=True).take(2 * pipeline.steps_per_epoch)
            sent = list(dataset.as_numpy_iterator())
            found[f"{name} order"] = np.stack([pipeline.order(epoch) for epoch in range(3)])
            found[f"{name} labels"] = np.concatenate([labels for _, labels in sent])
            found[f"{name} lengths"] = np.array([len(labels) for _, labels in sent])
            if pipeline.mixed:
                found[f"{name} sizes"] = np.concatenate([x["sizes"] for x, _ in sent])
                sent = [(x["images"], labels) for x, labels in sent]
            shapes = np.array([x.shape for x, _ in sent])
            found[f"{name} shapes"] = shapes
            flat = [x.ravel() for x, _ in sent]
            found[f"{name} pixels"] = np.concatenate(flat)
            found[f"{name} padding"] = np.array(pipeline.padding_fraction(1))
    return found


# Detection.


def small_detector(rpn=False, scales=(60, 100, 150)):
    trunk = zoo.zf5_spp(include_top=False, width=0.0625)
    vectors = keras.Input((5 * trunk.output_shape[-1],))
    hidden = keras.layers.Dense(8, "relu", name="head_hidden")(vectors)
    outputs = [
        keras.layers.Dense(3, "sigmoid", name="head_scores")(hidden),
        keras.layers.Dense(12, name="head_corrections")(hidden),
    ]
    made = detection.Detector(
        trunk,
        keras.Model(vectors, outputs),
        labels=LABELS,
        grid=(16, 14),
        levels=(2, 1),
        scales=scales,
        side=64,
        rpn=detection.RegionProposalNetwork(4, sides=(24, 48), most=20) if proposer else None,
        most=40,
    )
    return fill(made, {"head_scores/kernel": 20, "last/kernel": 3})


def named(found, name):
    """What a detector answers, by names that stay."""
    return {
        f"{name} boxes": found["boxes"],
        f"{name} scores": found["scores"],
        f"{name} classes": found["classes"],
        f"{name} count": found["count"],
    }


def detector():
    asked = np.stack([seeded_boxes(97, 140, 15, seed) for seed in range(2)])
    given = small_detector()((dense(97, 140), asked))
    one_scale = small_detector(scales=(120,))((dense(97, 140), asked))
    proposing = small_detector(rpn=True)
    own = proposing(tf.ragged.stack(mixed()))
    encoded = proposing.encode(tf.constant(picture(97, 140)))
    return {
        **named(given, "given"),
        **named(one_scale, "one scale"),
        **named(own, "proposing"),
        "windows proposed": proposing.proposals(encoded, tf.constant([97, 140])),
        "maps": encoded[1],
    }


def box_arithmetic():
    some, others = seeded_boxes(97, 140, 30), seeded_boxes(97, 140, 30, seed=1)
    deltas = box_coding.encode_boxes(some, others)
    found = {
        "overlaps": boxes.box_iou(some, others),
        "encoded": deltas,
        "decoded": box_coding.decode_boxes(tf.constant(some), 2 * deltas),
        "clipped": box_coding.clip_boxes(tf.constant(some), tf.constant([97, 140])),
    }
    ranked = np.random.default_rng(2).permutation(30).astype("float32")
    ranked[[3, 8]] = ranked[5]
    some[7] = 0
    for overlap in (0.3, 0.7):
        kept, count = non_max_suppression(tf.constant(some), tf.constant(ranked), 25, overlap)
        found[f"kept {overlap}"], found[f"kept {overlap} count"] = kept, count
    return found


# Evaluation and training.


def metrics():
    drawn = np.random.default_rng(0)
    guessed, labels = drawn.uniform(0, 1, (60, 8)).round(1), drawn.integers(0, 8, 60)
    several = drawn.uniform(0, 1, (60, 8)) < 0.3
    recall = np.cumsum(drawn.integers(0, 2, 50)) / 30
    precision = recall * 30 / np.arange(1, 51)
    found = {f"top {k}": classification.top_k_accuracy(guessed, labels, k) for k in (1, 2, 5)}
    found["area"] = average_precision.area_under_curve(recall, precision)
    found["11 points"] = average_precision.eleven_point_average(recall, precision)
    guesses, truths = [], []
    for seed in range(4):
        things = seeded_boxes(100, 150, 4, seed).clip(0, [150, 100] * 2)
        moved = things + drawn.normal(0, 3, (2, 4, 4))
        others = np.concatenate([moved.reshape(-1, 4), seeded_boxes(100, 150, 6, seed + 9)])
        guesses.append(
            boxes.Detections(
                others.astype("float32"),
                drawn.uniform(0, 1, 14).astype("float32"),
                np.concatenate([np.arange(8) % 2, drawn.integers(0, 2, 6)]).astype("int32"),
            )
        )
        shares = (things / [150, 100, 150, 100])[:, [1, 0, 3, 2]].astype("float32")
        difficult = np.array([False, False, seed == 2, False])
        truths.append(Objects(shares, np.arange(4, dtype="int32") % 2, difficult))
    for rule in ("area", "11-point"):
        found[f"mean average precision {rule}"] = classification.mean_average_precision(
            guessed, several, rule=rule
        )
        judged = detection.evaluate_voc(guesses, truths, [(100, 150)] * 4, LABELS, rule=rule)
        found[f"voc {rule}"] = [judged.mean, *list(judged.average_precision.values())[:2]]
        found[f"voc {rule} recall"] = list(judged.recall.values())[:2]
    judged = detection.evaluate_coco(guesses, truths, [(100, 150)] * 4, LABELS)
    found["coco"] = [judged[name] for name in ("AP", "AP50", "AP75", "AR")]
    return found


def testing_protocols():
    model = network("zf5_spp", width=0.0625)
    image, found = png(pixels(90, 124)), {}
    for protocol in VIEWS:
        score = evaluation.Scorer(model, protocol, view_size=64)
        found[protocol] = score.score_views(image)
    return found


def learning_rates():
    """A training whose accuracy never rises: the rate falls as the recipe says."""
    with tempfile.TemporaryDirectory() as folder:
        for split in ("train", "validation"):
            for name in ("cat", "dog"):
                (Path(folder) / "data" / split / name).mkdir(parents=True)
        for number in range(8):
            split, name = ("train", "validation")[number % 2], ("cat", "dog")[number // 2 % 2]
            place = Path(folder) / "data" / split / name / f"{number}.png"
            place.write_bytes(png(pixels(40, 40 + number, number)))
        weights = Path(folder) / "seeded.weights.h5"
        options = {"width": 0.0625, "levels": (2, 1), "dropout": 0.0}
        fill(zoo.zf5_spp(classes=2, **options)).save_weights(weights)
        recipe = recipes.Recipe(
            model="zf5_spp",
            weights=str(weights),
            data=str(Path(folder) / "data"),
            learning_rate=1e-5,
            batch_size=2,
            epochs=8,
            patience=2,
            drops=2,
            **options,
        )
        history = train_package.train_model(recipe, Path(folder) / "run").history
    return {
        "rates": [row["learning_rate"] for row in history],
        "losses": [row["val_cross_entropy"] for row in history],
        "accuracies": [row["val_accuracy"] for row in history],
        "stopped": [
            train_package.has_stopped_learning(history[:n], recipe)
            for n in range(1, len(history) + 1)
        ],
    }


# Exports.


def exported_classifier():
    model = network("zf5_spp", width=0.0625, classes=3)
    with tempfile.TemporaryDirectory() as folder:
        version = export.export_saved_model(
            model, Path(folder) / "models" / "pets", labels=LABELS, top=2
        )
        asked = tf.saved_model.load(str(version)).signatures
        files = tf.constant([png(pixels(90, 124)), png(pixels(64, 70, 1))])
        of_files = asked["bytes"](image_bytes=files)
        vectors = asked["features"](images=tf.constant(dense(64, 91)))
        vectors_of_files = asked["bytes_features"](image_bytes=files)
        return {
            "pixels": asked["serving_default"](images=tf.constant(dense(64, 91)))["scores"],
            "uint8": asked["uint8"](images=tf.constant(pixels(70, 64)[None]))["scores"],
            "bytes scores": of_files["scores"],
            "bytes indices": of_files["indices"],
            "bytes labels": of_files["labels"],
            **{f"features {number}": each for number, each in enumerate(by_length(vectors))},
            **{
                f"features of bytes {number}": each
                for number, each in enumerate(by_length(vectors_of_files))
            },
        }


def by_length(vectors):
    """Vectors, the longest first, whatever they are called."""
    return sorted(vectors.values(), key=lambda each: -each.shape[-1])


def exported_detector():
    model = small_detector(rpn=True, scales=(120,))
    with tempfile.TemporaryDirectory() as folder:
        version = export.export_detector(model, Path(folder) / "models" / "pets")
        asked = tf.saved_model.load(str(version)).signatures
        given = tf.constant(np.stack([seeded_boxes(97, 140, 15, seed) for seed in range(2)]))
        detect = asked["detect"](images=tf.constant(dense(97, 140)), boxes=given)
        own = asked["bytes"](image_bytes=tf.constant([png(pixels(97, 140)), png(pixels(70, 64))]))
        return {
            **named(detect, "detect"),
            "detect labels": detect["labels"],
            **named(own, "bytes"),
            "bytes labels": own["labels"],
        }


def tflite_file():
    model = network("zf5_spp", width=0.0625, classes=3)
    with tempfile.TemporaryDirectory() as folder:
        path = export.export_tflite(model, Path(folder) / "pets.tflite", labels=LABELS)
        interpreter = Interpreter(str(path))
        (images_in,), (scores_out,) = (
            interpreter.get_input_details(),
            interpreter.get_output_details(),
        )
        found = {}
        for size in MIXED_SIZES:
            interpreter.resize_tensor_input(images_in["index"], (1, *size, 3), strict=True)
            interpreter.allocate_tensors()
            interpreter.set_tensor(images_in["index"], picture(*size)[None])
            interpreter.invoke()
            found[f"{size[0]}x{size[1]}"] = interpreter.get_tensor(scores_out["index"])
    return found


SUBJECTS = {
    "fixed networks": fixed_networks,
    **{f"{name} spp": functools.partial(spp_networks, f"{name}_spp") for name in NETWORKS},
    "networks without top": networks_without_top,
    "network options": network_options,
    "full width": full_width,
    "backbone classifier": backbone_classifier,
    "with boxes": with_boxes,
    "pyramid pooling": pyramid_pooling,
    "roi pyramid pooling": roi_pyramid_pooling,
    "windows to cells": windows_to_cells,
    "local response normalization": local_response_normalization,
    "masks": masks,
    "bins and cells": bins_and_cells,
    "views": views_of_images,
    "size policies": sizes_of_policies,
    "recipes": recipes_of_the_zoo,
    "one image": one_image,
    "batches": batches,
    "detector": detector,
    "box arithmetic": box_arithmetic,
    "metrics": metrics,
    "testing protocols": testing_protocols,
    "learning rates": learning_rates,
    "exported classifier": exported_classifier,
    "exported detector": exported_detector,
    "tflite": tflite_file,
}


def shortened(name, value):
    """An array as the file has it: whole, or its first values and sums that see the others."""
    value = np.asarray(value)
    if value.dtype.kind in "OSU":
        return {name: value.astype("S")}
    floats = value.dtype.kind == "f"
    if value.size <= (MOST_FLOATS if floats else MOST_INTEGERS):
        return {name: value}
    flat = value.ravel().astype("float64" if floats else "int64")
    place = np.arange(flat.size)
    weights = np.cos(place) if floats else place % 1009
    sums = np.array([flat.sum(), np.abs(flat).sum(), flat @ weights])
    name = f"{name}, {'x'.join(map(str, value.shape))}"
    return {f"{name}, first": value.ravel()[:FIRST], f"{name}, sums": sums}


def compute(subject):
    """The outputs of a subject by their names in the file."""
    found = {}
    for name, value in SUBJECTS[subject]().items():
        found |= shortened(f"{subject}: {name}", value)
    return found


def write(path):
    if path.exists():
        raise SystemExit(f"{path} is there already. It is never made again from later code.")
    found = {}
    for subject in SUBJECTS:
        found |= compute(subject)
    np.savez_compressed(path, **found)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
