"""ILSVRC DET: another class list, negatives among the images, and nothing else."""

import numpy as np
import pytest
import scenes
from PIL import Image

from spp_keras.data import records
from spp_keras.detection import proposal_files, train_detector
from spp_keras.recipes import DetectorRecipe
from spp_keras.run_folder import RunFolder

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
            pixels, objects = scenes.scene(rng)
            objects = objects if number else []
            image = f"{split}_{number}"
            Image.fromarray(pixels).save(root / "Data/DET" / split / f"{image}.JPEG")
            objects = [(word(150 + scenes.CLASSES.index(kind)), box) for kind, box in objects]
            (root / "Annotations/DET" / split / f"{image}.xml").write_text(
                scenes.annotation(pixels, objects)
            )
            lines.append(f"{image} {number + 1}\n")
        (root / "ImageSets/DET").mkdir(parents=True, exist_ok=True)
        (root / "ImageSets/DET" / f"{name}.txt").write_text("".join(lines))
    names = "".join(f"{word(i)} {i + 1} thing {i}\n" for i in range(COUNT))
    (root / "devkit/data").mkdir(parents=True)
    (root / "devkit/data/map_det.txt").write_text(names)
    return root


@pytest.mark.integration
def test_two_hundred_classes_are_learned_as_twenty_are(tree, run_and_proposals, tmp_path):
    ids, proposals = [], []
    for split in ("train", "val"):
        loaded = records.load_records(tree, split)
        ids += loaded.ids.tolist()
        proposals += scenes.draw_proposals(loaded, np.random.default_rng(5))
    proposal_files.write_proposals(tmp_path / "proposals.jsonl", ids, proposals)
    recipe = DetectorRecipe(
        run=str(run_and_proposals[0]),
        data=str(tree),
        proposals=str(tmp_path / "proposals.jsonl"),
        scales=(120,),
        input_size=48,
        epochs=1,
        rpn=False,
    )
    metrics = train_detector(recipe, tmp_path / "run", progress=False)
    assert len(metrics["voc_area"]["classes"]) == COUNT
    assert len(metrics["untrained"]) == COUNT - 2
    scored = [name for name, value in metrics["voc_area"]["classes"].items() if value is not None]
    assert scored == ["thing 150", "thing 151"]
    detector = RunFolder(tmp_path / "run").load_model()
    assert len(detector.labels) == COUNT
