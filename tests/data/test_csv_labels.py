"""Folders of images with a CSV file: tables, names of images, splits, records."""

import csv
import io
import os
import unicodedata

import numpy as np
import pytest
from folder_files import image, write

from spp_keras.data import csv_labels, label_tables, records, splits


def read_table(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return label_tables.read_label_table(path)


def rows_of(table):
    return [(row.file, [table.classes[label] for label in row.labels]) for row in table.rows]


PLAIN = [("1.jpg", ["cat"]), ("sub/2.jpg", ["dog"])]


@pytest.mark.parametrize(
    "text",
    [
        "file,label\n1.jpg,cat\nsub/2.jpg,dog\n",
        "filename;class\r\n1.jpg;cat\r\nsub\\2.jpg;dog\r\n",
        "\ufeffImage Path\tLabel\n./1.jpg\tcat\nsub/2.jpg\tdog",
        'id,diagnosis\n"1.jpg"," cat "\n\nsub/2.jpg,dog\n\n',
        "label,width,file\ncat,100,1.jpg\ndog,200,sub/2.jpg\n",
        ",file,target\n0,1.jpg,cat\n1,sub/2.jpg,dog\n",
        "name,species\n1.jpg,cat\nsub/2.jpg,dog\n",
    ],
)
def test_tables_as_programs_write_them(text, tmp_path):
    table = read_table(tmp_path, text)
    assert rows_of(table) == PLAIN
    assert not table.multi_label
    assert table.splits == ()


@pytest.mark.parametrize(
    "text",
    [
        "file,labels\n1,cat|dog\n2,\n3,dog\n",
        "file,labels\n1,dog; cat\n2,\n3,dog|dog\n",
        "file\ttags\n1\tcat;dog\n2\t\n3\tdog\n",
        'file;tags\n1;"cat;dog"\n2;\n3;dog\n',
        "file,cat,dog\n1,1,1.0\n2,0,false\n3,0.0,TRUE\n",
    ],
)
def test_several_labels(text, tmp_path):
    table = read_table(tmp_path, text)
    assert table.multi_label
    assert rows_of(table) == [("1", ["cat", "dog"]), ("2", []), ("3", ["dog"])]


def test_columns_of_classes_keep_their_order_and_one_class_each_is_still_multi_label(tmp_path):
    table = read_table(tmp_path, "file,Dog,cat\n1,1,0\n2,0,1\n")
    assert table.classes == ("Dog", "cat")
    assert table.multi_label


def test_numbers_are_in_the_order_of_numbers(tmp_path):
    text = "id,label\n" + "".join(f"{i},{i}\n" for i in (10, 2, 0, 1))
    assert read_table(tmp_path, text).classes == ("0", "1", "2", "10")
    assert read_table(tmp_path, text + "x,b\n").classes == ("0", "1", "10", "2", "b")


def test_lines_are_counted_as_in_the_file_and_split_where_csv_does(tmp_path):
    text = 'file,label,note\n1.jpg,cat,"two\nlines"\n\n2\u2028.jpg,d\x0bog,\n'
    table = read_table(tmp_path, text)
    assert [row.line for row in table.rows] == [3, 5]
    with io.StringIO(text, newline="") as file:
        expected = [(row["file"], [row["label"]]) for row in csv.DictReader(file)]
    assert rows_of(table) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("file,label\n", "without any"),
        ("1.jpg,cat\n2.jpg,dog\n", r"names its columns.*begins with an image.*'1\.jpg', 'cat'"),
        ("picture,label\n1,cat\n", r"be file, filename.*has none of them.*'picture'"),
        ("file,split\n1.jpg,train\n", r"a column of labels.*\['file', 'split'\]"),
        ("file\n1.jpg\n", "a column of labels"),
        ("file,label\n1,cat\n2,dog,3\n", r"cells in each line.*2\. Received.*line 3 with 3: '2,d"),
        ("file;label\n1;cat;dog\n", "line 2 with 3.*need quotes"),
        ("file,a,b\n1,1,0\n2,1,2\n", "columns of 0 and 1.*line 3, with '2' in column 'b'"),
        ("file,a,a\n1,1,0\n", "different names"),
        ("file,label\n1,cat\n2,cat\n", r"at least two classes.*\['cat'\] in column 'label'"),
        ("file,label\n1,cat\n,dog\n", "name an image in each row.*line 3"),
        ("file,label,split\n1,cat,train\n2,dog,\n", "name a split in each row.*line 3"),
        ("file,label\n1,c\xe4t\n".encode("latin-1"), "UTF-8.*line 2 is not: save it"),
        ("file,label\n1,cat\n".encode("utf-16"), "UTF-8.*line 1"),
    ],
)
def test_tables_that_are_refused(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path, text)


def match(tmp_path, text, *paths):
    files = csv_labels.match_files(read_table(tmp_path, text), paths)
    return [(file.path, file.reason) for file in files]


def test_names_of_images(tmp_path):
    accent = unicodedata.normalize("NFD", "sub/pap\xe9.jpg")
    text = "file,label\na,1\nsub/b,2\nc.png,1\nd,2\npap\xe9,1\na.b,2\n"
    paths = ("a.jpg", "sub/b.jpg", "sub/c.png", "sub/more/d.gif", accent, "a.b.jpg")
    assert match(tmp_path, text, *paths) == [(path, None) for path in paths]


def test_the_whole_path_goes_before_the_name(tmp_path):
    text = "file,label\n1.jpg,a\nsub/1.jpg,b\n"
    assert match(tmp_path, text, "sub/1.jpg", "1.jpg") == [("1.jpg", None), ("sub/1.jpg", None)]


def test_rows_of_no_use_have_reasons(tmp_path):
    text = "file,label\n1.jpg,a\n2.jpg,b\n3.jpg,\nnew/1.jpg,a\n"
    assert match(tmp_path, text, "1.jpg", "3.jpg") == [
        ("1.jpg", None),
        ("2.jpg", "is not there; line 3 of labels.csv names it"),
        ("3.jpg", "has no label in line 4 of labels.csv"),
        ("new/1.jpg", "is not there; line 5 of labels.csv names it"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\n1,a\nx,b\n", r"line 2, where '1' may be '1\.jpg' or '1\.png'"),
        ("file,label\n2,a\nx,b\n", r"where '2' may be 'a/2\.jpg' or 'b/2\.jpg': write paths"),
        ("file,label\n1.jpg,a\nx,b\n1.jpg,b\n", r"line 4, which names '1\.jpg' as line 2 does"),
        ("file,label\na/2,a\na/2.jpg,a\nx,b\n", "line 3, which .* as line 2 does: remove one"),
    ],
)
def test_names_that_are_refused(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        match(tmp_path, text, "1.jpg", "1.png", "a/2.jpg", "b/2.jpg")


@pytest.fixture
def photos(tmp_path):
    """Thirty images of two classes, and their labels."""
    names = [f"{index:02}.png" for index in range(30)]
    files = {name: image(index, 20 + index) for index, name in enumerate(names)}
    rows = [f"{name},{'cat' if index < 10 else 'dog'}\n" for index, name in enumerate(names)]
    return write(tmp_path / "photos", {**files, "labels.csv": "file,label\n" + "".join(rows)})


@pytest.mark.parametrize("as_file", [False, True])
def test_records(photos, as_file):
    data = photos / "labels.csv" if as_file else photos
    assert splits.choose_splits(str(data)) == ("train", "validation")
    train, validation = (records.load_records(str(data), x) for x in ("train", "validation"))
    assert train.name == f"{photos / 'labels.csv'} train"
    assert train.classes == validation.classes == ("cat", "dog")
    assert np.bincount(validation.labels).tolist() == [1, 2]
    assert sorted([*train.ids, *validation.ids]) == [f"{index:02}.png" for index in range(30)]
    for part in (train, validation):
        numbers = [int(name[:2]) for name in part.ids]
        assert numbers == sorted(numbers)
        assert part.labels.tolist() == [int(number >= 10) for number in numbers]
        assert part.sizes[:, 0].tolist() == [20 + number for number in numbers]
        assert part.files == tuple(str(photos / name) for name in part.ids)
    assert records.load_records(data, "val").ids.tolist() == validation.ids.tolist()


def test_a_changed_table_is_noticed(photos):
    before = records.load_records(photos, "train")
    table = photos / "labels.csv"
    table.write_text(table.read_text().replace("cat", "owl"))
    assert records.load_records(photos, "train").classes == ("dog", "owl")
    assert before.classes == ("cat", "dog")


def test_splits_in_a_column(tmp_path):
    text = "image,label,Split\n0,a,train\n1,b,Train\n2,b,val\n3,c,test\n"
    root = write(tmp_path, {"labels.csv": text, **{f"{i}.png": image(i) for i in range(4)}})
    assert splits.choose_splits(root) == ("train", "validation")
    loaded = {split: records.load_records(root, split) for split in ("train", "val", "test")}
    assert [part.ids.tolist() for part in loaded.values()] == [
        ["0.png", "1.png"],
        ["2.png"],
        ["3.png"],
    ]
    assert [part.labels.tolist() for part in loaded.values()] == [[0, 1], [1], [2]]
    assert {part.classes for part in loaded.values()} == {("a", "b", "c")}
    assert len(records.load_records(root, "validation")) == 1
    with pytest.raises(ValueError, match=r"one of 'train', 'validation', 'test'.*split='dev'"):
        records.load_records(root, "dev")
    text = text.replace("val", "test")
    write(root, {"labels.csv": text})
    assert splits.choose_splits(root / "labels.csv") == ("train", "test")


def test_a_split_that_is_not_in_the_table(photos):
    with pytest.raises(ValueError, match=r"'train' or 'validation', since.*no column 'split'"):
        records.load_records(photos, "test")


def test_several_labels_become_rows_of_zeros_and_ones(tmp_path):
    text = "file,labels\n0,cat|dog\n1,\n2,owl\n3,dog\n4,owl\n5,cat\n"
    root = write(tmp_path, {"labels.csv": text, **{f"{i}.png": image(i) for i in range(6)}})
    parts = [records.load_records(root, split) for split in ("train", "validation")]
    expected = [[1, 1, 0], [0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    for part in parts:
        assert part.multi_label
        assert part.labels.dtype == np.uint8
        assert part.labels.tolist() == [expected[int(name[0])] for name in part.ids]
    assert parts[0].labels.any(axis=0).all()
    assert sorted([*parts[0].ids, *parts[1].ids]) == [f"{i}.png" for i in range(6)]


def test_rows_and_images_without_each_other(photos):
    write(photos, {"more/1.png": image(), "more/.hidden.png": image(), "notes.txt": ""})
    (photos / "29.png").unlink()
    with pytest.warns(UserWarning, match=r"1 images have no row .* left out: more/1\.png\.$"):
        train = records.load_records(photos, "train")
    assert train.skipped == (("29.png", "is not there; line 31 of labels.csv names it"),)
    assert "more/1.png" not in train.ids
    # Where most rows name nothing, that is an error with their lines.
    write(photos, {"labels.csv": "file,label\n00.png,cat\nx.png,dog\ny.png,cat\n"})
    with (
        pytest.warns(UserWarning, match=r"29 images have no row .*, \.\.\.\.$"),
        pytest.raises(ValueError, match=r"(?s)2 of 3 cannot:\n  x\.png is not there; line 3 of"),
    ):
        records.load_records(photos, "train")


def test_file_name_that_is_not_utf8(photos):
    write(photos, {os.fsdecode(b"\xff.png"): image()})
    with pytest.warns(UserWarning, match=r"left out: \\udcff\.png"):
        assert len(records.load_records(photos, "validation")) == 3


def test_one_image_of_each_class_leaves_none_for_validation(tmp_path):
    root = write(tmp_path, {"labels.csv": "file,label\n0,a\n1,b\n", "0.png": b"", "1.png": b""})
    with pytest.raises(ValueError, match=r"two images or more.*or a column 'split'"):
        records.load_records(root, "validation")


@pytest.mark.parametrize("function", [splits.choose_splits, lambda x: records.load_records(x, "a")])
def test_a_table_that_is_not_there(function):
    with pytest.raises(ValueError, match=r"existing folder or table.*'photos/labels\.csv'"):
        function("photos/labels.csv")


def test_a_folder_of_images_alone_hears_of_tables(tmp_path):
    write(tmp_path, {"1.png": image()})
    with pytest.raises(ValueError, match=r"at least two classes.*it needs a table labels\.csv"):
        records.load_records(tmp_path, "train")
