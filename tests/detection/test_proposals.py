import builtins
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time

import exif_files
import image_files
import numpy as np
import photographs
import pytest
import scipy.io
from PIL import Image
from sklearn.datasets import load_sample_image

from spp_keras import ops
from spp_keras.data.records import Records
from spp_keras.detection import proposal_files, proposals, selective_search

# Colors apart from each other and from the ground; left, top, right, bottom.
THINGS = {
    (220, 30, 30): (20, 15, 90, 70),
    (30, 190, 40): (130, 20, 175, 130),
    (40, 60, 220): (35, 100, 85, 150),
    (240, 220, 40): (195, 90, 300, 165),
}


def drawn(factor=1, things=THINGS):
    image = np.full((180 * factor, 320 * factor, 3), (235, 235, 225), np.uint8)
    for color, thing in things.items():
        left, top, right, bottom = (factor * edge for edge in thing)
        image[top:bottom, left:right] = color
    return image


def recorded(folder, files):
    """Records of image files, by name, whose images are as Pillow says."""
    folder.mkdir(exist_ok=True)
    sizes = []
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        with Image.open(folder / name) as image:
            sizes.append((image.height, image.width))
    spans = [(i, 0, len(data)) for i, data in enumerate(files.values())]
    paths = tuple(str(folder / name) for name in files)
    return of_spans(folder.name, list(files), sizes, paths, spans)


def of_spans(name, ids, sizes, files, spans):
    return Records(
        name=name,
        classes=("thing",),
        ids=np.array(ids, np.str_),
        labels=np.zeros(len(ids), np.int32),
        sizes=np.array(sizes, np.int32).reshape(-1, 2),
        objects=None,
        files=files,
        spans=np.array(spans, np.int64).reshape(-1, 3),
        skipped=(),
        converted={},
    )


def pictures(count, ending="png"):
    return {
        f"{i}.{ending}": photographs.encoded(photographs.photograph(40 + i, 60, i))
        for i in range(count)
    }


@pytest.fixture(autouse=True)
def kept(tmp_path_factory, monkeypatch):
    """Where proposals are kept, that no other test has seen."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "spp_keras" / "proposals"


@pytest.fixture
def searched(monkeypatch):
    """Sizes of the images that are searched, in a list that fills."""
    sizes, search = [], selective_search.selective_search

    def counted(image):
        sizes.append(image.shape[:2])
        return search(image)

    monkeypatch.setattr(selective_search, "selective_search", counted)
    return sizes


@pytest.mark.parametrize("factor", [1, 4], ids=["as it is", "made smaller first"])
def test_every_thing_has_a_proposal(factor):
    found = selective_search.selective_search(drawn(factor))
    assert found.dtype == np.float32
    truth = np.array(list(THINGS.values())) * factor
    assert (ops.box_iou(truth, found).max(axis=1) > 0.9).all()
    assert found.min() >= 0
    assert found[:, 2].max() == 320 * factor
    assert found[:, 3].max() == 180 * factor
    assert len(np.unique(found, axis=0)) == len(found)


def test_colors_are_red_green_and_blue_in_that_order(monkeypatch):
    seen = []
    monkeypatch.setattr(
        selective_search, "_segment", lambda image, _: seen.append(image) or np.zeros((0, 4), int)
    )
    selective_search.selective_search(np.full((30, 30, 3), (1, 2, 3), np.uint8))
    # OpenCV has them the other way round.
    assert seen[0][0, 0].tolist() == [3, 2, 1]


def test_small_boxes_are_left_out_and_the_first_are_the_best():
    image = photographs.photograph(200, 300, coarse=8)
    every = selective_search.selective_search(image, min_side=1)
    large = selective_search.selective_search(image)
    sides = np.min(every[:, 2:] - every[:, :2], axis=1)
    assert sides.min() < 20
    assert {*map(tuple, every[sides >= 20])} == {*map(tuple, large)}
    few = selective_search.selective_search(image, most=10)
    np.testing.assert_array_equal(few, large[:10])
    areas = np.prod(large[:, 2:] - large[:, :2], axis=1)
    half = len(areas) // 2
    assert areas[:half].mean() > 1.2 * areas[half:].mean()
    # In the image that is searched, of half the size here.
    smaller = selective_search.selective_search(image, longest_side=150)
    assert np.min(smaller[:, 2:] - smaller[:, :2]) >= 40


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (19, 40), (3000, 2)], ids=str)
@pytest.mark.parametrize("filled", [lambda s: np.full(s, 7), np.random.default_rng(0).random])
def test_an_image_too_small_for_a_box_has_none(shape, filled):
    image = (255 * filled((*shape, 3))).astype(np.uint8)
    assert selective_search.selective_search(image).shape == (0, 4)


@pytest.mark.parametrize("shape", [(20, 20), (100, 60), (20, 3000)], ids=str)
def test_an_image_of_one_color_is_one_box(shape):
    found = selective_search.selective_search(np.full((*shape, 3), 77, np.uint8), min_side=3)
    assert found.tolist() == [[0, 0, shape[1], shape[0]]]


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_a_photograph_has_fewer_boxes_than_the_papers_2000(name):
    # By OpenCV's default k, as the documents say; from k = 50 on there would be 1,500 to 2,200.
    assert 400 < len(selective_search.selective_search(load_sample_image(name))) < 1050


def test_the_same_image_has_the_same_boxes_in_threads_and_in_any_order():
    images = [photographs.photograph(90 + i, 120, i, coarse=8) for i in range(4)]
    alone = [selective_search.selective_search(image) for image in images]
    assert min(map(len, alone)) > 10
    beside = {}

    def search(i):
        beside[i] = selective_search.selective_search(images[i])

    threads = [threading.Thread(target=search, args=(i,)) for i in (3, 2, 1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        np.testing.assert_array_equal(beside[i], alone[i])


@pytest.mark.parametrize(
    ("image", "received"),
    [
        (np.zeros((30, 30), np.uint8), r"\(30, 30\) and type uint8"),
        (np.zeros((30, 30, 4), np.uint8), r"\(30, 30, 4\)"),
        (np.zeros((0, 30, 3), np.uint8), r"\(0, 30, 3\)"),
        (np.zeros((30, 30, 3), np.float32), r"type float32"),
        ("cat.jpg", r"type str"),
    ],
)
def test_what_is_no_image_is_an_error(image, received):
    with pytest.raises(ValueError, match=rf"`image` must be a uint8 array .*{received}"):
        selective_search.selective_search(image)


@pytest.mark.parametrize("name", ["most", "min_side", "longest_side"])
def test_limits_are_checked(name):
    with pytest.raises(ValueError, match=rf"`{name}` must be an int >= 1"):
        selective_search.selective_search(np.zeros((30, 30, 3), np.uint8), **{name: 0})


def test_without_opencv_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"-m pip install .*opencv-contrib-python-headless"):
        selective_search.selective_search(np.zeros((30, 30, 3), np.uint8))


def test_opencv_without_its_contributed_modules_is_as_good_as_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", sys)
    with pytest.raises(ImportError, match=r"-m pip install .*opencv-contrib-python-headless"):
        selective_search.selective_search(np.zeros((30, 30, 3), np.uint8))


def test_each_image_has_its_own_proposals_in_the_order_of_the_records(tmp_path):
    files = {
        f"{i}.png": photographs.encoded(drawn(things={(200, 0, 0): thing}))
        for i, thing in enumerate(THINGS.values())
    }
    proposed = proposals.propose_boxes(recorded(tmp_path / "a", files), threads=3)
    for thing, found in zip(THINGS.values(), proposed, strict=True):
        own = ops.box_iou(np.array(list(THINGS.values())), found).max(axis=1)
        assert own[list(THINGS.values()).index(thing)] > 0.9
        assert np.sort(own)[-2] < 0.7


@pytest.mark.parametrize("form", image_files.USABLE)
def test_images_of_every_kind_have_proposals(form, tmp_path):
    found = recorded(tmp_path / "a", {"1": image_files.USABLE[form][0]})
    [proposed] = proposals.propose_boxes(found)
    # All of an image is a proposal.
    assert [0, 0, 64, 48] in proposed.tolist()


def test_proposals_are_for_the_upright_image_and_kept_for_each_way_up(tmp_path, kept):
    file = exif_files.file(drawn(), "PNG", 6)
    found = recorded(tmp_path / "a", {"1.png": file})
    as_filed = proposals.propose_boxes(found)[0]
    upright = dataclasses.replace(
        found, sizes=found.sizes[:, ::-1], orientations=np.array([6], np.uint8)
    )
    [proposed] = proposals.propose_boxes(upright)
    assert (ops.box_iou(np.array(list(THINGS.values())), proposed).max(axis=1) > 0.9).all()
    assert len(list(kept.rglob("*.npz"))) == 2
    np.testing.assert_array_equal(proposals.propose_boxes(found)[0], as_filed)


def test_images_within_a_larger_file_are_found(tmp_path):
    files = list(pictures(3).values())
    (tmp_path / "shard").write_bytes(b"#".join(files))
    begins = np.cumsum([0, *(len(data) + 1 for data in files)])
    spans = [(0, begins[i], len(data)) for i, data in enumerate(files)]
    sizes = [(40, 60), (41, 60), (42, 60)]
    found = of_spans("shards", ["a", "b", "c"], sizes, (str(tmp_path / "shard"),), spans)
    apart = proposals.propose_boxes(recorded(tmp_path / "a", pictures(3)))
    for one, other in zip(proposals.propose_boxes(found), apart, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_was_searched_is_found_again_by_its_content_alone(tmp_path, searched):
    files = pictures(4)
    first = proposals.propose_boxes(recorded(tmp_path / "a", files))
    assert sorted(searched) == [(40, 60), (41, 60), (42, 60), (43, 60)]
    renamed = {f"other/{name}": files[name] for name in sorted(files, reverse=True)}
    second = proposals.propose_boxes(recorded(tmp_path / "b", renamed))
    assert len(searched) == 4
    for one, other in zip(first, reversed(second), strict=True):
        np.testing.assert_array_equal(one, other)
    # Another image of the same size, at the same time, under the same name.
    found = recorded(tmp_path / "a", files)
    path = tmp_path / "a" / "2.png"
    status = path.stat()
    changed = photographs.encoded(photographs.photograph(42, 60, 7))
    path.write_bytes(changed)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    found.spans[2, 2] = len(changed)
    proposals.propose_boxes(found)
    assert searched[4:] == [(42, 60)]


@pytest.mark.parametrize("what", ["MOST", "LEAST_SIDE", "LONGEST_SIDE"])
def test_other_settings_are_searched_anew(what, tmp_path, searched, monkeypatch):
    found = recorded(tmp_path / "a", pictures(1))
    proposals.propose_boxes(found)
    monkeypatch.setattr(selective_search, what, 7)
    proposals.propose_boxes(found)
    assert len(searched) == 2


def test_another_opencv_searches_anew(tmp_path, searched, monkeypatch):
    found = recorded(tmp_path / "a", pictures(1))
    proposals.propose_boxes(found)
    monkeypatch.setattr(selective_search.import_opencv(), "__version__", "9.9.9")
    proposals.propose_boxes(found)
    assert len(searched) == 2


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"not numbers", "half"], ids=repr)
def test_a_damaged_file_of_the_cache_is_made_anew(damage, tmp_path, searched, kept):
    found = recorded(tmp_path / "a", pictures(1))
    [first] = proposals.propose_boxes(found)
    [path] = kept.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:-5] if damage == "half" else damage)
    for _ in range(2):
        [again] = proposals.propose_boxes(found)
        np.testing.assert_array_equal(again, first)
    assert len(searched) == 2


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path, searched, kept):
    found = recorded(tmp_path / "a", pictures(5))
    code = """
import os, signal, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from detection import test_proposals
from spp_keras.detection import proposals, selective_search

search = selective_search.selective_search

def killed(image):
    if image.shape[0] == 43:
        os.kill(os.getpid(), signal.SIGKILL)
    return search(image)

selective_search.selective_search = killed
found = test_proposals.recorded(Path(sys.argv[1]), test_proposals.pictures(5))
proposals.propose(found, threads=1)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, found.files[0].removesuffix("/0.png"), *sys.path], timeout=300
    )
    assert done.returncode == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*.npz")}
    assert len(before) == 3
    proposed = proposals.propose_boxes(found, threads=1)
    assert searched == [(43, 60), (44, 60)]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not [path for path in kept.rglob(".*") if path.is_file()]
    # What the other process found is what this one finds.
    for i, each in enumerate(proposed[:3]):
        image = photographs.photograph(40 + i, 60, i)
        np.testing.assert_array_equal(each, selective_search.selective_search(image))


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=r"searched for again .* Set XDG_CACHE_HOME"):
        [proposed] = proposals.propose_boxes(recorded(tmp_path / "a", pictures(1)))
    assert len(proposed)


@pytest.mark.parametrize("progress", [True, False])
def test_a_bar_is_on_standard_error(progress, tmp_path, monkeypatch, capsys):
    def slow(image):
        # Longer than a second in all, before which no bar is worth its line.
        time.sleep(0.3 if progress else 0)
        return np.zeros((0, 4), np.float32)

    monkeypatch.setattr(selective_search, "selective_search", slow)
    proposals.propose_boxes(recorded(tmp_path / "a", pictures(4)), threads=1, progress=progress)
    output = capsys.readouterr()
    assert output.out == ""
    assert ("Proposals for a: 100%" in output.err) == progress
    assert ("4/4" in output.err) == progress


def test_a_failure_names_the_image_and_stops_the_rest(tmp_path, monkeypatch):
    found = recorded(tmp_path / "a", pictures(8))
    seen = []

    def failing(image):
        seen.append(image)
        # Time for the first failure to be known.
        time.sleep(0.3 if len(seen) > 1 else 0)
        raise MemoryError("too little")

    monkeypatch.setattr(selective_search, "selective_search", failing)
    with pytest.raises(RuntimeError, match=r"image '0.png' of a: too little .*fewer `threads`"):
        proposals.propose_boxes(found, threads=1)
    # One more may have begun by then.
    assert len(seen) < 8


def test_a_file_that_is_gone_or_another_since_is_an_error(tmp_path):
    found = recorded(tmp_path / "a", pictures(2))
    path = tmp_path / "a" / "1.png"
    path.write_bytes(pictures(1)["0.png"])
    found.spans[1, 2] = path.stat().st_size
    with pytest.raises(RuntimeError, match=r"'1.png' .*41x60 pixels and has .*load the data again"):
        proposals.propose_boxes(found)
    path.unlink()
    with pytest.raises(RuntimeError, match=r"'1.png' of a: .*No such file"):
        proposals.propose_boxes(found)


@pytest.mark.parametrize("threads", [0, 1.5, "2"])
def test_threads_are_checked(threads, tmp_path):
    with pytest.raises(ValueError, match=r"`threads` must be an int >= 1"):
        proposals.propose_boxes(recorded(tmp_path / "a", pictures(1)), threads=threads)


def test_no_images_have_no_proposals():
    assert proposals.propose_boxes(of_spans("none", [], [], (), [])) == []


FOUND = of_spans("five", ["a/1.jpg", "a/2.jpg", "b/3.jpg"], [(100, 200)] * 3, (), [(0, 0, 0)] * 3)
BOXES = [
    np.array([[0.25, 1.1, 200, 100], [3, 4, 5, 6]], np.float32),
    np.zeros((0, 4), np.float32),
    np.array([[7, 8, 90, 10]], np.float32),
]


def lines(*rows):
    return "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


ROWS = [{"id": id, "boxes": each.tolist()} for id, each in zip(FOUND.ids, BOXES, strict=True)]


def test_a_file_gives_back_what_was_written(tmp_path):
    path = tmp_path / "new" / "proposals.jsonl"
    proposal_files.write_proposals(path, FOUND.ids, BOXES)
    for one, other in zip(proposal_files.read_proposals(path, FOUND), BOXES, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, other)
    # Part of the images, in another order.
    part = FOUND.select([2, 0])
    for one, other in zip(proposal_files.read_proposals(str(path), part), BOXES[::-2], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_line_is_an_image_in_json(tmp_path):
    proposal_files.write_proposals(tmp_path / "p", FOUND.ids, BOXES)
    assert [json.loads(line) for line in (tmp_path / "p").read_text().splitlines()] == ROWS


def test_boxes_are_cut_off_at_the_edges_of_the_image(tmp_path):
    rows = [{"id": "a/1.jpg", "boxes": [[-5, -1, 300, 101], [199, 99.5, 1e9, 1e300]]}]
    (tmp_path / "p").write_text(lines(*rows, *ROWS[1:], "\n"))
    first = proposal_files.read_proposals(tmp_path / "p", FOUND)[0]
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
def test_a_file_that_is_wrong_says_where_and_why(content, message, tmp_path):
    (tmp_path / "p").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=f"(?s){message}"):
        proposal_files.read_proposals(tmp_path / "p", FOUND)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="`path` must be an existing file"):
        proposal_files.read_proposals(tmp_path / "p", FOUND)


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
def test_what_cannot_be_read_is_not_written(ids, each, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        proposal_files.write_proposals(tmp_path / "p", ids, each)
    assert not list(tmp_path.iterdir())


def test_what_is_written_is_not_called_mat(tmp_path):
    with pytest.raises(ValueError, match=r"`path` must not end with \.mat"):
        proposal_files.write_proposals(tmp_path / "p.mat", FOUND.ids, BOXES)


def cells(values, column=True):
    cell = np.empty((len(values), 1) if column else (1, len(values)), object)
    cell.ravel()[:] = values
    return cell


def matlab(path, names, values, **options):
    scipy.io.savemat(path, {"images": cells(names), "boxes": cells(values, False)}, **options)


def test_a_file_of_matlab_counts_from_one_and_has_rows_first(tmp_path):
    # The first pixel alone; all of the image; one beyond it. Unsigned, as MATLAB may store them.
    first = np.array([[1, 1, 1, 1], [1, 1, 100, 200], [11, 21, 101, 40]], np.uint16)
    values = [first, np.array([[1, 2, 3, 4]]), np.zeros((0, 0))]
    for compressed in (False, True):
        path = tmp_path / f"{compressed}.mat"
        matlab(path, ["1", "elsewhere", "3"], values, do_compression=compressed)
        found = proposal_files.read_proposals(path, FOUND.select([2, 0]))
        assert found[0].shape == (0, 4)
        assert found[1].tolist() == [[0, 0, 1, 1], [0, 0, 200, 100], [20, 10, 40, 100]]


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
def test_a_file_of_matlab_that_is_wrong_says_where_and_why(names, values, message, tmp_path):
    matlab(tmp_path / "p.mat", names, values)
    with pytest.raises(ValueError, match=message):
        proposal_files.read_proposals(tmp_path / "p.mat", FOUND)


def test_a_file_of_matlab_with_something_else_or_damaged_is_an_error(tmp_path):
    path = tmp_path / "p.mat"
    scipy.io.savemat(path, {"images": np.eye(3), "windows": np.eye(3)})
    with pytest.raises(ValueError, match=r"two cell arrays, `images` and `boxes`"):
        proposal_files.read_proposals(path, FOUND)
    matlab(path, ["1"], [np.ones((9, 4))], do_compression=True)
    whole = path.read_bytes()
    for damaged in (b"", b"{}", whole[:-20], b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + whole):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{path}, which cannot be read"):
            proposal_files.read_proposals(path, FOUND)


def test_names_of_matlab_that_fit_two_images_are_an_error(tmp_path):
    matlab(tmp_path / "p.mat", ["1"], [np.ones((1, 4))])
    found = of_spans("two", ["a/1.jpg", "b/1.png"], [(9, 9)] * 2, (), [(0, 0, 0)] * 2)
    with pytest.raises(ValueError, match=r"no two files of the same name.*'a/1.jpg' and 'b/1.png'"):
        proposal_files.read_proposals(tmp_path / "p.mat", found)


def test_without_scipy_the_error_says_what_to_install(tmp_path, monkeypatch):
    matlab(tmp_path / "p.mat", ["1"], [np.ones((1, 4))])
    known = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "scipy":
            raise ImportError(name)
        return known(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"-m pip install .*scipy"):
        proposal_files.read_proposals(tmp_path / "p.mat", FOUND)
