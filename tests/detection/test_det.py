"""ILSVRC DET: another class list, negatives among the images, and nothing else."""

import numpy as np
import pytest
import scenes
from PIL import Image

from spp_keras.data import records
from spp_keras.detection import proposal_files, training

COUNT = 200


def word(number):
    return f"n{number:08}"


@pytest.fixture
def tree(tmp_path):
    """Small scenes in DET's form: objects of two of 200 classes, and an image without any."""
    root = tmp_path / "ILSVRC"
    rng = np.random.default_rng(0)
    lists = {"train_1": "train", "val": "val"}
    for name, split in lists.items():
        (root / "Data/DET" / split).mkdir(parents=True)
        (root / "Annotations/DET" / split).mkdir(parents=True)
        lines = []
        for number in range(4):
            pixels, things = scenes.scene(rng)
            things = things if number else []
            image = f"{split}_{number}"
            Image.fromarray(pixels).save(root / "Data/DET" / split / f"{image}.JPEG")
            things = [(word(150 + scenes.CLASSES.index(kind)), box) for kind, box in things]
            (root / "Annotations/DET" / split / f"{image}.xml").write_text(
                scenes.annotation(pixels, things)
            )
            lines.append(f"{image} {number + 1}\n")
        (root / "ImageSets/DET").mkdir(parents=True, exist_ok=True)
        (root / "ImageSets/DET" / f"{name}.txt").write_text("".join(lines))
    names = "".join(f"{word(i)} {i + 1} thing {i}\n" for i in range(COUNT))
    (root / "devkit/data").mkdir(parents=True)
    (root / "devkit/data/map_det.txt").write_text(names)
    return root


def test_two_hundred_classes_are_learned_as_twenty_are(tree, run_and_windows, tmp_path):
    ids, windows = [], []
    for split in ("train", "val"):
        found = records.load_records(tree, split)
        ids += found.ids.tolist()
        windows += scenes.windows_of(found, np.random.default_rng(5))
    proposal_files.write_proposals(tmp_path / "windows.jsonl", ids, windows)
    settings = training.Settings(
        run=str(run_and_windows[0]),
        data=str(tree),
        proposals=str(tmp_path / "windows.jsonl"),
        scales=(120,),
        side=48,
        epochs=1,
        rpn=False,
    )
    result = training.train_detector(settings, tmp_path / "to", progress=False)
    assert len(result["voc_area"]["classes"]) == COUNT
    assert len(result["untrained"]) == COUNT - 2
    scored = [name for name, value in result["voc_area"]["classes"].items() if value is not None]
    assert scored == ["thing 150", "thing 151"]
    detector = training.load_detector_model(tmp_path / "to")
    assert len(detector.labels) == COUNT
