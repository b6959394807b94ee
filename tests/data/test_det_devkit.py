import numpy as np
import pytest
from image_files import IMAGE, JPEG
from photographs import encoded

from spp_keras.data import det_devkit, records, splits
from spp_keras.detection import Detections
from spp_keras.metrics import evaluate_voc

DOG, BIRD, AXE = "n02084071", "n01503061", "n02764044"
NAMES = f"{DOG} 58 dog\n{AXE} 8 axe\n{BIRD} 24 bird\nn02799071 11 base ball\n"
POSITIVE = "ILSVRC2013_train/n02085620/n02085620_7"
NEGATIVE = "ILSVRC2013_train_extra0/ILSVRC2013_train_00000001"
SCENE = "ILSVRC2014_train_0000/ILSVRC2014_train_00000001"
VAL = "ILSVRC2012_val_0000000"


def annotation(*objects):
    """As DET writes them: edges in another order than VOC's, no `difficult`."""
    items = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x0}</xmin><xmax>{x1}</xmax>"
        f"<ymin>{y0}</ymin><ymax>{y1}</ymax></bndbox><subcategory>n02085620</subcategory></object>"
        for name, (x0, y0, x1, y1) in objects
    )
    return (
        "<annotation><folder>x</folder><filename>y</filename><source><database>ILSVRC_2014"
        "</database></source><size><width>64</width><height>48</height><depth>3</depth></size>"
        f"<segmented>0</segmented>{items}</annotation>"
    )


def write(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return root


@pytest.fixture
def tree(tmp_path):
    """Images of 48x64 pixels; the lists of three classes of which `train_10` comes last."""
    images = [f"train/{name}" for name in (POSITIVE, NEGATIVE, SCENE)]
    images += [f"val/{VAL}{index}" for index in (1, 2)]
    files = {f"Data/DET/{name}.JPEG": JPEG for name in images}
    files |= {
        f"Annotations/DET/train/{POSITIVE}.xml": annotation((DOG, (16, 12, 48, 24))),
        f"Annotations/DET/train/{SCENE}.xml": annotation(
            (BIRD, (0, 0, 32, 48)), (DOG, (8, 6, 16, 12)), (BIRD, (32, 24, 64, 48))
        ),
        f"Annotations/DET/val/{VAL}1.xml": annotation((AXE, (0, 0, 63, 47))),
        f"Annotations/DET/val/{VAL}2.xml": annotation(),
        "ImageSets/DET/train_1.txt": f"{NEGATIVE} -1\n",
        "ImageSets/DET/train_10.txt": f"{SCENE} 0\n{NEGATIVE} -1\n",
        "ImageSets/DET/train_2.txt": f"{POSITIVE} 1\n",
        "ImageSets/DET/val.txt": f"{VAL}1 1\n{VAL}2 2\n",
        "ImageSets/DET/test.txt": "ILSVRC2012_test_00000001 1\n",
    }
    return write(tmp_path / "data" / "ILSVRC", files)


def test_train_split_joins_all_lists_and_keeps_negatives(tree):
    loaded = records.load_records(tree, "train")
    ids = [f"Data/DET/train/{name}.JPEG" for name in (NEGATIVE, POSITIVE, SCENE)]
    assert loaded.ids.tolist() == ids
    assert loaded.classes == (BIRD, DOG, AXE)
    assert loaded.multi_label
    assert loaded.labels.tolist() == [[0, 0, 0], [0, 1, 0], [1, 1, 0]]
    assert loaded.sizes.tolist() == [[48, 64]] * 3
    negative, positive, scene = loaded.objects
    assert negative.boxes.shape == (0, 4)
    np.testing.assert_array_equal(positive.boxes, [[0.25, 0.25, 0.5, 0.75]])
    assert scene.labels.tolist() == [0, 1, 0]
    assert not scene.difficult.any()


def test_validation_images_have_the_same_classes(tree):
    loaded = records.load_records(tree, "val")
    assert loaded.ids.tolist() == [f"Data/DET/val/{VAL}{index}.JPEG" for index in (1, 2)]
    assert loaded.classes == (BIRD, DOG, AXE)
    assert loaded.labels.tolist() == [[0, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(loaded.objects[0].boxes, [[0, 0, 47 / 48, 63 / 64]], rtol=1e-6)


def test_devkit_is_found_in_the_folder_above_and_val_has_two_names(tree):
    assert len(records.load_records(tree.parent, "validation")) == 2
    train, val = splits.choose_splits(tree)
    assert (len(records.load_records(tree, train)), len(records.load_records(tree, val))) == (3, 2)
    (tree.parent / "ILSVRC2014" / "ImageSets" / "DET").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"must be one year of ILSVRC, one of .*ILSVRC2014"):
        records.load_records(tree.parent, "val")


def test_class_names_come_from_the_development_kit(tree):
    assert records.load_records(tree, "train").classes == (BIRD, DOG, AXE)
    write(tree, {"devkit/data/map_det.txt": NAMES})
    for split in ("train", "val"):
        assert records.load_records(tree, split).classes == ("axe", "base ball", "bird", "dog")
    assert records.load_records(tree, "train").labels.tolist() == [
        [0, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 1, 1],
    ]
    assert records.load_records(tree, "val").labels.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]


def test_unknown_object_class_is_a_reason_to_skip(tree):
    write(tree, {"devkit/data/map_det.txt": NAMES.replace(BIRD, "n09999999")})
    [(name, reason)] = records.load_records(tree, "train", max_skipped_fraction=0.5).skipped
    assert name == f"Data/DET/train/{SCENE}.JPEG"
    assert reason == f"has objects of ['{BIRD}'], which devkit/data/map_det.txt does not name"


def test_class_names_without_numbers_are_refused(tree):
    write(tree, {"devkit/data/map_det.txt": f"{DOG} dog\n"})
    with pytest.raises(ValueError, match=f"lines such as 'n02672831 1 accordion'.*'{DOG} dog'"):
        records.load_records(tree, "train")


def test_own_lists_replace_the_lists_of_classes(tree):
    write(tree, {"ImageSets/DET/train.txt": f"{SCENE} 1\n", "ImageSets/DET/val1.txt": f"{VAL}1\n"})
    assert records.load_records(tree, "train").ids.tolist() == [f"Data/DET/train/{SCENE}.JPEG"]
    assert records.load_records(tree, "train_2").labels.tolist() == [[0, 1, 0]]
    assert records.load_records(tree, "val1").ids.tolist() == [f"Data/DET/val/{VAL}1.JPEG"]


def test_image_without_annotation_is_skipped_outside_of_training(tree):
    (tree / "Annotations" / "DET" / "val" / f"{VAL}2.xml").unlink()
    [skipped] = records.load_records(tree, "val", max_skipped_fraction=0.5).skipped
    assert skipped == (f"Data/DET/val/{VAL}2.JPEG", "has no annotation")


def test_cache_notices_changed_files(tree):
    path = f"Annotations/DET/train/{NEGATIVE}.xml"
    assert records.load_records(tree, "train").labels[0].tolist() == [0, 0, 0]
    write(tree, {path: annotation((BIRD, (0, 0, 9, 9)))})
    assert records.load_records(tree, "train").labels[0].tolist() == [1, 0, 0]
    write(tree, {"devkit/data/map_det.txt": NAMES, path: annotation()})
    assert records.load_records(tree, "train").labels[0].tolist() == [0, 0, 0, 0]
    write(tree, {path: annotation((AXE, (0, 0, 9, 9)))})
    assert records.load_records(tree, "train").labels[0].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("tset", r"`split` must be one of 'test', 'train', 'val', the lists in .*'tset'"),
        ("test", r"one of \['train', 'val'\].*test set are not published.*split='test'"),
        ("val0", r"a list with images. Received: split='val0'.*val0.txt' is empty"),
    ],
)
def test_unreadable_splits_are_refused(split, message, tree):
    if split == "val0":
        write(tree, {"ImageSets/DET/val0.txt": "\n"})
    with pytest.raises(ValueError, match=message):
        records.load_records(tree, split)


def test_two_hundred_classes_are_scored_as_twenty_are(tmp_path):
    ids = [f"n{index:08d}" for index in range(200)]
    rng = np.random.default_rng(0)
    names = "".join(f"{wnid} {index} thing{index}\n" for index, wnid in enumerate(ids, start=1))
    files = {"devkit/data/map_det.txt": names, "ImageSets/DET/val.txt": ""}
    for image in range(20):
        # Every class but the last ten, in one image each.
        objects = [(wnid, (8, 6, 40, 30)) for wnid in ids[image:190:20]]
        files[f"Data/DET/val/{image}.JPEG"] = encoded(IMAGE, "JPEG", quality=50 + image)
        files[f"Annotations/DET/val/{image}.xml"] = annotation(*objects)
        files["ImageSets/DET/val.txt"] += f"{image} {image + 1}\n"
    data = records.load_records(write(tmp_path / "ILSVRC", files), "val")
    assert len(data.classes) == 200
    # Right for the even classes, of the wrong half of the image for the odd ones.
    loaded = []
    for objects, size in zip(data.objects, data.sizes, strict=True):
        right = objects.to_pixels(size)
        right[objects.labels % 2 == 1, 1:] += 16
        loaded.append(Detections(right, rng.random(len(right)), objects.labels))
    result = evaluate_voc(loaded, data.objects, data.sizes, data.classes)
    assert result.mean == 0.5
    assert result.average_precision["thing1"] == 1
    assert result.average_precision["thing2"] == 0
    assert result.absent_classes == tuple(f"thing{index}" for index in range(191, 201))


def test_other_folders_are_no_devkit(tmp_path):
    (tmp_path / "ILSVRC" / "ImageSets" / "CLS-LOC").mkdir(parents=True)
    assert det_devkit.find_devkit(tmp_path) is None
