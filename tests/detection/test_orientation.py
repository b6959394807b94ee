import dataclasses
import json

import exif_files
import numpy as np
import pytest
from photographs import photograph

from spp_keras import detection, run_folder
from spp_keras.data import records
from spp_keras.data.sources import Objects
from spp_keras.detection.training_images import TrainingImages

PICTURE = photograph(40, 60)
OBJECTS = Objects(np.array([[0.25, 0.5, 0.75, 1]], "float32"), np.array([0]), np.array([False]))


@pytest.fixture
def turned(tmp_path):
    """One photograph that lies on its side in its file, with an object."""
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "1.png").write_bytes(exif_files.file(PICTURE, "PNG", 6))
    found = records.load_records(tmp_path, "train").select([0])
    return dataclasses.replace(found, objects=(OBJECTS,))


def test_a_detector_learns_from_upright_images_and_boxes(turned):
    examples = TrainingImages(turned, [np.zeros((0, 4))], learning=True)
    np.testing.assert_array_equal(examples.pixels(0), PICTURE)
    np.testing.assert_array_equal(examples.pixels(1), PICTURE[:, ::-1])
    assert examples[0].objects.tolist() == [[30, 10, 60, 30]]


def test_maps_of_an_image_that_was_taken_another_way_up_are_not_its_own(turned):
    as_filed = dataclasses.replace(turned, sizes=turned.sizes[:, ::-1], orientations=None)
    contents = {TrainingImages(each, [np.zeros((0, 4))]).content(0) for each in (turned, as_filed)}
    assert len(contents) == 2


def test_a_folder_says_which_way_up_its_detector_takes_images(tmp_path):
    assert detection.read_orientation(tmp_path) == "exif"
    # As 0.1.0 wrote them, and as they are now.
    for settings, expected in (({"run": "x"}, "exif"), ({"orientation": "file"}, "file")):
        (tmp_path / run_folder.RECIPE).write_text(json.dumps(settings))
        assert detection.read_orientation(tmp_path) == expected
    with pytest.raises(ValueError, match=r"`orientation` must be .*Received: orientation='up'"):
        detection.Settings(run="x", data="y", orientation="up")
