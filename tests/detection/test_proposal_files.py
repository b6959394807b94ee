import json
import sys

import numpy as np
import pytest
import scipy.io
from proposal_images import (
    make_span_records,
)

from spp_keras.detection import proposal_files

RECORDS = make_span_records(
    "five", ["a/1.jpg", "a/2.jpg", "b/3.jpg"], [(100, 200)] * 3, (), [(0, 0, 0)] * 3
)
BOXES = [
    np.array([[0.25, 1.1, 200, 100], [3, 4, 5, 6]], np.float32),
    np.zeros((0, 4), np.float32),
    np.array([[7, 8, 90, 10]], np.float32),
]


def lines(*rows):
    return "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


ROWS = [{"id": id, "boxes": each.tolist()} for id, each in zip(RECORDS.ids, BOXES, strict=True)]


def test_read_proposals_returns_what_write_proposals_wrote(tmp_path):
    path = tmp_path / "new" / "proposals.jsonl"
    proposal_files.write_proposals(path, RECORDS.ids, BOXES)
    for boxes, other in zip(proposal_files.read_proposals(path, RECORDS), BOXES, strict=True):
        assert boxes.dtype == np.float32
        np.testing.assert_array_equal(boxes, other)
    # Part of the images, in another order.
    part = RECORDS.select([2, 0])
    for boxes, other in zip(
        proposal_files.read_proposals(str(path), part), BOXES[::-2], strict=True
    ):
        np.testing.assert_array_equal(boxes, other)


def test_a_line_is_an_image_in_json(tmp_path):
    proposal_files.write_proposals(tmp_path / "p", RECORDS.ids, BOXES)
    assert [json.loads(line) for line in (tmp_path / "p").read_text().splitlines()] == ROWS


def test_boxes_are_cut_off_at_the_edges_of_the_image(tmp_path):
    rows = [{"id": "a/1.jpg", "boxes": [[-5, -1, 300, 101], [199, 99.5, 1e9, 1e300]]}]
    (tmp_path / "p").write_text(lines(*rows, *ROWS[1:], "\n"))
    first = proposal_files.read_proposals(tmp_path / "p", RECORDS)[0]
    assert first.tolist() == [[0, 0, 200, 100], [199, 99.5, 200, 100]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines(*ROWS[:2], '{"id": "b/3'), r"a line of JSON.*p, where line 3 is cut short or no"),
        (lines("\n", b"\xff\xfe{".decode("latin-1")), r"line 2 is cut short or no JSON"),
        (lines([1, 2]), r"with its id and its boxes.*line 1 is \[1, 2\]"),
        (lines({"boxes": []}), r"with its id and its boxes.*line 1 is"),
        (lines({"id": 7, "boxes": []}), r"with its id and its boxes.*line 1 is"),
        (lines({"id": "a/1.jpg"}), r"with its id and its boxes.*line 1 is"),
        (lines(ROWS[0], ROWS[0]), r"an image once.*p, line 2, image 'a/1.jpg'"),
        (lines(*ROWS[:2]), r"without 1 of the 3 images of five, such as 'b/3.jpg'. It has 0"),
        (lines({"id": "x", "boxes": []}), r"without 3 .* It has 1 of other images, such as 'x'"),
        ("", r"without 3 of the 3 images of five"),
        *(
            (lines(ROWS[0], {"id": "a/2.jpg", "boxes": bad}), rf"p, line 2, image 'a/2.jpg'.*{why}")
            for bad, why in [
                ([[1, 2, 3]], "has others"),
                ([[1, 2, 3, 4], [1, 2]], "has others"),
                ([1, 2, 3, 4], "has others"),
                ([["1", "2", "3", "4"]], "has others"),
                ([[True, False, True, True]], "has others"),
                ([[None, 2, 3, 4]], "has others"),
                ([[10**400, 2, 3, 4]], "has others"),
                ("", "has others"),
                ({}, "has others"),
                (None, "has others"),
            ]
        ),
        *(
            (
                lines(ROWS[0], {"id": "a/2.jpg", "boxes": [[1, 2, 3, 4], bad]}),
                rf"{rule}.*p, line 2, image 'a/2.jpg', where box 1 is .* 1 of 2 are wrong",
            )
            for bad, rule in [
                ([1, 2, float("nan"), 4], "must be finite"),
                ([1, 2, float("inf"), 4], "must be finite"),
                ([5, 2, 3, 4], "left < right"),
                ([1, 4, 3, 4], "left < right"),
                ([200, 2, 205, 4], "overlap its image of 100x200 pixels"),
                ([-9, -9, -1, 4], "overlap its image of 100x200 pixels"),
            ]
        ),
    ],
)
def test_an_invalid_json_file_is_named_with_line_and_rule(content, message, tmp_path):
    (tmp_path / "p").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=f"(?s){message}"):
        proposal_files.read_proposals(tmp_path / "p", RECORDS)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="`path` must be an existing file"):
        proposal_files.read_proposals(tmp_path / "p", RECORDS)


@pytest.mark.parametrize(
    ("ids", "each", "message"),
    [
        (["a"], BOXES, "1 ids, 1 of them different, and boxes of 3 images"),
        (["a", "b", "a"], BOXES, "3 ids, 2 of them different"),
        (["a"], [np.array([[1, 2, 3]])], "boxes of image 'a', which has others"),
        (["a"], [np.array([[1, 2, np.nan, 4]])], "boxes of image 'a', where box 0"),
        (["a"], [np.array([[5, 2, 3, 4]])], "left < right .*boxes of image 'a'"),
    ],
)
def test_write_proposals_refuses_invalid_boxes(ids, each, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        proposal_files.write_proposals(tmp_path / "p", ids, each)
    assert not list(tmp_path.iterdir())


def test_write_proposals_refuses_mat_files(tmp_path):
    with pytest.raises(ValueError, match=r"`path` must not end with \.mat"):
        proposal_files.write_proposals(tmp_path / "p.mat", RECORDS.ids, BOXES)


def cells(values, column=True):
    cell = np.empty((len(values), 1) if column else (1, len(values)), object)
    cell.ravel()[:] = values
    return cell


def matlab(path, names, values, **options):
    scipy.io.savemat(path, {"images": cells(names), "boxes": cells(values, False)}, **options)


def test_matlab_files_count_from_one_and_have_rows_first(tmp_path):
    # The first pixel alone; all of the image; one beyond it. Unsigned, as MATLAB may store them.
    first = np.array([[1, 1, 1, 1], [1, 1, 100, 200], [11, 21, 101, 40]], np.uint16)
    values = [first, np.array([[1, 2, 3, 4]]), np.zeros((0, 0))]
    for compressed in (False, True):
        path = tmp_path / f"{compressed}.mat"
        matlab(path, ["1", "elsewhere", "3"], values, do_compression=compressed)
        proposed = proposal_files.read_proposals(path, RECORDS.select([2, 0]))
        assert proposed[0].shape == (0, 4)
        assert proposed[1].tolist() == [[0, 0, 1, 1], [0, 0, 200, 100], [20, 10, 40, 100]]


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (["1", "2"], [np.zeros((0, 4))] * 2, r"without 1 of the 3 .*'b/3.jpg'"),
        (["1", "1"], [np.zeros((0, 4))] * 2, r"an image once.*cell 2, image '1'"),
        (["1"], [np.array([[5.0, 1, 4, 1]])], r"left < right and .*cell 1, image '1', where box 0"),
        (["1"], [np.array([[1.0, np.nan, 1, 1]])], r"be finite.*cell 1, image '1', where box 0"),
        (["1"], [np.array([[101.0, 1, 120, 9]])], r"overlap its image.*cell 1, image '1'"),
        (["1"], [np.zeros((3, 5))], r"four numbers.*cell 1, image '1', which has others"),
        (["1", "2"], [np.zeros((3, 5))], r"of the same length.*2 images and 1 boxes"),
    ],
)
def test_an_invalid_matlab_file_is_named_with_place_and_rule(names, values, message, tmp_path):
    matlab(tmp_path / "p.mat", names, values)
    with pytest.raises(ValueError, match=message):
        proposal_files.read_proposals(tmp_path / "p.mat", RECORDS)


def test_a_damaged_matlab_file_is_an_error(tmp_path):
    path = tmp_path / "p.mat"
    scipy.io.savemat(path, {"images": np.eye(3), "windows": np.eye(3)})
    with pytest.raises(ValueError, match=r"two cell arrays, `images` and `boxes`"):
        proposal_files.read_proposals(path, RECORDS)
    matlab(path, ["1"], [np.ones((9, 4))], do_compression=True)
    whole = path.read_bytes()
    for damaged in (b"", b"{}", whole[:-20], b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + whole):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{path}, which cannot be read"):
            proposal_files.read_proposals(path, RECORDS)


def test_a_matlab_name_of_two_images_is_an_error(tmp_path):
    matlab(tmp_path / "p.mat", ["1"], [np.ones((1, 4))])
    records = make_span_records("two", ["a/1.jpg", "b/1.png"], [(9, 9)] * 2, (), [(0, 0, 0)] * 2)
    with pytest.raises(ValueError, match=r"no two files of the same name.*'a/1.jpg' and 'b/1.png'"):
        proposal_files.read_proposals(tmp_path / "p.mat", records)


def test_without_scipy_the_error_says_what_to_install(tmp_path, monkeypatch):
    matlab(tmp_path / "p.mat", ["1"], [np.ones((1, 4))])
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match=r"-m pip install .*scipy"):
        proposal_files.read_proposals(tmp_path / "p.mat", RECORDS)
