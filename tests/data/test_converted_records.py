"""AVIF, TIFF and HEIC files in a folder, converted once into the cache."""

from pathlib import Path

import exif_files
import numpy as np
import pytest
from photographs import decoded, encoded, photograph
from PIL import Image

from spp_keras.data import Pipeline, converted_copies, image_reader, records

LYING = Image.Exif()
LYING[0x0112] = 6
PICTURE = photograph(40, 60)
FILES = {
    "train/cat/a.tif": encoded(PICTURE, "TIFF"),
    "train/cat/b.AVIF": encoded(photograph(30, 50), "AVIF"),
    "train/cat/c.png": encoded(photograph(50, 30)),
    # Told by its bytes and not by its name.
    "train/dog/d.jpg": encoded(
        exif_files.lying(PICTURE, 6), "AVIF", exif=LYING, quality=100, subsampling="4:4:4"
    ),
    "train/dog/e.tiff": encoded(Image.fromarray(PICTURE).convert("LA"), "TIFF"),
}


@pytest.fixture
def root(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def load(root, **options):
    return records.load_records(root, "train", progress=False, **options)


def test_each_is_as_pillow_reads_it(root, own_cache):
    loaded = load(root)
    assert loaded.ids.tolist() == list(FILES)
    assert loaded.converted == {"TIFF": 2, "AVIF": 2}
    assert loaded.sizes.tolist() == [[40, 60], [30, 50], [50, 30], [40, 60], [40, 60]]
    copies = [Path(loaded.files[index]) for index, _, _ in loaded.spans]
    assert [own_cache in copy.parents for copy in copies] == [True, True, False, True, True]
    assert {copy.suffix for copy in copies} == {".png"}
    batches = Pipeline(loaded, batch_size=5, shuffle=False).dataset(batch_format="ragged")
    seen = [image.to_tensor().numpy() for images, _ in batches for image in images]
    seen = {len(pixels): pixels.astype(int) for pixels in seen}
    for height, name in ((30, "train/cat/b.AVIF"), (50, "train/cat/c.png")):
        np.testing.assert_allclose(seen[height], decoded(FILES[name]).astype(int), atol=1)


def test_pixels_may_be_left_as_they_lie_in_the_file(root):
    assert load(root, orientation="file").sizes.tolist()[3] == [60, 40]


def test_they_are_converted_once(root, monkeypatch):
    first = load(root)
    with monkeypatch.context() as patched:
        patched.setattr(converted_copies, "convert_into_cache", None)
        again = load(root)
    assert (again.files, again.spans.tolist()) == (first.files, first.spans.tolist())
    # Where another setting makes each be looked at, copies are taken as they are.
    monkeypatch.setattr(converted_copies.image_conversion, "convert_image", None)
    assert load(root, orientation="file").files == first.files


def test_a_copy_that_is_gone_is_made_again(root):
    first = load(root)
    index = first.spans[0, 0]
    content = Path(first.files[index]).read_bytes()
    for damage in (Path.unlink, lambda path: path.write_bytes(content[:-9])):
        damage(Path(first.files[index]))
        assert load(root).files == first.files
        assert image_reader.read_span(first.files, first.spans[0]) == content


def test_a_changed_file_is_converted_anew(root):
    first = load(root)
    (root / "train/cat/a.tif").write_bytes(encoded(photograph(44, 60), "TIFF"))
    second = load(root)
    assert second.sizes[0].tolist() == [44, 60]
    assert second.files[second.spans[0, 0]] != first.files[first.spans[0, 0]]


def test_what_cannot_be_converted_is_skipped(root, monkeypatch, tmp_path):
    (root / "train/cat/z.tif").write_bytes(FILES["train/cat/a.tif"][:3000])
    (root / "train/dog/z.psd").write_bytes(b"8BPS")
    skipped = dict(load(root, max_skipped_fraction=0.5).skipped)
    assert sorted(skipped) == ["train/cat/z.tif", "train/dog/z.psd"]
    assert skipped["train/cat/z.tif"].startswith("is a TIFF image that cannot be converted: ")
    with pytest.raises(ValueError, match=r"z\.tif is a TIFF image that cannot be converted"):
        load(root, on_error="fail")


def test_the_background_is_that_of_the_records(root):
    loaded = load(root, background="navy")
    assert loaded.background == loaded.select([0, 1]).background == "navy"
    with pytest.raises(ValueError, match="`background` must be the name of a color"):
        load(root, background="nothing")


def test_a_pipeline_draws_on_its_background(tmp_path):
    transparent = np.dstack([PICTURE, photograph(40, 60, 1)[..., :1]])
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "1.png").write_bytes(encoded(transparent))
    loaded = load(tmp_path)
    for background, name in ((None, "white"), ("#204060", "#204060")):
        pipeline = Pipeline(loaded, batch_size=2, shuffle=False, background=background)
        images, _ = next(iter(pipeline.dataset()))
        expected = decoded(encoded(transparent), name).astype(int)
        for image in images["images"].numpy():
            np.testing.assert_allclose(image.astype(int), expected, atol=1)
    with pytest.raises(ValueError, match="`background` must be the name of a color"):
        Pipeline(loaded, background="nothing")
