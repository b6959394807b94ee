import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from spp_keras import _files


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def test_text_and_bytes_are_written_below_folders_that_are_made(tmp_path):
    path = tmp_path / "runs" / "one" / "notes.txt"
    _files.write_file(path, "Größe")
    assert path.read_bytes() == "Größe".encode()
    _files.write_file(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert names_in(path.parent) == ["notes.txt"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "model.weights.h5"
    path.write_text("old")
    with _files.replace_file(path) as beside:
        assert beside.parent == path.parent
        assert beside.name.endswith(".model.weights.h5")
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path):
    path = tmp_path / "state.json"
    path.write_text("old")
    with path.open() as reader:
        _files.write_file(path, "new")
        assert reader.read() == "old"


def test_the_new_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path, events = tmp_path / "state.json", []
    monkeypatch.setattr(os, "fsync", lambda _: events.append(path.exists()))
    _files.write_file(path, "new")
    # The file without its name, then the folder with it.
    assert events == [False, True]


def test_a_writer_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "state.json"
    path.write_text("old")

    def write_half():
        with _files.replace_file(path) as beside:
            beside.write_text("half")
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["state.json"]


def test_a_writer_that_writes_nothing_is_an_error_and_the_old_file_stays(tmp_path):
    path = tmp_path / "state.json"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), _files.replace_file(path):
        pass
    assert path.read_text() == "old"


def test_a_process_killed_while_it_writes_leaves_the_old_file(tmp_path):
    path = tmp_path / "state.json"
    path.write_text("old")
    code = f"""
import os, signal
from spp_keras import _files
with _files.replace_file({str(path)!r}) as beside:
    beside.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=300)
    assert done.returncode == -9
    assert path.read_text() == "old"


def test_what_killed_processes_left_goes_after_a_day_and_nothing_else_does(tmp_path):
    path = tmp_path / "state.json"
    left, recent, of_another = (
        tmp_path / f".{digit * 32}.{name}"
        for digit, name in (("a", "state.json"), ("b", "state.json"), ("c", "other.json"))
    )
    for each in (left, recent, of_another):
        each.touch()
    for each in (left, of_another):
        os.utime(each, (time.time() - 2 * 86400,) * 2)
    _files.write_file(path, "new")
    assert not left.exists()
    assert recent.exists()
    assert of_another.exists()


def test_of_writers_at_the_same_time_one_wins_as_a_whole(tmp_path):
    path = tmp_path / "state.json"
    contents = [str(number) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=_files.write_file, args=(path, each)) for each in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in contents
    assert names_in(tmp_path) == ["state.json"]


def test_a_folder_is_there_when_all_that_is_in_it_is(tmp_path):
    folder = tmp_path / "zf5_spp" / "1"
    with _files.create_folder(folder) as beside:
        (beside / "variables").mkdir()
        (beside / "variables" / "data").write_text("weights")
        assert not folder.exists()
        assert beside.parent == folder.parent
        assert beside.name.startswith(".")
    assert (folder / "variables" / "data").read_text() == "weights"
    assert names_in(folder.parent) == ["1"]


def test_what_is_in_a_folder_is_on_the_disk_before_the_folder_has_its_name(tmp_path, monkeypatch):
    folder, events = tmp_path / "1", []
    monkeypatch.setattr(os, "fsync", lambda _: events.append(folder.exists()))
    with _files.create_folder(folder) as beside:
        (beside / "data").write_text("weights")
    # The file and the folder that holds it, then that above.
    assert events == [False, False, True]


def test_a_maker_that_raises_leaves_nothing(tmp_path):
    def make_half():
        with _files.create_folder(tmp_path / "1") as beside:
            (beside / "data").write_text("half")
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        make_half()
    assert names_in(tmp_path) == []


def test_a_folder_that_came_into_being_meanwhile_stays_as_it_is(tmp_path):
    folder = tmp_path / "1"

    def make_twice():
        with _files.create_folder(folder) as beside:
            (beside / "data").write_text("second")
            folder.mkdir()
            (folder / "data").write_text("first")

    with pytest.raises(OSError, match="not empty"):
        make_twice()
    assert (folder / "data").read_text() == "first"
    assert names_in(tmp_path) == ["1"]


def test_a_folder_that_a_kill_left_behind_is_swept_a_day_later(tmp_path):
    left = tmp_path / f".{'0a' * 16}.1"
    young = tmp_path / f".{'0b' * 16}.1"
    for path in (left, young):
        path.mkdir()
        (path / "data").write_text("half")
    day_ago = time.time() - 25 * 60 * 60
    os.utime(left, (day_ago, day_ago))
    with _files.create_folder(tmp_path / "1"):
        pass
    assert sorted(names_in(tmp_path)) == sorted([young.name, "1"])


def test_check_free_space_names_path_bytes_and_remedy(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=2_500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    path = tmp_path / "not" / "there" / "yet.npz"
    _files.check_free_space(path, 2_500_000)
    message = (
        rf"'{path}': 3\.2 GB are needed, 2 MB are free\. Free some space, or name another folder\."
    )
    with pytest.raises(OSError, match=message):
        _files.check_free_space(path, 3_200_000_000)
    with pytest.raises(OSError, match=r"3 MB are needed, 2 MB are free\. Take fewer scales\."):
        _files.check_free_space(path, 3_000_000, "Take fewer scales.")
