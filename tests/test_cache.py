import numpy as np
import pytest

from spp_keras import _cache


@pytest.fixture
def cache(tmp_path):
    return _cache.ArrayCache(tmp_path / "cache")


def test_keys_depend_on_every_part_and_its_type():
    keys = [_cache.make_key(*parts) for parts in [(b"ab", b"c"), (b"a", b"bc"), ("ab", "c"), (1,)]]
    assert len(set(keys)) == 4
    assert _cache.make_key(b"ab", 1, (2, None)) == _cache.make_key(b"ab", 1, (2, None))


def test_describe_files_changes_with_size_and_time(tmp_path):
    path = tmp_path / "image.png"
    descriptions = [_cache.describe_files([path])]
    path.write_bytes(b"one")
    descriptions.append(_cache.describe_files([path]))
    path.write_bytes(b"three")
    descriptions.append(_cache.describe_files([path]))
    assert descriptions[0] == [(str(path), None, None)]
    assert descriptions[1] != descriptions[2]


@pytest.mark.parametrize("compress", [True, False])
def test_arrays_are_loaded_as_they_were_saved(compress, tmp_path):
    cache, key = _cache.ArrayCache(tmp_path, compress=compress), _cache.make_key("key")
    arrays = {"ids": np.array(["größe", "x"]), "boxes": np.ones((2, 4), "float16")}
    assert cache.load(key) is None
    cache.save(key, arrays)
    loaded = cache.load(key)
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype


@pytest.mark.parametrize("content", [b"", b"not a zip", b"\x93NUMPY", "half"])
def test_damaged_file_is_not_loaded(content, cache):
    key = _cache.make_key("key")
    cache.save(key, {"boxes": np.ones(100)})
    path = cache.path(key)
    path.write_bytes(path.read_bytes()[:300] if content == "half" else content)
    assert cache.load(key) is None


@pytest.mark.parametrize("compress", [True, False])
def test_a_file_with_a_changed_bit_is_not_loaded_or_has_what_was_saved(compress, tmp_path):
    cache, key = _cache.ArrayCache(tmp_path, compress=compress), _cache.make_key("key")
    arrays = {"ids": np.arange(5), "boxes": np.ones((2, 4), "float32")}
    cache.save(key, arrays)
    path = cache.path(key)
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        # A damaged directory can leave an array out.
        for name, array in (cache.load(key) or {}).items():
            np.testing.assert_array_equal(array, arrays[name], strict=True)


def test_plain_numpy_file_is_not_loaded(cache):
    key = _cache.make_key("key")
    cache.path(key).parent.mkdir(parents=True)
    with cache.path(key).open("wb") as file:
        np.save(file, np.ones(3))
    assert cache.load(key) is None


def test_write_error_is_raised_or_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    key = _cache.make_key("key")
    with pytest.raises(OSError, match="file"):
        _cache.ArrayCache(tmp_path / "file").save(key, {})
    tolerant = _cache.ArrayCache(tmp_path / "file", on_write_error="It will be computed again")
    with pytest.warns(UserWarning, match=r"^It will be computed again, since '.*file' cannot"):
        tolerant.save(key, {})


def test_user_folder_is_in_the_cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _cache.user_folder("records") == tmp_path / "spp_keras" / "records"
