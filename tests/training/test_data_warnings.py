import numpy as np
from made_up_records import make_records

from spp_keras.training.data_warnings import list_data_warnings

VALIDATION = make_records([0, 1], digests=[900, 901], name="validation")


def images(labels, **options):
    labels = np.asarray(labels)
    return make_records(labels, **{"digests": np.arange(len(labels)), **options})


def test_enough_images_of_each_class_once_are_nothing_to_warn_of():
    assert list_data_warnings(images(np.arange(160) % 2), VALIDATION, 16) == []


def test_few_steps_and_small_classes_are_named():
    labels = np.repeat([0, 1, 2], (40, 4, 5))
    steps, small = list_data_warnings(images(labels), VALIDATION, 16)
    assert steps.startswith("49 images make 4 steps an epoch, fewer than 10")
    assert small == "classes with fewer than 5 images to train on: class 1 (4)."


def test_the_same_picture_in_two_classes_is_named():
    digests = np.arange(160)
    digests[3] = digests[2]
    digests[9] = digests[4]
    # Twice in one class.
    digests[8] = digests[6]
    (warning,) = list_data_warnings(images(np.arange(160) % 2, digests=digests), VALIDATION, 16)
    assert warning.startswith("2 pictures are in two classes")
    assert "made up 2 = made up 3" in warning


def test_the_same_picture_in_both_parts_is_named():
    digests = np.arange(160)
    digests[5] = 901
    (warning,) = list_data_warnings(images(np.arange(160) % 2, digests=digests), VALIDATION, 16)
    assert warning.startswith("1 picture is in the training and in the validation part")
    assert "made up 5 = validation 1" in warning


def test_images_of_several_classes_are_counted_in_each():
    labels = np.zeros((160, 2), int)
    labels[:, 0] = 1
    labels[:3, 1] = 1
    validation = make_records(labels[:2], digests=[900, 901])
    (warning,) = list_data_warnings(images(labels), validation, 16)
    assert warning.endswith(": class 1 (3).")
