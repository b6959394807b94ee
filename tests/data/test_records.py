import os
import shutil
import time
from pathlib import Path

import exif_files
import numpy as np
import pytest
import tensorflow as tf
from folder_files import image, write
from image_files import REFUSAL
from photographs import photograph
from PIL import Image

from spp_keras.data import image_rules, inspection, records

VOC = "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike"
VOC = (*VOC.split(), "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")


def read(loaded, i):
    index, offset, length = loaded.spans[i]
    with Path(loaded.files[index]).open("rb") as file:
        file.seek(offset)
        return file.read(length)


@pytest.fixture
def flowers(tmp_path):
    """Two classes, ten images, sizes that all differ."""
    files = {
        f"train/{name}/{index}.png": image(index, 20 + index, 30)
        for name in ("rose", "tulip")
        for index in range(5)
    }
    return write(tmp_path / "flowers", files)


def test_a_folder_per_class_in_a_folder_per_split(tmp_path):
    files = {
        "train/tulip/b.JPG": image(1),
        "train/tulip/old/a.jpeg": image(2, 25, 31),
        "train/rose/c.png": image(3),
        "train/rose/.hidden.png": b"",
        "train/rose/Thumbs.db": b"",
        "train/.cache/d.png": b"",
        "validation/tulip/e.png": image(5, 17, 16),
        "notes.txt": b"",
    }
    root = write(tmp_path, files)
    train, validation = (
        records.load_records(root, "train"),
        records.load_records(str(root), "validation"),
    )
    assert train.name == f"{root} train"
    # A class that a split has no image of keeps its number.
    assert train.classes == validation.classes == ("rose", "tulip")
    assert train.ids.tolist() == ["train/rose/c.png", "train/tulip/b.JPG", "train/tulip/old/a.jpeg"]
    assert train.labels.tolist() == [0, 1, 1]
    assert train.labels.dtype == np.int32
    assert train.sizes.tolist() == [[20, 30], [20, 30], [25, 31]]
    assert validation.labels.tolist() == [1]
    assert validation.sizes.tolist() == [[17, 16]]
    for i, name in enumerate(train.ids):
        assert read(train, i) == files[name]
    assert not train.multi_label
    assert train.objects is None
    assert train.skipped == ()
    assert records.load_records(root, "val").ids.tolist() == validation.ids.tolist()


def test_validation_part_of_each_class(tmp_path):
    counts = {"rose": 44, "tulip": 6, "daisy": 1}
    names = [f"{kind}/{index}.png" for kind, count in counts.items() for index in range(count)]
    root = write(tmp_path / "a", dict.fromkeys(names, image()))
    train = records.load_records(root, "train")
    validation = records.load_records(root, "validation")
    assert sorted([*train.ids, *validation.ids]) == sorted(names)
    assert validation.classes == train.classes == ("daisy", "rose", "tulip")
    assert np.bincount(validation.labels).tolist() == [0, 4, 1]
    # Neither another class nor another place changes what is held back.
    write(root, {"aster/new.png": image(), "aster/newer.png": image()})
    root = root.rename(tmp_path / "b")
    again = records.load_records(root, "validation")
    assert {*again.ids} - {"aster/new.png", "aster/newer.png"} == {*validation.ids}
    assert len(again) == len(validation) + 1


def test_classes_of_one_image_have_none_for_validation(tmp_path):
    root = write(tmp_path, {"a/1.png": image(), "b/1.png": image()})
    assert len(records.load_records(root, "train")) == 2
    with pytest.raises(ValueError, match=r"a class of two images or more.*2 images of 2 classes"):
        records.load_records(root, "validation")


def test_class_may_be_named_train(tmp_path):
    root = write(tmp_path, {f"{k}/{n}.png": image() for k in ("train", "bus") for n in range(30)})
    assert records.load_records(root, "train").classes == ("bus", "train")


@pytest.mark.parametrize(
    ("files", "split", "message"),
    [
        ({"train/a/1.png": b"", "train/b/1.png": b""}, "test", r"must be one of 'train'.*'test'"),
        ({"a/1.png": b"", "b/1.png": b""}, "test", r"must be 'train' or 'validation'.*'test'"),
        ({"train/1.png": b"", "test/1.png": b""}, "train", r"a folder per class within that of a"),
        ({"images/a/1.png": b"", "images/b/1.png": b""}, "train", r"at least two.*\['images'\]"),
        ({"1.png": b""}, "train", r"at least two classes.*\[\]"),
        ({"train/a/1.txt": b"", "train/b/1": b""}, "train", r"none in .*\.txt, no suffix"),
        (
            {"train/a/1.png": b"", "train/b/1.png": b"", "test/c/1.png": b""},
            "test",
            r"no classes in split 'test' that are not in 'train'.*\['c'\]",
        ),
    ],
)
def test_unsuitable_folders_are_refused(files, split, message, tmp_path):
    write(tmp_path, files)
    with pytest.raises(ValueError, match=message):
        records.load_records(tmp_path, split)


def test_circular_links_are_refused_and_others_followed(flowers, tmp_path):
    (flowers / "train" / "daisy").symlink_to(flowers / "train" / "rose")
    assert len(records.load_records(flowers, "train")) == 15
    (flowers / "train" / "rose" / "loop").symlink_to(flowers / "train")
    with pytest.raises(ValueError, match="no link to a folder that it is in"):
        records.load_records(flowers, "train")


def test_file_name_that_is_not_utf8_is_skipped(flowers):
    write(flowers, {os.fsdecode(b"train/rose/\xff.png"): image()})
    [skipped] = records.load_records(flowers, "train", max_skipped_fraction=0.5).skipped
    assert skipped == ("train/rose/\\udcff.png", "has a name that is not UTF-8; rename it")


def test_unusable_images_are_skipped_up_to_a_fraction(flowers, monkeypatch):
    write(flowers, {"train/rose/0.png": b"", "train/tulip/3.png": "Not found"})
    with pytest.raises(ValueError, match=r"(?s)2 of 10 cannot:\n  train/rose/0.png is empty\n.*"):
        records.load_records(flowers, "train")
    # What was found is kept, to be looked at under another limit.
    monkeypatch.setattr(inspection, "inspect_images", None)
    loaded = records.load_records(flowers, "train", max_skipped_fraction=0.2)
    assert loaded.skipped == (
        ("train/rose/0.png", "is empty"),
        ("train/tulip/3.png", REFUSAL),
    )
    good = [f"train/{k}/{n}.png" for k in ("rose", "tulip") for n in range(5)]
    assert loaded.ids.tolist() == [item for item in good if item not in dict(loaded.skipped)]
    assert loaded.labels.tolist() == [0] * 4 + [1] * 4
    assert loaded.sizes[:, 0].tolist() == [21, 22, 23, 24, 20, 21, 22, 24]
    assert [read(loaded, i) for i in range(2)] == [image(1, 21, 30), image(2, 22, 30)]


def test_error_lists_ten_images_and_counts_the_rest(flowers):
    write(flowers, {f"train/rose/bad{index}.png": b"" for index in range(13)})
    with pytest.raises(ValueError, match=r"13 of 23") as caught:
        records.load_records(flowers, "train")
    assert str(caught.value).count("is empty") == 10
    assert "and 3 more" in str(caught.value)
    assert "pass a larger `max_skipped_fraction`" in str(caught.value)


def test_on_error_fail_stops_at_the_first_unusable_image(flowers, own_cache):
    write(flowers, {"train/rose/2.png": b"", "train/tulip/3.png": b""})
    stop = pytest.raises(ValueError, match=r"flowers train, where train/rose/2.png is empty")
    with stop:
        records.load_records(flowers, "train", on_error="fail")
    assert not own_cache.exists()
    # The same from the cache.
    records.load_records(flowers, "train", max_skipped_fraction=0.5)
    with stop:
        records.load_records(flowers, "train", on_error="fail")


def test_no_usable_image_is_an_error(tmp_path):
    root = write(tmp_path, {"train/a/1.png": b"", "train/b/1.png": b""})
    with pytest.raises(ValueError, match="2 of 2 cannot"):
        records.load_records(root, "train", max_skipped_fraction=0.99)


def test_converted_images_are_counted(flowers):
    for index in range(3):
        Image.new("L", (30, 20)).save(flowers / "train" / "rose" / f"{index}.png")
    Image.new("CMYK", (30, 20)).save(flowers / "train" / "rose" / "3.jpg")
    assert records.load_records(flowers, "train").converted == {"gray": 3, "CMYK": 1}


def test_cached_records_are_equal_without_decoding(flowers, monkeypatch):
    first = records.load_records(flowers, "train")
    monkeypatch.setattr(tf.io, "decode_image", None)
    second = records.load_records(flowers, "train")
    assert len(second) == 10
    for field in ("ids", "labels", "sizes", "spans"):
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
        assert getattr(first, field).dtype == getattr(second, field).dtype
    assert (first.classes, first.files) == (second.classes, second.files)


def test_cache_notices_changed_files_and_limits(flowers):
    path = flowers / "train" / "rose" / "0.png"
    assert records.load_records(flowers, "train").sizes[0].tolist() == [20, 30]
    write(flowers, {"train/rose/0.png": image(0, 50, 60)})
    assert records.load_records(flowers, "train").sizes[0].tolist() == [50, 60]
    path.write_bytes(b"x" * path.stat().st_size)
    os.utime(path, (1, 1))
    assert len(records.load_records(flowers, "train", max_skipped_fraction=0.1)) == 9
    write(flowers, {"train/rose/0.png": image(0, 50, 60)})
    (flowers / "train" / "daisy").mkdir()
    assert records.load_records(flowers, "train").labels[0] == 1
    write(flowers, {"train/rose/9.png": image()})
    assert len(records.load_records(flowers, "train")) == 11
    narrow = image_rules.ImageLimits(min_side=22)
    assert len(records.load_records(flowers, "train", limits=narrow, max_skipped_fraction=0.9)) == 7


@pytest.mark.parametrize("damage", [b"", b"not a zip", "half", "flipped"])
def test_damaged_cache_file_is_replaced(damage, flowers, own_cache):
    expected = records.load_records(flowers, "train")
    [path] = own_cache.rglob("*.npz")
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:300] + bytes([whole[300] ^ 255]) + whole[301:]
    path.write_bytes({"half": whole[:middle], "flipped": flipped}.get(damage, damage))
    loaded = records.load_records(flowers, "train")
    assert loaded.ids.tolist() == expected.ids.tolist()
    assert len(path.read_bytes()) == len(whole)
    assert [file for file in own_cache.rglob("*") if file.is_file()] == [path]


def test_read_only_cache_is_a_warning(flowers, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(write(tmp_path, {"file": b""}) / "file"))
    with pytest.warns(UserWarning, match="checked again next time.*XDG_CACHE_HOME"):
        assert len(records.load_records(flowers, "train")) == 10


def test_progress_bar_appears_after_a_second(flowers, capsys, monkeypatch):
    records.load_records(flowers, "train")
    assert capsys.readouterr().err == ""
    inspect_images = inspection.inspect_images

    def slowly(*arguments):
        for index, item in enumerate(inspect_images(*arguments)):
            if index == 5:
                time.sleep(1.2)
            yield item

    monkeypatch.setattr(inspection, "inspect_images", slowly)
    write(flowers, {"train/rose/new.png": image()})
    records.load_records(flowers, "train", progress=False)
    assert capsys.readouterr().err == ""
    write(flowers, {"train/rose/newer.png": image()})
    records.load_records(flowers, "train")
    written = capsys.readouterr()
    assert "Checking" in written.err
    assert "images/s" in written.err
    assert written.out == ""


def test_select(flowers):
    loaded = records.load_records(flowers, "train")
    by_mask = loaded.select(loaded.labels == 1)
    by_number = loaded.select([7, 2])
    assert by_mask.ids.tolist() == [f"train/tulip/{index}.png" for index in range(5)]
    assert by_number.ids.tolist() == ["train/tulip/2.png", "train/rose/2.png"]
    assert by_number.labels.tolist() == [1, 0]
    assert read(by_number, 0) == image(2, 22, 30)
    assert len(loaded.select([])) == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("/nowhere/at/all", "train"), ValueError, "must be an existing folder.*/nowhere/at/all"),
        ((7, "train"), TypeError, "`data` must be a path or a name"),
        (("", "train"), TypeError, "`data` must be a path or a name"),
        (("/tmp", ""), TypeError, "`split` must be the name of a split"),
        (("/tmp", None), TypeError, "`split` must be the name of a split"),
        (("./data", "train", "/tmp"), ValueError, "`data_dir` must be None with a folder"),
    ],
)
def test_invalid_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        records.load_records(*arguments)


@pytest.mark.parametrize(("name", "value"), [("on_error", "ignore"), ("max_skipped_fraction", 1.5)])
def test_invalid_options_are_refused(name, value, flowers):
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}="):
        records.load_records(flowers, "train", **{name: value})


def annotation(objects, height=20, width=40):
    items = "".join(
        f"<object><name>{name}</name><pose>Left</pose><difficult>{difficult}</difficult><bndbox>"
        f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox>"
        f"<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
        for name, difficult, (x0, y0, x1, y1) in objects
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation>{size}{items}</annotation>"


@pytest.fixture
def devkit(tmp_path):
    """Of pixels 20 high and 40 wide."""
    objects = {
        "000001": [("dog", 0, (1, 1, 40, 20)), ("cat", 0, (10, 5, 20, 15))],
        "000002": [("dog", 1, (4, 5, 8, 10)), ("Person", 0, (4, 5, 8, 10))],
        "000003": [("dog", 1, (4, 5, 8, 10))],
        "000004": [("train", 0, (4, 5, 50, 30))],
    }
    files = {f"VOC2007/Annotations/{i}.xml": annotation(item) for i, item in objects.items()}
    files |= {f"VOC2007/JPEGImages/{i}.jpg": image(int(i), 20, 40) for i in objects}
    lists = {"train": "000001\n000002\n", "val": "000003\n", "test": "000004 \n\n"}
    lists |= {"trainval": "000001\n000002\n000003\n", "dog_train": "000001  1\n000002  0\n"}
    files |= {f"VOC2007/ImageSets/Main/{name}.txt": text for name, text in lists.items()}
    return write(tmp_path / "VOCdevkit", files)


def test_voc_boxes_and_labels(devkit):
    loaded = records.load_records(devkit, "trainval")
    assert loaded.classes == VOC
    assert loaded.ids.tolist() == [f"JPEGImages/00000{index}.jpg" for index in (1, 2, 3)]
    assert loaded.multi_label
    assert loaded.labels.dtype == np.uint8
    assert [sorted(np.flatnonzero(row)) for row in loaded.labels] == [[7, 11], [14], []]
    first, second, third = loaded.objects
    np.testing.assert_allclose(
        first.boxes, [[1 / 20, 1 / 40, 1, 1], [5 / 20, 10 / 40, 15 / 20, 20 / 40]], rtol=1e-6
    )
    assert first.boxes.dtype == np.float32
    assert (first.labels.tolist(), second.labels.tolist()) == ([11, 7], [11, 14])
    assert first.labels.dtype == np.int32
    assert second.difficult.tolist() == [True, False]
    assert third.difficult.tolist() == [True]
    assert third.difficult.dtype == bool
    assert read(loaded, 1) == image(2, 20, 40)
    # The same from the cache.
    again = records.load_records(devkit, "trainval")
    for one, other in zip(loaded.objects, again.objects, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


def test_voc_splits_and_folders(devkit):
    for root in (devkit, devkit / "VOC2007", devkit.parent):
        assert len(records.load_records(root, "train")) == 2
    for split in ("val", "validation"):
        assert records.load_records(devkit, split).ids.tolist() == ["JPEGImages/000003.jpg"]
    with pytest.raises(ValueError, match=r"one of 'test', 'train', 'trainval', 'val'.*'tset'"):
        records.load_records(devkit, "tset")
    shutil.copytree(devkit / "VOC2007", devkit / "VOC2012")
    with pytest.raises(ValueError, match=r"must be one year of VOC, one of .*VOC2007.*VOC2012"):
        records.load_records(devkit, "train")


def test_voc_boxes_are_clipped_to_the_image(devkit):
    [objects] = records.load_records(devkit, "test").objects
    np.testing.assert_allclose(objects.boxes, [[5 / 20, 4 / 40, 1, 1]])


@pytest.mark.parametrize("orientation", [3, 6, 7])
@pytest.mark.parametrize(("height", "width"), [(20, 40), (40, 20), (32, 32)])
def test_boxes_are_turned_by_the_size_in_the_annotation(orientation, height, width, devkit):
    picture = photograph(height, width)
    lying = exif_files.lying(picture, orientation)
    files = {"JPEGImages/000001.jpg": exif_files.file(picture, "JPEG", orientation)}
    upright_box, place = (2, 3, 12, 9), devkit / "VOC2007"
    # The same object as somebody marks it who sees the pixels of the file.
    marks = np.zeros((height, width, 3), "uint8")
    marks[3:9, 2:12] = 255
    rows, columns = np.nonzero(np.asarray(exif_files.lying(marks, orientation))[..., 0])
    box_in_file = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    for box, size in ((upright_box, (height, width)), (box_in_file, lying.size[::-1])):
        if size == (height, width):
            # What turning does not show in the size, or is not done: upright.
            box = upright_box
        text = annotation([("dog", 0, box)], *size)
        write(place, files | {"Annotations/000001.xml": text})
        loaded = records.load_records(devkit, "train")
        assert loaded.sizes[0].tolist() == [height, width]
        expected = np.array([[3, 2, 9, 12]]) / [height, width, height, width]
        np.testing.assert_allclose(loaded.objects[0].boxes, expected, atol=1e-6)


def test_other_classes_are_sorted_over_all_splits(devkit):
    write(devkit, {"VOC2007/Annotations/000004.xml": annotation([("Zebra", 0, (1, 1, 9, 9))])})
    train, test = records.load_records(devkit, "train"), records.load_records(devkit, "test")
    assert train.classes == test.classes == ("cat", "dog", "person", "zebra")
    assert test.labels.tolist() == [[0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "has no annotation"),
        ("<annotation>", "has an annotation that cannot be used: no element found"),
        (annotation([("dog", 0, (9, 5, 9, 9))]), r"has no pixel of the image in it"),
        (annotation([("dog", 0, (9, 5, "x", 9))]), r"could not convert"),
        (annotation([], height=0), r"says that the image has 0x40 pixels"),
        ("<annotation/>", r"<size/height> is missing"),
        (annotation([("", 0, (1, 1, 9, 9))]), r"an object has no name"),
    ],
)
def test_unusable_annotations_have_reasons(text, reason, devkit):
    path = devkit / "VOC2007" / "Annotations" / "000002.xml"
    path.unlink() if text is None else path.write_text(text)
    loaded = records.load_records(devkit, "train", max_skipped_fraction=0.5)
    assert loaded.ids.tolist() == ["JPEGImages/000001.jpg"]
    assert len(loaded.objects) == 1
    [(name, message_text)] = loaded.skipped
    assert name == "JPEGImages/000002.jpg"
    assert reason in message_text


def test_missing_listed_image_is_skipped(devkit):
    (devkit / "VOC2007" / "JPEGImages" / "000001.jpg").unlink()
    [skipped] = records.load_records(devkit, "train", max_skipped_fraction=0.5).skipped
    assert skipped == ("JPEGImages/000001.jpg", "cannot be read: No such file or directory")


def test_split_without_labels_is_an_error(devkit):
    write(devkit, {"VOC2007/Annotations/000004.xml": annotation([])})
    with pytest.raises(ValueError, match=r"`split` must have labels.* test, where no image has"):
        records.load_records(devkit, "test")
