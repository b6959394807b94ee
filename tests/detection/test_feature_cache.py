import shutil

import numpy as np
import pytest
import tensorflow as tf

from spp_keras.data import records
from spp_keras.detection.feature_cache import FeatureMapCache, make_cache_key
from spp_keras.detection.training_images import TrainingImages


def list_files(folder):
    return sorted(path for path in folder.rglob("*.npz"))


def test_cached_feature_maps_are_those_of_the_network(untrained, cache):
    cache.fill(progress=False)
    assert len(list_files(cache.folder)) == len(cache) == 24
    for index in (0, 1):
        image = cache.images.read_pixels(index).astype("float32")
        (expected,) = untrained[0].compute_feature_maps(tf.constant(image))
        (feature_map,) = cache[index]
        assert feature_map.dtype == "float32"
        np.testing.assert_allclose(feature_map, expected, rtol=1e-3, atol=1e-6)


def test_fill_computes_only_what_is_missing(cache):
    cache.fill(progress=False)
    missing = list_files(cache.folder)[5]
    times = {path: path.stat().st_mtime_ns for path in list_files(cache.folder) if path != missing}
    missing.unlink()
    cache.fill(progress=False)
    assert missing.exists()
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_the_key_depends_on_weights_and_scales_alone(untrained):
    detector, _ = untrained
    keys = {make_cache_key(detector), make_cache_key(detector.replace(scales=(90,)))}
    assert make_cache_key(detector.replace(score_threshold=0.5)) in keys
    kernel = detector.trunk.weights[0]
    kernel.assign(kernel + 1e-3)
    keys.add(make_cache_key(detector))
    assert len(keys) == 3


def test_feature_maps_of_another_image_are_never_used(untrained, voc, tmp_path):
    root = tmp_path / "voc"
    shutil.copytree(voc, root)

    def load_cache():
        loaded = records.load_records(root, "val")
        images = TrainingImages(loaded, [np.zeros((0, 4))] * len(loaded))
        return FeatureMapCache(untrained[0], images, tmp_path / "maps")

    before = load_cache()
    first, second = before[0], before[1]
    shutil.copy(root / "JPEGImages/val_1.jpg", root / "JPEGImages/val_0.jpg")
    assert first[0].shape != second[0].shape or (first[0] != second[0]).any()
    np.testing.assert_array_equal(load_cache()[0][0], second[0])


def test_estimate_bytes_is_the_size_of_the_file(cache):
    cache.fill(progress=False)
    for index in (0, 3):
        size = cache.path(index).stat().st_size
        assert cache.estimate_bytes(index) - 1000 < size <= cache.estimate_bytes(index)


def test_a_disk_that_is_too_small_is_an_error_before_anything_is_computed(cache, monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"maps.*MB are needed, 0 MB are free.*fewer scales"):
        cache.fill(progress=False)
    assert not list_files(cache.folder)


def test_feature_maps_that_are_not_finite_stop_and_name_the_image(
    untrained, training_images, tmp_path
):
    bias = untrained[0].trunk.weights[-1]
    bias.assign(np.full(bias.shape, 1e9))
    cache = FeatureMapCache(untrained[0], training_images, tmp_path)
    with pytest.raises(ValueError, match=r"maps of the image '.*train_0.*' are not finite"):
        cache.fill(progress=False)


def test_weights_that_are_not_finite_are_refused_at_once(untrained, training_images, tmp_path):
    bias = untrained[0].trunk.weights[-1]
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(ValueError, match=r"`detector` must have finite weights.*conv5"):
        FeatureMapCache(untrained[0], training_images, tmp_path)


def test_a_file_is_there_as_a_whole_or_not_at_all(cache, monkeypatch):
    def kill(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", kill)
    with pytest.raises(KeyboardInterrupt):
        cache.fill(progress=False)
    assert not list_files(cache.folder)
