import statistics

import pytest
from photographs import encoded, photograph
from summary_photos import COPIES, DAMAGED, ORDER, crop_loss, upright_size

import spp_keras


def test_sizes_are_those_that_pillow_shows(summary, photos):
    sizes = [upright_size(photos, name) for name in ORDER]
    for values, axis in ((summary.height, 0), (summary.width, 1)):
        sides = [size[axis] for size in sizes]
        assert values == (min(sides), statistics.median(sides), max(sides))
    assert summary.images == len(ORDER) == sum(summary.splits.values())
    assert summary.splits == {"train": 9, "validation": 3}


def test_shapes_are_shares_of_all_images(summary, photos):
    kinds = {"upright": 0, "lying": 0, "square": 0, "panorama": 0}
    for height, width in (upright_size(photos, name) for name in ORDER):
        aspect = max(height, width) / min(height, width)
        if aspect < 1.1:
            kinds["square"] += 1
        elif aspect >= 2:
            kinds["panorama"] += 1
        else:
            kinds["upright" if height > width else "lying"] += 1
    assert summary.shapes == pytest.approx({name: n / len(ORDER) for name, n in kinds.items()})
    assert min(kinds.values()) > 0


def test_squares_bend_by_the_aspect(summary, photos):
    sizes = [upright_size(photos, name) for name in ORDER]
    aspects = [max(size) / min(size) for size in sizes]
    assert summary.aspect == (min(aspects), statistics.median(aspects), max(aspects))
    for limit in ("1.5", "2"):
        share = sum(aspect > float(limit) for aspect in aspects) / len(aspects)
        assert summary.bent[limit] == pytest.approx(share)


def test_crops_lose_what_lies_outside_of_their_square(summary, photos):
    losses = {name: crop_loss(*upright_size(photos, name)) for name in ORDER}
    expected = (min(losses.values()), statistics.median(losses.values()), max(losses.values()))
    assert summary.crop_loss == pytest.approx(expected)
    worst = sorted(losses, key=lambda name: -losses[name])[:10]
    assert [image.lost for image in summary.most_cropped] == pytest.approx(
        [losses[name] for name in worst]
    )
    first = summary.most_cropped[0]
    assert (first.image, first.height, first.width) == ("train/cat/wide.jpg", 40, 400)
    turned = next(image for image in summary.most_cropped if "turned" in image.image)
    assert (turned.height, turned.width) == (120, 50)


def test_files_that_are_odd_are_counted_or_named(summary):
    assert summary.turned == 1
    assert summary.converted == {"CMYK": 1, "gray": 1}
    assert [image.id for image in summary.skipped] == [*DAMAGED]
    assert all(image.reason for image in summary.skipped)
    assert summary.large == ()
    # Twenty-nine pixels are the least of `zf5_spp`; one image is 24 wide.
    assert summary.too_small["zf5_spp"] == 1
    assert summary.too_small["efficientnet_lite0"] == 0


def test_the_same_picture_is_found_in_two_classes_and_in_both_splits(summary):
    found = {frozenset(picture.images): picture for picture in summary.same_pictures}
    assert set(found) == {frozenset(pair) for pair in COPIES.items()}
    classes, splits = (found[frozenset(pair)] for pair in COPIES.items())
    assert (classes.classes, classes.splits) == (("cat", "dog"), ("train",))
    assert (splits.classes, splits.splits) == (("cat",), ("train", "validation"))


def test_classes_are_counted_in_all_splits(summary):
    assert summary.classes == (("cat", 7), ("dog", 5))
    assert summary.class_skew == pytest.approx(7 / 5)


def test_fill_is_that_of_a_pipeline(summary):
    fill = summary.batches[0]
    records = spp_keras.data.load_records(
        summary.data, "train", max_skipped_fraction=0.5, progress=False
    )
    # Nine images are one batch: each is padded to the largest height and width.
    height, width = records.sizes.max(axis=0)
    image = records.sizes.prod(axis=1).sum()
    assert fill.padded == pytest.approx(1 - image / (len(records) * height * width))
    assert 0 <= fill.packed <= fill.padded


def test_the_command_takes_damaged_files_along(summary):
    command = summary.training.command
    assert command.startswith("spp-keras train --data ")
    # Two of eleven.
    assert command.endswith(" --max-skipped-fraction 0.19")
    assert summary.training.problem == ""


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["1.png", "2.png", "more/3.png"], "two classes"),
        (["cat/1.png", "cat/2.png"], "two classes"),
    ],
    ids=["flat", "one class"],
)
def test_a_folder_that_cannot_be_trained_on_is_summarized(names, problem, tmp_path):
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(photograph(40, 50 + number, number)))
    (tmp_path / "bad.png").write_bytes(b"")
    summary = spp_keras.summarize_images(tmp_path, progress=False)
    assert summary.images == len(names)
    assert summary.splits == {"": len(names)}
    assert summary.classes == ()
    assert summary.class_skew is None
    assert summary.skipped == (("bad.png", "is empty"),)
    assert problem in summary.training.problem
    assert "without labels" in " ".join(summary.to_text().split())


def test_nothing_readable_is_no_error(tmp_path):
    for name in ("cat/1.jpg", "dog/2.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"text")
    summary = spp_keras.summarize_images(tmp_path, progress=False)
    assert (summary.images, summary.width, summary.crop_loss) == (0, None, None)
    assert len(summary.skipped) == 2
    assert summary.training.problem
    assert "2 images cannot be used:\n" in summary.to_text()
    assert summary.write_html(tmp_path / "page.html").is_file()


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_no_folder_and_no_images_are_errors(name, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="`data` must"):
        spp_keras.summarize_images(tmp_path / name)
