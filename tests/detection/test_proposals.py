import dataclasses
import os
import re
import signal
import subprocess
import sys
import time

import exif_files
import image_files
import numpy as np
import photographs
import pytest
from proposal_images import (
    OBJECTS,
    draw_objects,
    encode_photographs,
    make_records,
    make_span_records,
)

from spp_keras import ops
from spp_keras.detection import proposals, selective_search


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


def test_each_image_has_its_own_proposals_in_the_order_of_the_records(tmp_path):
    files = {
        f"{i}.png": photographs.encoded(draw_objects(objects={(200, 0, 0): box}))
        for i, box in enumerate(OBJECTS.values())
    }
    proposed = proposals.propose_boxes(make_records(tmp_path / "a", files), threads=3)
    for box, boxes in zip(OBJECTS.values(), proposed, strict=True):
        own = ops.box_iou(np.array(list(OBJECTS.values())), boxes).max(axis=1)
        assert own[list(OBJECTS.values()).index(box)] > 0.9
        assert np.sort(own)[-2] < 0.7


@pytest.mark.parametrize("form", image_files.USABLE)
def test_images_of_every_kind_have_proposals(form, tmp_path):
    records = make_records(tmp_path / "a", {"1": image_files.USABLE[form][0]})
    [proposed] = proposals.propose_boxes(records)
    # All of an image is a proposal.
    assert [0, 0, 64, 48] in proposed.tolist()


def test_proposals_are_cached_for_each_orientation(tmp_path, kept):
    file = exif_files.file(draw_objects(), "PNG", 6)
    records = make_records(tmp_path / "a", {"1.png": file})
    as_filed = proposals.propose_boxes(records)[0]
    upright = dataclasses.replace(
        records, sizes=records.sizes[:, ::-1], orientations=np.array([6], np.uint8)
    )
    [proposed] = proposals.propose_boxes(upright)
    assert (ops.box_iou(np.array(list(OBJECTS.values())), proposed).max(axis=1) > 0.9).all()
    assert len(list(kept.rglob("*.npz"))) == 2
    np.testing.assert_array_equal(proposals.propose_boxes(records)[0], as_filed)


def test_images_within_a_larger_file_are_found(tmp_path):
    files = list(encode_photographs(3).values())
    (tmp_path / "shard").write_bytes(b"#".join(files))
    begins = np.cumsum([0, *(len(data) + 1 for data in files)])
    spans = [(0, begins[i], len(data)) for i, data in enumerate(files)]
    sizes = [(40, 60), (41, 60), (42, 60)]
    records = make_span_records("shards", ["a", "b", "c"], sizes, (str(tmp_path / "shard"),), spans)
    apart = proposals.propose_boxes(make_records(tmp_path / "a", encode_photographs(3)))
    for boxes, other in zip(proposals.propose_boxes(records), apart, strict=True):
        np.testing.assert_array_equal(boxes, other)


def test_the_cache_depends_on_the_content_of_an_image_alone(tmp_path, searched):
    files = encode_photographs(4)
    first = proposals.propose_boxes(make_records(tmp_path / "a", files))
    assert sorted(searched) == [(40, 60), (41, 60), (42, 60), (43, 60)]
    renamed = {f"other/{name}": files[name] for name in sorted(files, reverse=True)}
    second = proposals.propose_boxes(make_records(tmp_path / "b", renamed))
    assert len(searched) == 4
    for boxes, other in zip(first, reversed(second), strict=True):
        np.testing.assert_array_equal(boxes, other)
    # Another image of the same size, at the same time, under the same name.
    records = make_records(tmp_path / "a", files)
    path = tmp_path / "a" / "2.png"
    status = path.stat()
    changed = photographs.encoded(photographs.photograph(42, 60, 7))
    path.write_bytes(changed)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    records.spans[2, 2] = len(changed)
    proposals.propose_boxes(records)
    assert searched[4:] == [(42, 60)]


@pytest.mark.parametrize("name", ["MAX_BOXES", "MIN_SIDE", "LONGEST_SIDE"])
def test_other_settings_are_searched_anew(name, tmp_path, searched, monkeypatch):
    records = make_records(tmp_path / "a", encode_photographs(1))
    proposals.propose_boxes(records)
    monkeypatch.setattr(selective_search, name, 7)
    proposals.propose_boxes(records)
    assert len(searched) == 2


def test_another_opencv_searches_anew(tmp_path, searched, monkeypatch):
    records = make_records(tmp_path / "a", encode_photographs(1))
    proposals.propose_boxes(records)
    monkeypatch.setattr(selective_search.import_opencv(), "__version__", "9.9.9")
    proposals.propose_boxes(records)
    assert len(searched) == 2


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"not numbers", "half"], ids=repr)
def test_a_damaged_cache_file_is_replaced(damage, tmp_path, searched, kept):
    records = make_records(tmp_path / "a", encode_photographs(1))
    [first] = proposals.propose_boxes(records)
    [path] = kept.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:-5] if damage == "half" else damage)
    for _ in range(2):
        [again] = proposals.propose_boxes(records)
        np.testing.assert_array_equal(again, first)
    assert len(searched) == 2


@pytest.mark.integration
def test_a_killed_run_resumes(tmp_path, searched, kept):
    records = make_records(tmp_path / "a", encode_photographs(5))
    code = """
import os, signal, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
import proposal_images
from spp_keras.detection import proposals, selective_search

search = selective_search.selective_search

def killed(image):
    if image.shape[0] == 43:
        os.kill(os.getpid(), signal.SIGKILL)
    return search(image)

selective_search.selective_search = killed
records = proposal_images.make_records(Path(sys.argv[1]), proposal_images.encode_photographs(5))
proposals.propose_boxes(records, threads=1)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, records.files[0].removesuffix("/0.png"), *sys.path],
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*.npz")}
    assert len(before) == 3
    proposed = proposals.propose_boxes(records, threads=1)
    assert searched == [(43, 60), (44, 60)]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not [path for path in kept.rglob(".*") if path.is_file()]
    # The other process proposed what this one proposes.
    for i, each in enumerate(proposed[:3]):
        image = photographs.photograph(40 + i, 60, i)
        np.testing.assert_array_equal(each, selective_search.selective_search(image))


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=r"searched for again .* Set XDG_CACHE_HOME"):
        [proposed] = proposals.propose_boxes(make_records(tmp_path / "a", encode_photographs(1)))
    assert len(proposed)


@pytest.mark.parametrize("progress", [True, False])
def test_a_bar_is_on_standard_error(progress, tmp_path, monkeypatch, capsys):
    def slow(image):
        # Longer than a second in all, before which no bar is worth its line.
        time.sleep(0.3 if progress else 0)
        return np.zeros((0, 4), np.float32)

    monkeypatch.setattr(selective_search, "selective_search", slow)
    proposals.propose_boxes(
        make_records(tmp_path / "a", encode_photographs(4)), threads=1, progress=progress
    )
    output = capsys.readouterr()
    assert output.out == ""
    assert ("Proposals for a: 100%" in output.err) == progress
    assert ("4/4" in output.err) == progress


def test_an_error_keeps_its_class_names_the_image_and_stops_the_rest(tmp_path, monkeypatch):
    records = make_records(tmp_path / "a", encode_photographs(8))
    seen = []

    def failing(image):
        seen.append(image)
        # Time for the first failure to be known.
        time.sleep(0.3 if len(seen) > 1 else 0)
        raise MemoryError("too little")

    monkeypatch.setattr(selective_search, "selective_search", failing)
    with pytest.raises(MemoryError, match=r"(?s)^too little\n.*fewer `threads`") as raised:
        proposals.propose_boxes(records, threads=1)
    [note] = raised.value.__notes__
    assert re.match(r"This was the image '0.png' of a\..*fewer `threads`", note)
    # One more may have begun by then.
    assert len(seen) < 8


def test_a_file_that_is_gone_or_another_since_is_an_error(tmp_path):
    records = make_records(tmp_path / "a", encode_photographs(2))
    path = tmp_path / "a" / "1.png"
    path.write_bytes(encode_photographs(1)["0.png"])
    records.spans[1, 2] = path.stat().st_size
    message = r"image '1.png' of a with 40x60 pixels, .* says 41x60: load the data again"
    with pytest.raises(ValueError, match=message):
        proposals.propose_boxes(records)
    path.unlink()
    with pytest.raises(FileNotFoundError) as raised:
        proposals.propose_boxes(records)
    assert "image '1.png' of a" in raised.value.__notes__[0]


@pytest.mark.parametrize("threads", [0, 1.5, "2"])
def test_threads_are_checked(threads, tmp_path):
    with pytest.raises(ValueError, match=r"`threads` must be an int >= 1"):
        proposals.propose_boxes(
            make_records(tmp_path / "a", encode_photographs(1)), threads=threads
        )


def test_no_images_have_no_proposals():
    assert proposals.propose_boxes(make_span_records("none", [], [], (), [])) == []
