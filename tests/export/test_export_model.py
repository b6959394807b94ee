"""The front function: the name of the output decides the target, options that do not fit raise."""

import re

import keras
import pytest
import small_detectors

from spp_keras import export

LABELS = ["cat", "dog"]


@pytest.fixture(scope="module")
def classifier():
    images = keras.Input((40, 40, 3))
    return keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(images)))


@pytest.fixture(scope="module")
def detector():
    return small_detectors.detector(deltas=False)


def test_a_classifier_becomes_a_version_or_a_file(classifier, tmp_path):
    version = export.export_model(classifier, tmp_path / "models" / "pets", labels=LABELS)
    assert version == tmp_path / "models" / "pets" / "1"
    assert (version / "saved_model.pb").is_file()
    path = export.export_model(classifier, tmp_path / "pets.tflite", labels=LABELS)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "models",
        "pets.labels.txt",
        "pets.preprocessing.json",
        "pets.tflite",
    ]
    assert path == tmp_path / "pets.tflite"


SERVED, FILE = "models/pets", "pets.tflite"


@pytest.mark.parametrize(
    ("kind", "output", "options", "message"),
    [
        ("classifier", SERVED, {}, "`labels` must be the names of the classes"),
        (
            "classifier",
            SERVED,
            {"quantization": "float16"},
            "`quantization` is an option of the export of a classifier for TFLite or a detector "
            "for TFLite: leave it out. Received: quantization for a classifier for TensorFlow "
            "Serving.",
        ),
        ("classifier", SERVED, {"image_size": (64, 64)}, "`image_size` is an option of"),
        ("classifier", SERVED, {"calibration_images": []}, "`calibration_images` is an option of"),
        ("classifier", SERVED, {"longest_side": 64}, "`longest_side` is an option of"),
        ("classifier", FILE, {"top_k": 3}, "`top_k` is an option of"),
        ("classifier", FILE, {"on_error": "report"}, "`on_error` is an option of"),
        ("classifier", FILE, {"with_boxes": True}, "`with_boxes` is an option of"),
        ("detector", SERVED, {"labels": LABELS}, "Received: labels for a detector for TensorFlow"),
        ("detector", SERVED, {"top_k": 3}, "`top_k` is an option of"),
        ("detector", FILE, {"orientation": "file"}, "`orientation` is an option of"),
        ("detector", FILE, {"limits": ()}, "`limits` is an option of"),
    ],
)
def test_an_option_that_does_not_fit_is_named_before_any_work(
    request, tmp_path, kind, output, options, message
):
    with pytest.raises(ValueError, match=re.escape(message)):
        export.export_model(request.getfixturevalue(kind), tmp_path / output, **options)
    assert not list(tmp_path.iterdir())
