import dataclasses

import exif_files
import numpy as np
import pytest
from photographs import photograph

from spp_keras.data import records
from spp_keras.data.sources import Objects
from spp_keras.detection.training_images import TrainingImages

PICTURE = photograph(40, 60)
OBJECTS = Objects(np.array([[0.25, 0.5, 0.75, 1]], "float32"), np.array([0]), np.array([False]))


def test_a_mirror_image_has_mirrored_ground_truth(training_images):
    image, flipped = training_images[0], training_images[1]
    assert (image.flipped, flipped.flipped) == (False, True)
    pixels, mirrored = training_images.read_pixels(0), training_images.read_pixels(1)
    np.testing.assert_array_equal(mirrored, pixels[:, ::-1])
    width = image.size[1]
    for box, other in zip(image.gt_boxes.round().astype(int), flipped.gt_boxes, strict=True):
        left, top, right, bottom = other.round().astype(int)
        assert (left, right) == (width - box[2], width - box[0])
        inside = pixels[box[1] : box[3], box[0] : box[2]]
        np.testing.assert_array_equal(mirrored[top:bottom, left:right], inside[:, ::-1])


def test_every_image_needs_valid_proposals(voc):
    loaded = records.load_records(voc, "val")
    with pytest.raises(ValueError, match="`proposals` must have boxes for each of the 6 images"):
        TrainingImages(loaded, [np.zeros((0, 4))])
    proposals = [np.zeros((0, 4))] * 5 + [np.array([[5, 5, 2, 9]])]
    with pytest.raises(ValueError, match=r"left <= right .*val_5"):
        TrainingImages(loaded, proposals)


@pytest.fixture
def rotated(tmp_path):
    """An image with an object that lies on its side in its file."""
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "1.png").write_bytes(exif_files.file(PICTURE, "PNG", 6))
    loaded = records.load_records(tmp_path, "train").select([0])
    return dataclasses.replace(loaded, objects=(OBJECTS,))


def test_images_and_boxes_are_turned_by_their_exif_orientation(rotated):
    images = TrainingImages(rotated, [np.zeros((0, 4))], training=True)
    np.testing.assert_array_equal(images.read_pixels(0), PICTURE)
    np.testing.assert_array_equal(images.read_pixels(1), PICTURE[:, ::-1])
    assert images[0].gt_boxes.tolist() == [[30, 10, 60, 30]]


def test_the_digest_of_an_image_depends_on_its_orientation(rotated):
    as_filed = dataclasses.replace(rotated, sizes=rotated.sizes[:, ::-1], orientations=None)
    digests = {
        TrainingImages(loaded, [np.zeros((0, 4))]).digest_content(0)
        for loaded in (rotated, as_filed)
    }
    assert len(digests) == 2
