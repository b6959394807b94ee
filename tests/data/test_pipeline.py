import dataclasses
import itertools
import types
from pathlib import Path

import exif_files
import keras
import numpy as np
import pytest
import tensorflow as tf
from photographs import bilinear, decoded, encoded, photograph

from spp_keras.canvas_rules import CanvasRules
from spp_keras.data.pipeline import Pipeline
from spp_keras.data.records import Records, load_records
from spp_keras.data.size_policies import Crop, Whole

COUNT = 20


def written(folder, sizes):
    """Records of images that each have a label of their own."""
    files, spans = [], []
    for index, (height, width) in enumerate(sizes):
        form = "PNG" if index % 3 else "JPEG"
        data = encoded(photograph(height, width, seed=index, coarse=5), form)
        files.append(folder / f"{index}.{form.lower()}")
        files[-1].write_bytes(data)
        spans.append((index, 0, len(data)))
    return Records(
        name="twenty",
        classes=tuple(f"class {index}" for index in range(len(sizes))),
        ids=np.array([file.name for file in files]),
        labels=np.arange(len(sizes), dtype="int32"),
        sizes=np.array(sizes, "int32"),
        objects=None,
        files=tuple(map(str, files)),
        spans=np.array(spans, "int64"),
        skipped=(),
        converted={},
    )


@pytest.mark.integration
@pytest.mark.parametrize("form", exif_files.FORMS)
def test_pipeline_turns_images_upright(form, tmp_path):
    picture, tolerance = photograph(48, 64), 24 if form == "JPEG" else 0
    for index in exif_files.ORIENTATIONS:
        folder = tmp_path / "train" / ("cat" if index < 5 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        data = exif_files.file(picture, form, index)
        (folder / f"{index}.{form.lower()}").write_bytes(data)
    result = load_records(tmp_path, "train")
    assert result.sizes.tolist() == [[48, 64]] * 8
    assert result.orientations.tolist() == [*exif_files.ORIENTATIONS]
    [(whole, _)] = batches(Pipeline(result, shuffle=False), 1)
    crops = Crop(image_sizes=(32,), short_side=48, position="center")
    [(cut, _)] = batches(Pipeline(result, crops, shuffle=False), 1)
    for sent, expected in ((whole["images"], picture), (cut, picture[8:40, 16:48])):
        assert np.abs(sent.astype(int) - expected).max() <= tolerance

    # Not from the cache of what was loaded before.
    as_filed = load_records(tmp_path, "train", orientation="file")
    sent = batches(Pipeline(as_filed, batch_size=1, shuffle=False), 8)
    for index, (images, _) in zip(exif_files.ORIENTATIONS, sent, strict=True):
        expected = np.asarray(exif_files.lying(picture, index))
        assert tuple(images["sizes"][0]) == expected.shape[:2]
        assert np.abs(images["images"][0].astype(int) - expected).max() <= tolerance


def pixels(records, index):
    return decoded(Path(records.files[index]).read_bytes())


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    sizes = np.random.default_rng(0).integers(12, 40, (COUNT, 2))
    return written(tmp_path_factory.mktemp("twenty"), sizes.tolist())


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """Images with a short side of 32."""
    sizes = [(32, 32 + 3 * index) if index % 2 else (32 + index, 32) for index in range(6)]
    return written(tmp_path_factory.mktemp("alike"), sizes)


def batches(pipeline, count, **options):
    return list(pipeline.dataset(repeat=True, **options).take(count).as_numpy_iterator())


def assert_same(result, expected):
    tf.nest.map_structure(np.testing.assert_array_equal, result, expected)


def assert_near(result, expected):
    assert result.shape == expected.shape
    assert np.abs(result.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("budget", [None, 4000])
def test_padded_batches(records, budget):
    pipeline = Pipeline(records, batch_size=6, max_pixels=budget)
    assert pipeline.mixed
    assert pipeline.classes == records.classes
    assert pipeline.images_per_step == COUNT / pipeline.steps_per_epoch
    for epoch in range(2):
        start, seen = epoch * pipeline.steps_per_epoch, []
        for x, labels in batches(pipeline, pipeline.steps_per_epoch, start_step=start):
            images, sizes = x["images"], x["sizes"]
            assert images.dtype == np.uint8
            assert sizes.dtype == labels.dtype == np.int32
            assert images.shape == (len(labels), *sizes.max(axis=0), 3)
            assert len(labels) <= 6
            assert budget is None or len(labels) == 1 or images[..., 0].size <= budget
            for image, (height, width), label in zip(images, sizes, labels, strict=True):
                assert_near(image[:height, :width], pixels(records, label))
                assert not image[height:].any()
                assert not image[:, width:].any()
            seen += labels.tolist()
        assert sorted(seen) == list(range(COUNT))


def test_ragged_batches_equal_padded_ones(records):
    pipeline = Pipeline(records, batch_size=6)
    padded = batches(pipeline, pipeline.steps_per_epoch)
    ragged = pipeline.dataset(batch_format="ragged").take(pipeline.steps_per_epoch)
    for (images, labels), (x, expected) in zip(ragged, padded, strict=True):
        assert isinstance(images, tf.RaggedTensor)
        assert isinstance(labels, tf.Tensor)
        np.testing.assert_array_equal(labels, expected)
        np.testing.assert_array_equal(images.to_tensor(), x["images"])
        assert [tuple(image.bounding_shape()) for image in images] == [
            (*size, 3) for size in x["sizes"]
        ]


def test_class_weights_are_sample_weights_of_images(records):
    labels = (np.arange(COUNT) % 4 == 0).astype("int32")
    skewed = dataclasses.replace(records, labels=labels, classes=("many", "few"))
    weights = {0: COUNT / 2 / (labels == 0).sum(), 1: COUNT / 2 / (labels == 1).sum()}
    pipeline = Pipeline(skewed, batch_size=6, class_weight="balanced")
    seen = []
    for _, of_batch, sent in pipeline.dataset():
        np.testing.assert_allclose(sent, [weights[label] for label in of_batch.numpy()], rtol=1e-6)
        seen += of_batch.numpy().tolist()
    assert sorted(seen) == sorted(labels.tolist())
    # Replicas multiply them by those of their shards.
    options = {"num_shards": 2, "with_sample_weights": True, "shard_indices": (0, 1)}
    plain = Pipeline(skewed, batch_size=6).dataset(**options)
    for (_, of_batch, expected), (_, _, sent) in zip(
        plain, pipeline.dataset(**options), strict=True
    ):
        factors = [weights[label] for label in of_batch.numpy()]
        np.testing.assert_allclose(sent, expected * factors, rtol=1e-6)


def test_whole_images_are_scaled_to_a_short_side(records):
    pipeline = Pipeline(records, Whole(short_side=24, longest_side=40), batch_size=6)
    expected = Whole(short_side=24, longest_side=40).output_sizes(records.sizes)
    for x, labels in batches(pipeline, pipeline.steps_per_epoch):
        np.testing.assert_array_equal(x["sizes"], expected[labels])
        for image, (height, width), label in zip(x["images"], x["sizes"], labels, strict=True):
            # Each quarter is as bright as it was.
            whole = pixels(records, label)
            for rows, columns in itertools.product((slice(None, 12), slice(-12, None)), repeat=2):
                assert image[:height, :width][rows, columns].shape == (12, 12, 3)
            means = image[:height, :width].mean(axis=(0, 1)), whole.mean(axis=(0, 1))
            assert np.abs(np.subtract(*means)).max() < 8


POLICIES = {
    "whole": Whole(short_side=24),
    "range": Crop(image_sizes=(12, 20), schedule="range", short_side=24, position="random"),
}


@pytest.mark.integration
@pytest.mark.parametrize("policy", POLICIES)
def test_dataset_resumes_at_any_step(records, policy):
    def pipeline(seed=3):
        options = {"batch_size": 6, "flip": True, "color_jitter": 0.5, "seed": seed}
        return Pipeline(records, POLICIES[policy], **options)

    whole = batches(pipeline(), 10, with_sample_weights=True)
    steps = pipeline().steps_per_epoch
    assert steps == 4
    for start in (1, steps + 2):
        assert_same(
            batches(pipeline(), 10 - start, start_step=start, with_sample_weights=True),
            whole[start:],
        )
    alone = pipeline().dataset(repeat=True, with_sample_weights=True).take(10)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    assert_same(list(alone.with_options(options).as_numpy_iterator()), whole)
    labels = [batch[1].tolist() for batch in whole]
    assert labels[:4] != labels[4:8]
    other = [batch[1].tolist() for batch in batches(pipeline(seed=4), 4)]
    assert other != labels[:4]


def test_augmentation_changes_from_epoch_to_epoch(records):
    pipeline = Pipeline(records, batch_size=COUNT, flip=True, seed=2**32 - 1)
    mirrored = np.zeros((8, COUNT), bool)
    for epoch, (x, labels) in enumerate(batches(pipeline, 8)):
        for image, (height, width), label in zip(x["images"], x["sizes"], labels, strict=True):
            whole, result = pixels(records, label).astype(int), image[:height, :width]
            mirrored[epoch, label] = np.abs(result - whole).max() > 2
            expected = whole[:, ::-1] if mirrored[epoch, label] else whole
            assert_near(result, expected)
    assert 0.35 < mirrored.mean() < 0.65
    assert mirrored.any(axis=0).all()
    assert 0 < mirrored.sum(axis=1).min() <= mirrored.sum(axis=1).max() < COUNT
    assert len(np.unique(mirrored, axis=0)) == 8


@pytest.mark.integration
@pytest.mark.parametrize("num_shards", [2, 3, 7])
def test_sample_weights_of_shards_count_every_image_the_same(records, num_shards):
    pipeline = Pipeline(records, batch_size=5, max_pixels=5000)
    steps = pipeline.steps_per_epoch
    whole = batches(pipeline, steps)
    dealt = {"num_shards": num_shards, "with_sample_weights": True}
    together = batches(pipeline, num_shards * steps, shard_indices=range(num_shards), **dealt)
    shares = [together[replica::num_shards] for replica in range(num_shards)]
    assert_same(batches(pipeline, steps, shard_indices=(1,), **dealt), shares[1])
    counted = np.zeros(COUNT)
    for (_, expected), *parts in zip(whole, *shares, strict=True):
        (length,) = {len(labels) for _, labels, _ in parts}
        assert length == -(-len(expected) // num_shards)
        real = []
        for x, labels, weights in parts:
            for image, size, label in zip(x["images"], x["sizes"], labels, strict=True):
                assert_near(image[: size[0], : size[1]], pixels(records, label))
            real += labels[weights > 0].tolist()
            # As Keras takes the mean over a share, and the strategy that over replicas.
            np.add.at(counted, labels, weights / length / num_shards)
        assert real == expected.tolist()
        total = sum(weights.sum() for _, _, weights in parts) / (num_shards * length)
        np.testing.assert_allclose(total, len(expected) / pipeline.images_per_step, rtol=1e-6)
    np.testing.assert_allclose(counted, steps / COUNT, rtol=1e-6)


def test_image_sizes_alternate_on_the_same_crop(alike):
    policy = Crop(image_sizes=(24, 16), short_side=32, position="center")
    pipeline = Pipeline(alike, policy, batch_size=4)
    assert not pipeline.mixed
    assert pipeline.fill() == 1
    large, small = {}, {}
    for batch, (images, labels) in enumerate(batches(pipeline, 6)):
        side = 16 if batch in (2, 3) else 24
        assert images.shape == (3, side, side, 3)
        assert images.dtype == np.uint8
        (small if side == 16 else large).update(zip(labels.tolist(), images, strict=True))
    assert sorted(large) == sorted(small) == list(range(6))
    for label, image in large.items():
        whole = pixels(alike, label)
        top, left = ((side - 24) // 2 for side in whole.shape[:2])
        assert_near(image, whole[top : top + 24, left : left + 24])
        assert_near(small[label], bilinear(image, (16, 16)))


@pytest.mark.parametrize(("num_shards", "budget"), [(1, None), (1, 4000), (2, None), (3, 6000)])
def test_fill(records, num_shards, budget):
    pipeline = Pipeline(records, batch_size=6, max_pixels=budget)
    for epoch in (0, 3):
        sent = real = 0
        for x, _, weights in batches(
            pipeline,
            num_shards * pipeline.steps_per_epoch,
            start_step=epoch * pipeline.steps_per_epoch,
            shard_indices=range(num_shards),
            num_shards=num_shards,
            with_sample_weights=True,
        ):
            sent += x["images"][..., 0].size
            real += x["sizes"][weights > 0].prod(axis=1).sum()
        assert real == records.sizes.prod(axis=1).sum()
        np.testing.assert_allclose(pipeline.fill(epoch, num_shards), real / sent, rtol=1e-12)


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    """Wide and tall images, which padding does not suit."""
    rng = np.random.default_rng(1)
    sides = [sorted(rng.choice([12, 16, 90, 120], 2, replace=False)) for _ in range(COUNT)]
    sizes = [pair if index % 2 else pair[::-1] for index, pair in enumerate(sides)]
    return written(tmp_path_factory.mktemp("wild"), np.array(sizes).tolist())


RULES = CanvasRules(4)


def take_images(x):
    """The images of a batch on canvases."""
    return [
        x["images"][canvas, top : top + height, left : left + width]
        for canvas, top, left, height, width in x["placements"]
    ]


def test_images_on_canvases_are_those_of_padded_batches(wild):
    pipeline = Pipeline(wild, batch_size=7, flip=True)
    padded = batches(pipeline, pipeline.steps_per_epoch)
    packed = batches(pipeline, pipeline.steps_per_epoch, canvas_rules=RULES)
    sent = real = 0
    for (x, labels), (canvases, same) in zip(padded, packed, strict=True):
        np.testing.assert_array_equal(labels, same)
        assert canvases["placements"].dtype == np.int32
        assert len(canvases["images"]) < len(labels)
        images = take_images(canvases)
        for image, row, (height, width) in zip(images, x["images"], x["sizes"], strict=True):
            np.testing.assert_array_equal(image, row[:height, :width])
        sent += canvases["images"][..., 0].size
        real += x["sizes"].prod(axis=1).sum()
    # Of so few batches all are laid out.
    np.testing.assert_allclose(pipeline.fill(canvas_rules=RULES), real / sent, rtol=1e-6)
    assert pipeline.fill(canvas_rules=RULES) > 1.2 * pipeline.fill()
    assert pipeline.choose_rules(RULES) == RULES
    assert pipeline.choose_rules(None) is None


def test_batches_stay_padded_where_canvases_do_not_pay(alike):
    pipeline = Pipeline(alike, Whole(short_side=32, longest_side=40), batch_size=2)
    assert pipeline.choose_rules(RULES) is None
    x, _ = next(iter(pipeline.batches_for(None, canvas_rules=RULES)))
    assert sorted(x) == ["images", "sizes"]
    # Asked for, they are on canvases all the same.
    x, labels = next(iter(pipeline.dataset(canvas_rules=RULES)))
    assert len(x["placements"]) == len(labels)


def test_replicas_get_every_image_of_canvases_once(wild):
    pipeline = Pipeline(wild, batch_size=7)
    whole = batches(pipeline, pipeline.steps_per_epoch)
    for (x, labels), shares in zip(whole, dealt(pipeline, 8, canvas_rules=RULES), strict=True):
        np.testing.assert_array_equal(np.concatenate([y for _, y in shares]), labels)
        places = np.concatenate([share["placements"] for share, _ in shares])
        np.testing.assert_array_equal(places[:, 3:], x["sizes"])
        assert [len(share["images"]) > 0 for share, _ in shares] == [len(y) > 0 for _, y in shares]


def test_layers_draw_for_an_image_whatever_batch_it_is_in(records):
    def draw(batch_size, start_step=0, **options):
        layers = [keras.layers.RandomFlip("horizontal"), keras.layers.RandomBrightness(0.3)]
        pipeline = Pipeline(records, batch_size=batch_size, seed=3, augment=layers)
        number = len(options.get("shard_indices", (0,)))
        number *= 2 * pipeline.steps_per_epoch - start_step
        return [
            {
                int(label): image[:height, :width]
                for image, (height, width), label in zip(x["images"], x["sizes"], y, strict=True)
            }
            for x, y, *_ in batches(pipeline, number, start_step=start_step, **options)
        ]

    def merge(dictionaries):
        return {label: image for part in dictionaries for label, image in part.items()}

    six = draw(6)
    first, second = merge(six[:4]), merge(six[4:])
    assert len(first) == len(second) == COUNT
    assert all((first[label] != second[label]).any() for label in first)
    assert (first[0] != pixels(records, 0)).any()
    assert_same(merge(draw(20)[:1]), first)
    assert_same(merge(draw(6, start_step=4)), second)
    shards = {"shard_indices": range(3), "num_shards": 3, "with_sample_weights": True}
    assert_same(merge(draw(6, **shards)[:12]), first)


def test_an_image_beyond_the_limit_is_named(records):
    largest = int(records.sizes.prod(axis=1).argmax())
    height, width = records.sizes[largest]
    message = (
        f"`max_pixels` must be at least {height * width}, .* Received: max_pixels=500 with "
        f"image {largest} '{records.ids[largest]}' of {height}x{width} pixels"
    )
    with pytest.raises(ValueError, match=message):
        Pipeline(records, max_pixels=500)


def test_max_pixels_is_halved_down_to_the_largest_image(records):
    pipeline, limits = Pipeline(records, batch_size=6), []
    while (limit := pipeline.halve_max_pixels()) is not None:
        limits.append(limit)
        pipeline = pipeline.with_max_pixels(limit)
        assert (
            max(x["images"][..., 0].size for x, _ in batches(pipeline, pipeline.steps_per_epoch))
            <= limit
        )
    assert limits == sorted(limits, reverse=True)
    # Batches may be single images already, before the limit is that of the largest.
    assert limits[-1] >= pipeline.least_max_pixels == records.sizes.prod(axis=1).max()
    assert Pipeline(records, Crop(image_sizes=(12,), short_side=12)).halve_max_pixels() is None


@pytest.mark.parametrize("batch_format", ["padded", "ragged"])
def test_multi_label_targets(records, batch_format):
    rows = np.random.default_rng(2).integers(0, 2, (COUNT, 5)).astype("uint8")
    several = dataclasses.replace(records, labels=rows, classes=tuple("abcde"))
    pipeline = Pipeline(several, batch_size=6)
    numbers = batches(Pipeline(records, batch_size=6), 4)
    dataset = pipeline.dataset(batch_format=batch_format, with_sample_weights=True).take(4)
    for (_, labels, weights), (_, expected) in zip(dataset, numbers, strict=True):
        assert labels.dtype == weights.dtype == tf.float32
        np.testing.assert_array_equal(labels, rows[expected])
        np.testing.assert_allclose(weights, len(expected) / 5, rtol=1e-6)


def test_dataset_ends_with_an_epoch_and_continues_with_the_next(records):
    pipeline = Pipeline(records, batch_size=6, flip=True)
    steps = pipeline.steps_per_epoch
    endless = pipeline.dataset(repeat=True)
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    epochs = [batches(pipeline, steps, start_step=index * steps) for index in range(4)]
    dataset = pipeline.dataset(steps)
    assert dataset.cardinality() == steps
    for epoch in epochs[1:]:
        # Keras makes iterators that it does not use.
        iter(dataset)
        assert_same(list(dataset.as_numpy_iterator()), epoch)
    # Another begins anew, and what is made of one keeps the count.
    twice = pipeline.dataset().map(lambda x, labels: labels).repeat(2)
    labels = [batch[1] for batch in epochs[0] + epochs[1]]
    assert_same(list(twice.as_numpy_iterator()), labels)


@pytest.mark.parametrize("shuffle", [True, False])
def test_order_is_that_of_the_batches(records, shuffle):
    pipeline = Pipeline(records, batch_size=6, shuffle=shuffle)
    for epoch in range(2):
        start = epoch * pipeline.steps_per_epoch
        sent = batches(pipeline, pipeline.steps_per_epoch, start_step=start)
        # The label of an image is its number.
        np.testing.assert_array_equal(pipeline.order(epoch), np.concatenate([y for _, y in sent]))


def dealt(pipeline, devices, processes=1, process=0, **options):
    """Shares of the batches of an epoch, as one process of a strategy gets them."""
    context = tf.distribute.InputContext(processes, process, devices)
    strategy = types.SimpleNamespace(distribute_datasets_from_function=lambda share: share(context))
    dataset = pipeline.batches_for(strategy, **options)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    here = devices // processes
    result = list(dataset.take(here * pipeline.steps_per_epoch))
    return [result[step : step + here] for step in range(0, len(result), here)]


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_replicas_get_every_image_once(records, devices):
    pipeline = Pipeline(records, batch_size=5, max_pixels=5000)
    whole = batches(pipeline, pipeline.steps_per_epoch)
    assert min(len(labels) for _, labels in whole) == 1
    for (x, labels), shares in zip(whole, dealt(pipeline, devices), strict=True):
        # No more than there are, and none where there are too few.
        np.testing.assert_array_equal(np.concatenate([y for _, y in shares]), labels)
        np.testing.assert_array_equal(np.concatenate([x["sizes"] for x, _ in shares]), x["sizes"])
        assert [len(x["images"]) for x, _ in shares] == [len(y) for _, y in shares]


@pytest.mark.parametrize("devices", [2, 4])
def test_training_weights_count_every_image_of_a_batch_the_same(records, devices):
    pipeline = Pipeline(records, batch_size=5, max_pixels=5000)
    whole = batches(pipeline, pipeline.steps_per_epoch)
    learned = dealt(pipeline, devices, training=True)
    for (_, labels), shares in zip(whole, learned, strict=True):
        counted = np.zeros(COUNT)
        for x, y, weights in shares:
            assert len(x["images"]) == len(y) == len(weights) > 0
            # As Keras takes the mean over a share, and the strategy that over replicas.
            np.add.at(counted, y.numpy(), weights / len(y) / devices)
        np.testing.assert_allclose(counted[labels], 1 / len(labels), rtol=1e-6)
        np.testing.assert_allclose(counted.sum(), 1, rtol=1e-6)
        # What weighs nothing is there only where there would be nothing.
        fillers = sum(int((weights == 0).numpy().sum()) for _, _, weights in shares)
        share = -(-len(labels) // devices)
        assert fillers == devices - -(-len(labels) // share)


def test_each_process_has_the_shards_of_its_replicas(records):
    pipeline = Pipeline(records, batch_size=5, max_pixels=5000)
    options = {"batch_format": "ragged", "training": True}
    together = dealt(pipeline, 4, **options)
    for process in range(2):
        own = dealt(pipeline, 4, 2, process, **options)
        for shares, expected in zip(own, together, strict=True):
            for share, other in zip(shares, expected[2 * process :][:2], strict=True):
                np.testing.assert_array_equal(share[0].to_tensor(), other[0].to_tensor())
                assert_same(share[1:], other[1:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be an int >= 1"),
        ({"max_pixels": 0}, "`max_pixels` must be an int >= 1"),
        ({"color_jitter": 1.5}, r"`color_jitter` must be a number in \[0, 1\)"),
    ],
)
def test_pipeline_refuses_invalid_arguments(records, options, message):
    with pytest.raises(ValueError, match=message):
        Pipeline(records, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"start_step": 3},
            "`start_step` must be the first batch of an epoch.* start_step=3 with "
            "steps_per_epoch=4",
        ),
        ({"start_step": -1}, "`start_step` must be an int >= 0"),
        ({"batch_format": "dense"}, "`batch_format` must be one of 'padded', 'ragged'"),
        (
            {"num_shards": 2},
            "`with_sample_weights` must be True .* Received: with_sample_weights=False with "
            "num_shards=2",
        ),
        ({"num_shards": 0}, "`num_shards` must be an int >= 1"),
        (
            {"shard_indices": (2,), "num_shards": 2, "with_sample_weights": True},
            r"`shard_indices` must be .*\(2,\) with num_shards=2",
        ),
        (
            {"shard_indices": (), "num_shards": 2, "with_sample_weights": True},
            "`shard_indices` must be from 0 to `num_shards` - 1",
        ),
    ],
)
def test_dataset_refuses_invalid_arguments(records, options, message):
    with pytest.raises(ValueError, match=message):
        Pipeline(records, batch_size=6).dataset(**options)
