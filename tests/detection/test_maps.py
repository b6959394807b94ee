import shutil

import numpy as np
import pytest
import scenes
import tensorflow as tf
from spp_keras.detection.rcnn import RegionDetector

from spp_keras.data import records
from spp_keras.detection import feature_cache, variants
from spp_keras.detection.training_images import TrainingImages


def files(folder):
    return sorted(path for path in folder.rglob("*.npz"))


def test_maps_are_those_of_the_network(detector, known):
    known.make(progress=False)
    assert len(files(known.folder)) == len(known) == 24
    for number in (0, 1):
        image = known.examples.pixels(number).astype("float32")
        (expected,) = detector[0].encode(tf.constant(image))
        (kept,) = known[number]
        assert kept.dtype == "float32"
        np.testing.assert_allclose(kept, expected, rtol=1e-3, atol=1e-6)


def test_a_mirror_image_has_mirrored_objects(learning):
    plain, mirrored = learning[0], learning[1]
    assert (plain.mirrored, mirrored.mirrored) == (False, True)
    pixels = learning.pixels(0)
    np.testing.assert_array_equal(learning.pixels(1), pixels[:, ::-1])
    width = plain.size[1]
    for box, other in zip(plain.objects.round().astype(int), mirrored.objects, strict=True):
        left, top, right, bottom = other.round().astype(int)
        assert (left, right) == (width - box[2], width - box[0])
        inside = pixels[box[1] : box[3], box[0] : box[2]]
        np.testing.assert_array_equal(learning.pixels(1)[top:bottom, left:right], inside[:, ::-1])


def test_what_is_there_is_not_made_again(known, monkeypatch):
    known.make(progress=False)
    gone = files(known.folder)[5]
    gone.unlink()
    made = []
    make = known._make
    monkeypatch.setattr(known, "_make", lambda number: (made.append(number), make(number)))
    known.make(progress=False)
    assert len(made) == 1
    assert gone.exists()


def test_maps_of_other_weights_or_scales_are_never_taken(detector, halves, learning, tmp_path):
    first, _ = detector
    keys = {feature_cache.cache_key(first)}
    keys.add(feature_cache.cache_key(variants.replace_parts(first, scales=(90,))))
    keys.add(
        feature_cache.cache_key(
            variants.create_detector(halves, scenes.CLASSES, RegionDetector, side=48)[0]
        )
    )
    kernel = first.trunk.weights[0]
    kernel.assign(kernel + 1e-3)
    keys.add(feature_cache.cache_key(first))
    assert len(keys) == 4
    # Neither the head nor the threshold has a part in a map.
    assert feature_cache.cache_key(
        variants.replace_parts(first, score_threshold=0.5)
    ) == feature_cache.cache_key(first)


def test_maps_of_another_image_are_never_taken(detector, voc, tmp_path):
    root = tmp_path / "voc"
    shutil.copytree(voc, root)
    found = records.load_records(root, "val")
    windows = [np.zeros((0, 4))] * len(found)
    before = feature_cache.FeatureMapCache(
        detector[0], TrainingImages(found, windows), tmp_path / "maps"
    )
    one, other = before[0], before[1]
    shutil.copy(root / "JPEGImages/val_1.jpg", root / "JPEGImages/val_0.jpg")
    found = records.load_records(root, "val")
    after = feature_cache.FeatureMapCache(
        detector[0], TrainingImages(found, windows), tmp_path / "maps"
    )
    assert one[0].shape != other[0].shape or (one[0] != other[0]).any()
    np.testing.assert_array_equal(after[0][0], other[0])


def test_the_bytes_are_known_before(known):
    known.make(progress=False)
    for number in (0, 3):
        size = known.path(number).stat().st_size
        assert known.bytes_needed(number) - 1000 < size <= known.bytes_needed(number)


def test_a_disk_that_is_too_small_is_said_before_anything_is_made(known, monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"maps.*MB are needed, 0 MB are free.*fewer scales"):
        known.make(progress=False)
    assert not files(known.folder)


def test_maps_that_are_no_numbers_stop_and_name_the_image(detector, learning, tmp_path):
    bias = detector[0].trunk.weights[-1]
    bias.assign(np.full(bias.shape, 1e9))
    broken = feature_cache.FeatureMapCache(detector[0], learning, tmp_path)
    with pytest.raises(ValueError, match=r"maps of the image '.*train_0.*' are not finite"):
        broken.make(progress=False)


def test_a_file_is_there_whole_or_not_at_all(known, monkeypatch):
    def killed(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", killed)
    with pytest.raises(KeyboardInterrupt):
        known.make(progress=False)
    assert not files(known.folder)


def test_vectors_of_warped_windows_are_those_of_the_network(halves, learning, tmp_path):
    rival, _ = variants.create_detector(halves, scenes.CLASSES, RegionDetector, side=64)
    kept = feature_cache.FeatureMapCache(rival, learning, tmp_path)
    example = learning[0]
    (vectors,) = kept[0]
    assert len(vectors) == 1 + len(example.windows)
    pixels = learning.pixels(0).astype("float32")
    for number in (0, 7):
        left, top, right, bottom = example.windows[number].round().astype(int)
        # By another way: enlarged by sixteen pixels of 224 on each side, then resized.
        margins = [(16 / 192) * (right - left), (16 / 192) * (bottom - top)]
        warped = literal_warp(pixels, example.windows[number], margins, 64)
        pooled = halves.pooling(halves.trunk(warped[np.newaxis]))
        np.testing.assert_allclose(vectors[number + 1], pooled[0], rtol=2e-2, atol=2e-3)


def literal_warp(pixels, box, margins, side):
    """Bilinear samples at the centers of the warped window's pixels, gray outside."""
    left, top, right, bottom = box
    margins = [(16 / 192) * (right - left), (16 / 192) * (bottom - top)]
    xs = left - margins[0] + (np.arange(side) + 0.5) * (right - left + 2 * margins[0]) / side - 0.5
    ys = top - margins[1] + (np.arange(side) + 0.5) * (bottom - top + 2 * margins[1]) / side - 0.5
    height, width = pixels.shape[:2]
    warped = np.full((side, side, 3), 128, "float32")
    for row, y in enumerate(ys):
        for column, x in enumerate(xs):
            if 0 <= y <= height - 1 and 0 <= x <= width - 1:
                i, j = min(int(y), height - 2), min(int(x), width - 2)
                part = pixels[i : i + 2, j : j + 2]
                down, across = np.array([1 - y + i, y - i]), np.array([1 - x + j, x - j])
                warped[row, column] = np.einsum("i,j,ijc->c", down, across, part)
    return warped


def test_windows_are_needed_of_every_image(voc):
    found = records.load_records(voc, "val")
    with pytest.raises(ValueError, match="`proposals` must be windows for each of the 6 images"):
        TrainingImages(found, [np.zeros((0, 4))])
    windows = [np.zeros((0, 4))] * 5 + [np.array([[5, 5, 2, 9]])]
    with pytest.raises(ValueError, match=r"left <= right .* 'JPEGImages/val_5.jpg'|val_5"):
        TrainingImages(found, windows)


def test_a_network_that_is_broken_is_refused_at_once(detector, learning, tmp_path):
    bias = detector[0].trunk.weights[-1]
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(ValueError, match=r"`detector` must have finite weights.*conv5"):
        feature_cache.FeatureMapCache(detector[0], learning, tmp_path)
