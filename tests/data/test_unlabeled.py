import pytest
from photographs import encoded, photograph

from spp_keras.data import records, unlabeled


def test_every_image_is_listed_without_a_label(tmp_path):
    names = ["b.png", "a/z.png", "a/b/c.JPG", "a/heic.heic"]
    for number, name in enumerate([*names, "a/.hidden.png", ".git/x.png", "notes.txt"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encoded(photograph(20, 30 + number, number)))
    (tmp_path / "a/heic.heic").write_bytes(b"\0\0\0\x18ftypheic")
    source = unlabeled.find_unlabeled_images(tmp_path)
    images = records.load_source(source, max_skipped_fraction=1, progress=False)
    assert images.ids.tolist() == ["a/b/c.JPG", "a/z.png", "b.png"]
    assert [image.id for image in images.skipped] == ["a/heic.heic"]
    assert images.labels.tolist() == [unlabeled.NO_CLASS] * 3
    assert images.classes == ()
    assert images.select([0, 2]).ids.tolist() == ["a/b/c.JPG", "b.png"]


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match="`data` must have images, ending in"):
        unlabeled.find_unlabeled_images(tmp_path)


def test_a_split_of_which_no_image_can_be_used_may_be_taken(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "1.jpg").touch()
    loaded = records.load_records(tmp_path, "train", max_skipped_fraction=1, progress=False)
    assert (len(loaded), len(loaded.skipped), loaded.sizes.shape) == (0, 2, (0, 2))
    with pytest.raises(ValueError, match="where 2 of 2 cannot"):
        records.load_records(tmp_path, "train", max_skipped_fraction=0.99, progress=False)
    with pytest.raises(ValueError, match="`max_skipped_fraction` must be"):
        records.load_records(tmp_path, "train", max_skipped_fraction=1.5)
