import dataclasses
import io
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from spp_keras.data import shapes
from spp_keras.data.shapes import drawing, outlines, scenes

SPLITS = {"train": 48, "validation": 24, "test": 25}
SEED = 5
CARD = Path(shapes.__file__).with_name("README.md").read_text()


def prepare(folder, name="few", **kwargs):
    config = shapes.ShapesConfig(name, **SPLITS, **{"seed": SEED, **kwargs})
    builder = tfds.builder("shapes", config=config, data_dir=folder)
    builder.download_and_prepare()
    return builder


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="module")
def examples(builder):
    """Every example by split, with its image as it was encoded."""
    skip = {"image": tfds.decode.SkipDecoding()}
    return {
        split: list(tfds.as_numpy(builder.as_dataset(split=split, decoders=skip)))
        for split in SPLITS
    }


def everything(examples):
    return list(itertools.chain.from_iterable(examples.values()))


def composed(name, count):
    return [
        scenes.compose_scene(name, np.random.default_rng((11, number))) for number in range(count)
    ]


def is_inside(outline, size):
    """Pixels with their center inside an odd number of rings: crossings of a ray, one by one."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    inside = np.zeros(size, bool)
    for ring in outline:
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if y0 != y1:
                inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def has_truncated(scene):
    return any(thing.is_truncated for thing in scene.things)


def extent(mask):
    """Top, left, bottom, right of what is set."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])


def test_the_import_registers_the_dataset_and_its_configs():
    assert tfds.builder("shapes").builder_config.name == "small"
    assert {"tiny", "small", "large"} == set(shapes.Builder.builder_configs)


@pytest.mark.parametrize("config", shapes.Builder.BUILDER_CONFIGS, ids=lambda config: config.name)
def test_the_card_says_how_many_images_a_config_has(config):
    counts = rf"\| {config.train} \| {config.validation} \| {config.test} \|"
    assert re.search(rf"\| `{config.name}`.*{counts}", CARD)


def test_the_card_is_the_description_and_the_tags_are_those_of_tfds(builder):
    assert builder.info.description == CARD.strip()
    assert set(outlines.CLASSES) <= set(re.findall(r"\w+", CARD))
    metadata = shapes.Builder.get_metadata()
    tags = Path(shapes.__file__).with_name("TAGS.txt").read_text().splitlines()
    official = tfds.core.tfds_path("core/valid_tags.txt").read_text().splitlines()
    assert metadata.tags
    assert set(tags) <= set(official)
    assert "He, Kaiming" in builder.info.citation


def test_the_features_are_those_of_detection_and_of_classification(builder):
    objects = {
        "bbox": tf.TensorSpec((None, 4), tf.float32),
        "label": tf.TensorSpec((None,), tf.int64),
        "is_truncated": tf.TensorSpec((None,), tf.bool),
        "is_difficult": tf.TensorSpec((None,), tf.bool),
    }
    assert builder.as_dataset(split="test").element_spec == {
        "image": tf.TensorSpec((None, None, 3), tf.uint8),
        "image/filename": tf.TensorSpec((), tf.string),
        "label": tf.TensorSpec((), tf.int64),
        "objects": objects,
    }
    assert builder.info.supervised_keys == ("image", "label")
    assert builder.info.features["label"].names == list(outlines.CLASSES)
    assert builder.info.features["objects"]["label"].names == list(outlines.CLASSES)


def test_every_split_has_its_images_and_as_many_of_each_class(examples):
    for split, found in examples.items():
        counts = np.bincount([example["label"] for example in found], minlength=12)
        assert counts.sum() == SPLITS[split]
        assert counts.max() - counts.min() <= 1
    names = [example["image/filename"] for example in everything(examples)]
    assert len(set(names)) == sum(SPLITS.values())
    assert b"train_000012.jpg" in names


def test_a_second_preparation_writes_the_same_files(builder, tmp_path):
    again = prepare(tmp_path)
    files = sorted(path.name for path in Path(builder.data_dir).glob("*.tfrecord*"))
    assert len(files) == len(SPLITS)
    for name in files:
        first, second = (Path(one.data_dir, name).read_bytes() for one in (builder, again))
        assert first == second


def test_an_image_follows_from_seed_split_and_number_in_whatever_order(examples):
    for number, (split, found) in enumerate(examples.items()):
        for example in found:
            index = int(example["image/filename"].decode().removesuffix(".jpg")[-6:])
            image, scene = drawing.draw_image(SEED, number, index)
            assert example["image"] == image
            assert example["image/filename"].decode().startswith(f"{split}_")
            assert outlines.CLASSES[example["label"]] == scene.name


@pytest.mark.parametrize("other", [(6, 0), (5, 1)], ids=["seed", "split"])
def test_another_seed_or_split_has_other_images(other):
    for index in range(12):
        image, scene = drawing.draw_image(5, 0, index)
        other_image, other_scene = drawing.draw_image(*other, index)
        assert image != other_image
        assert scene.size != other_scene.size


def test_images_are_jpegs_of_the_size_of_their_scenes():
    for index in range(12):
        image, scene = drawing.draw_image(SEED, 0, index)
        decoded = Image.open(io.BytesIO(image))
        assert (decoded.format, decoded.mode) == ("JPEG", "RGB")
        assert decoded.size == scene.size[::-1]


def test_sizes_and_aspects_are_spread_as_the_card_says():
    sizes = np.array([scene.size for name in outlines.CLASSES for scene in composed(name, 150)])
    short, aspects = sizes.min(axis=1), sizes[:, 1] / sizes[:, 0]
    assert 60 <= short.min() < 64
    assert 380 < short.max() <= 400
    # As many images in each factor of 400 / 60.
    np.testing.assert_allclose(np.quantile(short, [0.25, 0.5, 0.75]), [96, 155, 249], rtol=0.12)
    assert aspects.min() >= 1 / 3
    assert aspects.max() <= 3
    assert 0.55 < np.mean((aspects >= 2 / 3) & (aspects <= 3 / 2)) < 0.75
    assert np.mean(aspects > 2) > 0.03
    assert np.mean(aspects < 1 / 2) > 0.03


@pytest.mark.parametrize("name", outlines.CLASSES)
def test_an_image_has_one_to_three_objects_apart_from_each_other(name):
    found = composed(name, 60)
    assert {len(scene.things) for scene in found} == {1, 2, 3}
    for scene in found:
        for one, other in itertools.combinations(scene.things, 2):
            overlap = np.minimum(one.box[2:], other.box[2:]) - np.maximum(
                one.box[:2], other.box[:2]
            )
            assert overlap.min() < 0


@pytest.mark.parametrize("name", outlines.CLASSES)
def test_boxes_are_tight_around_what_is_inside_the_outline(name):
    found = composed(name, 40)
    for scene in found[:8] + [scene for scene in found[8:] if has_truncated(scene)]:
        for thing in scene.things:
            inside = is_inside(thing.outline, scene.size)
            # Tips of triangles and stars are thinner than a pixel.
            np.testing.assert_allclose(extent(inside), thing.box, atol=2.5)
            mask = drawing.draw_mask(thing.outline, scene.size)
            # Every pixel is partly painted where its center is inside, partly bare elsewhere.
            assert np.abs(mask - inside).max() < 1
            # Pillow paints half a step of its quarter pixels over the edge.
            np.testing.assert_allclose(extent(mask > 0), thing.box, atol=1.13)


@pytest.mark.parametrize("name", outlines.CLASSES)
def test_objects_are_painted_inside_their_boxes_and_nowhere_else(name):
    for number, scene in enumerate(composed(name, 12)):
        bare = dataclasses.replace(scene, things=())
        with_things, without = (
            drawing.paint_scene(one, np.random.default_rng(number)).astype(int)
            for one in (scene, bare)
        )
        changed = np.abs(with_things - without).max(axis=-1)
        for thing in scene.things:
            top, left, bottom, right = np.round(thing.box).astype(int)
            part = np.s_[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2]
            np.testing.assert_allclose(
                extent(changed[part] > 4) + np.tile([part[0].start, part[1].start], 2),
                thing.box,
                atol=3,
            )
            changed[part] = 0
        assert changed.max() == 0


def test_the_dataset_has_the_boxes_of_its_scenes(examples):
    for example in examples["train"]:
        index = int(example["image/filename"].decode()[6:12])
        _, scene = drawing.draw_image(SEED, 0, index)
        objects, (height, width) = example["objects"], scene.size
        pixels = objects["bbox"] * [height, width, height, width]
        np.testing.assert_allclose(pixels, [thing.box for thing in scene.things], atol=1e-3)
        assert set(objects["label"]) == {example["label"]}
        cut = (np.abs(pixels - [0, 0, height, width]) < 1e-3).any(axis=1)
        np.testing.assert_array_equal(objects["is_truncated"], cut)
        small = (pixels[:, 2:] - pixels[:, :2]).max(axis=1) < 24
        np.testing.assert_array_equal(objects["is_difficult"], small)


def test_some_objects_are_truncated_and_some_difficult_and_most_are_neither():
    things = [
        thing
        for name in outlines.PLAIN_CLASSES
        for scene in composed(name, 60)
        for thing in scene.things
    ]
    assert 0.05 < np.mean([thing.is_truncated for thing in things]) < 0.15
    assert 0.02 < np.mean([thing.is_difficult for thing in things]) < 0.2


def ratios_of_axes(name, warped):
    """How far from round the first object of each image is, in the logarithm."""
    found = []
    for scene in composed(name, 150):
        mask = drawing.draw_mask(scene.things[0].outline, scene.size)
        if warped:
            mask = np.asarray(Image.fromarray(mask).resize((96, 96), Image.Resampling.BOX))
        y, x = (np.arange(n) + 0.5 for n in mask.shape)
        deviations = [
            np.sqrt(np.cov(axis, aweights=mask.sum(axis=other))) for axis, other in ((y, 1), (x, 0))
        ]
        found.append(abs(np.log(deviations[0] / deviations[1])))
    return np.array(found)


def best_accuracy(low, high):
    """Of telling two classes apart by a threshold, which here sees the answers."""
    return max((np.mean(low < at) + np.mean(high >= at)) / 2 for at in [*low, *high])


@pytest.mark.parametrize("pair", [("circle", "ellipse"), ("square", "oblong")], ids="-".join)
def test_the_ratio_of_axes_tells_classes_apart_until_the_image_is_warped_to_a_square(pair):
    equal, unequal = (ratios_of_axes(name, warped=False) for name in pair)
    assert equal.max() < np.log(1.1)
    assert np.log(1.3) < unequal.min()
    assert unequal.max() < np.log(1.9)
    # 0.5 is chance. Different scenes stand for the two classes, as in the dataset.
    assert best_accuracy(*(ratios_of_axes(name, warped=True) for name in pair)) < 0.7


@pytest.mark.parametrize(
    "pair", list(itertools.combinations(outlines.BORDER_CLASSES, 2)), ids="-".join
)
def test_a_center_crop_leaves_nothing_that_tells_border_classes_apart(pair):
    for one, other in zip(*(composed(name, 40) for name in pair), strict=True):
        assert one.size == other.size
        first, second = (
            sum(drawing.draw_mask(thing.outline, one.size) for thing in scene.things)
            for scene in (one, other)
        )
        side = 224 / 256 * min(one.size)
        start = [int((n - side) / 2) for n in one.size]
        crop = tuple(np.s_[at : n - at] for at, n in zip(start, one.size, strict=True))
        np.testing.assert_array_equal(first[crop], second[crop])
        assert first[crop].max() > 0.9
        # A twentieth of each of two heads of about 8 by 10 pixels, at the very least.
        assert np.abs(first - second).sum() > 8 * len(one.things)


@pytest.mark.parametrize(
    ("name", "value", "least"), [("train", 0, 1), ("test", 2.5, 1), ("seed", -1, 0)]
)
def test_a_config_says_which_number_it_cannot_have(name, value, least):
    with pytest.raises(ValueError, match=rf"`{name}` must be an int >= {least}. .*{name}={value}"):
        shapes.ShapesConfig("mine", **{name: value})
