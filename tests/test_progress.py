import time

import pytest

from spp_keras import _progress


def test_short_work_shows_no_bar(capsys):
    assert list(_progress.create_bar(range(3), "Reading")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("disable", [False, True])
def test_bar_appears_after_a_second_unless_disabled(disable, capsys):
    with _progress.create_bar(
        description="Reading", total=5, initial=1, unit="files", disable=disable
    ) as bar:
        for _ in range(4):
            time.sleep(0.3)
            bar.update()
    output = capsys.readouterr()
    assert output.out == ""
    assert ("Reading" in output.err and "5/5" in output.err and "files" in output.err) != disable
