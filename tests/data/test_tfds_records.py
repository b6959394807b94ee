import io
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from spp_keras.data import records, shapes, tfrecord

BOX = tfds.features.BBox


def encoded(index, form="JPEG", mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, (30 + index, 20 + 2 * index), index).save(file, form)
    return file.getvalue()


def voc(first, count):
    kinds = ("dog", "person", "cat")
    for index in range(first, first + count):
        objects = [
            {
                "label": kinds[i],
                "bbox": BBOXES[i],
                "pose": "left",
                "is_truncated": False,
                "is_difficult": (index + i) % 3 == 0,
            }
            for i in range(index % 4)
        ]
        yield (
            f"{index:06}",
            {
                "image": io.BytesIO(encoded(index)),
                "image/filename": f"{index:06}.jpg",
                "objects": objects,
                "labels": sorted({item["label"] for item in objects}),
                "labels_no_difficult": sorted(
                    {item["label"] for item in objects if not item["is_difficult"]}
                ),
            },
        )


BBOXES = (BOX(0.0, 0.125, 0.5, 1.0), BOX(0.1, 0.2, 0.3, 0.4), BOX(0.5, 0.5, 0.75, 0.625))


def imagenet(count, label=None):
    for index in range(count):
        name = f"n01440764_{index}.JPEG"
        data = b"\xff\xd8\xff broken" if index == 3 else encoded(index, mode="L")
        kind = (7 * index) % 1000 if label is None else label
        yield name, {"image": io.BytesIO(data), "label": kind, "file_name": name}


def caltech(count):
    # As in the real one, every class counts its files from 1.
    for kind, index in itertools.product(("accordion", "zebra", "ant"), range(count)):
        name = f"image_{index:04}.jpg"
        image = io.BytesIO(encoded(index + len(kind)))
        features = {"image": image, "label": kind if kind != "zebra" else 3}
        yield f"{kind}/{name}", {**features, "image/file_name": name}


class Tagged(tfds.core.GeneratorBasedBuilder):
    """Any number of labels, no objects, no file names; images given as pixels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        label = tfds.features.ClassLabel(names=["red", "round", "small"])
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {"photo": tfds.features.Image(), "tags": tfds.features.Sequence(label)}
            ),
        )

    def _split_generators(self, _):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for index in range(5):
            pixels = np.full((20, 30, 3), index, np.uint8)
            yield index, {"photo": pixels, "tags": list(range(index % 4))}


class Boxed(tfds.core.GeneratorBasedBuilder):
    """Objects of which none is difficult, of two kinds each, and no label of the image."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        thing = {
            "bbox": tfds.features.BBoxFeature(),
            "color_jitter": tfds.features.ClassLabel(names=["red", "blue"]),
            "label": tfds.features.ClassLabel(names=["nut", "bolt", "nail"]),
        }
        features = {"image": tfds.features.Image(), "things": tfds.features.Sequence(thing)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, _):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for index in range(4):
            things = [{"bbox": BBOXES[i], "color_jitter": 0, "label": 2 - i} for i in range(index)]
            yield index, {"image": np.zeros((20, 30, 3), np.uint8), "things": things}


class Unlabelled(tfds.core.GeneratorBasedBuilder):
    """Images of nothing."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, _):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for index in range(2):
            yield index, {"image": np.zeros((20, 30, 3), np.uint8)}


def prepare(name, data_dir, splits, **options):
    """Writes with the builder's own writer, to where and as it would after a download."""
    builder = tfds.builder(name, data_dir=data_dir, **options)
    if splits:
        builder._split_generators = lambda _: splits
    config = tfds.download.DownloadConfig(
        try_download_gcs=False, num_shards=2, manual_dir=str(data_dir)
    )
    builder.download_and_prepare(download_config=config)
    return builder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    prepare("voc/2007", folder, {"train": voc(0, 9), "validation": voc(9, 5), "test": voc(14, 3)})
    prepare("imagenet2012", folder, {"train": imagenet(8), "test": imagenet(2, label=-1)})
    prepare("caltech101", folder, {"train": caltech(3), "test": caltech(1)})
    prepare("tagged", folder, None)
    prepare("boxed", folder, None)
    prepare("unlabelled", folder, None)
    return folder


def oracle(name, split, data_dir):
    """What TensorFlow Datasets reads itself, by id, the image as bytes."""
    builder = tfds.builder(name, data_dir=data_dir)
    key = next(key for key in ("image", "photo") if key in builder.info.features)
    dataset = builder.as_dataset(
        split=split,
        decoders={key: tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=True),
    )
    return [{**item, "image": item[key]} for item in tfds.as_numpy(dataset)]


def read(loaded, i):
    index, offset, length = loaded.spans[i]
    with Path(loaded.files[index]).open("rb") as file:
        file.seek(offset)
        return file.read(length)


def assert_same_bytes(loaded, expected):
    assert len(loaded) == len(expected)
    for i, item in enumerate(expected):
        assert read(loaded, i) == item["image"]
        decoded = tf.io.decode_image(item["image"], channels=3)
        assert loaded.sizes[i].tolist() == decoded.shape[:2]


@pytest.mark.parametrize(
    "split", ["train", "validation", "train+test", "train[:60%]", "train[-4:]+validation[1:3]"]
)
def test_voc_records_equal_tensorflow_datasets(split, data_dir):
    loaded = records.load_records("voc/2007", split, data_dir)
    expected = oracle("voc/2007", split, data_dir)
    assert loaded.name == f"voc/2007 {split}"
    assert loaded.classes[:2] == ("aeroplane", "bicycle")
    assert loaded.ids.tolist() == [item["image/filename"].decode() for item in expected]
    assert_same_bytes(loaded, expected)
    assert loaded.multi_label
    for row, objects, item in zip(loaded.labels, loaded.objects, expected, strict=True):
        assert np.flatnonzero(row).tolist() == sorted(item["labels_no_difficult"])
        np.testing.assert_array_equal(objects.boxes, item["objects"]["bbox"])
        np.testing.assert_array_equal(objects.labels, item["objects"]["label"])
        np.testing.assert_array_equal(objects.difficult, item["objects"]["is_difficult"])
        assert objects.boxes.shape == (len(objects.labels), 4)
    assert any(len(objects.labels) for objects in loaded.objects)


def test_imagenet_records_equal_tensorflow_datasets(data_dir):
    loaded = records.load_records("imagenet2012", "train", data_dir, max_skipped_fraction=0.2)
    broken = "n01440764_3.JPEG"
    expected = [
        item
        for item in oracle("imagenet2012", "train", data_dir)
        if item["file_name"].decode() != broken
    ]
    assert len(loaded.classes) == 1000
    assert loaded.ids.tolist() == [item["file_name"].decode() for item in expected]
    assert loaded.labels.tolist() == [item["label"] for item in expected]
    assert loaded.labels.dtype == np.int32
    assert loaded.objects is None
    assert [skipped.id for skipped in loaded.skipped] == [broken]
    assert loaded.converted == {"gray": 7}
    assert len(loaded.files) == 2
    assert_same_bytes(loaded, expected)


def test_repeated_file_names_get_the_ids_of_tensorflow_datasets(data_dir):
    loaded = records.load_records("caltech101", "train", data_dir)
    expected = oracle("caltech101", "train", data_dir)
    assert loaded.ids.tolist() == [item["tfds_id"].decode() for item in expected]
    assert loaded.labels.tolist() == [item["label"] for item in expected]
    assert_same_bytes(loaded, expected)


def test_labels_are_found_by_feature_type(data_dir):
    loaded = records.load_records("tagged", "train", data_dir)
    expected = oracle("tagged", "train", data_dir)
    assert loaded.classes == ("red", "round", "small")
    assert loaded.ids.tolist() == [item["tfds_id"].decode() for item in expected]
    for row, item in zip(loaded.labels, expected, strict=True):
        assert np.flatnonzero(row).tolist() == sorted(item["tags"])
    assert loaded.objects is None
    assert_same_bytes(loaded, expected)


def test_labels_from_objects(data_dir):
    loaded = records.load_records("boxed", "train", data_dir)
    expected = oracle("boxed", "train", data_dir)
    assert loaded.classes == ("nut", "bolt", "nail")
    for row, objects, item in zip(loaded.labels, loaded.objects, expected, strict=True):
        assert np.flatnonzero(row).tolist() == sorted(item["things"]["label"])
        np.testing.assert_array_equal(objects.boxes, item["things"]["bbox"])
        np.testing.assert_array_equal(objects.labels, item["things"]["label"])
        assert objects.difficult.tolist() == [False] * len(objects.labels)


def test_shapes_are_prepared_once(tmp_path, monkeypatch, capsys):
    config = shapes.Builder.builder_configs["tiny"]
    for split in ("train", "validation", "test"):
        monkeypatch.setattr(config, split, 12)
    loaded = records.load_records("shapes/tiny", "train", tmp_path)
    assert capsys.readouterr().out == ""
    expected = oracle("shapes/tiny", "train", tmp_path)
    assert loaded.ids.tolist() == [item["image/filename"].decode() for item in expected]
    assert loaded.labels.tolist() == [item["label"] for item in expected]
    for objects, item in zip(loaded.objects, expected, strict=True):
        np.testing.assert_array_equal(objects.boxes, item["objects"]["bbox"])
        np.testing.assert_array_equal(objects.difficult, item["objects"]["is_difficult"])
    assert_same_bytes(loaded, expected)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", None)
    assert len(records.load_records("shapes/tiny", "train", tmp_path)) == 12


def test_prepared_data_set_by_its_folder(data_dir):
    loaded = records.load_records(data_dir / "voc" / "2007" / "5.0.0", "test")
    assert loaded.ids.tolist() == records.load_records("voc/2007", "test", data_dir).ids.tolist()


def test_cached_records_need_no_shard(data_dir, monkeypatch):
    first = records.load_records("voc/2007", "train", data_dir)
    monkeypatch.setattr(tfrecord, "read_records", None)
    second = records.load_records("voc/2007", "train", str(data_dir))
    np.testing.assert_array_equal(first.spans, second.spans)
    assert len(second.objects) == 9
    # Of the same shards.
    with pytest.raises(TypeError):
        records.load_records("voc/2007", "train[:8]", data_dir)


def test_unpublished_labels_are_refused(data_dir):
    with pytest.raises(ValueError, match=r"labels from 0 to 999.*split='test'.*has -1"):
        records.load_records("imagenet2012", "test", data_dir)


def test_unprepared_data_set_error_says_how_to_prepare_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", None)
    with pytest.raises(ValueError, match="must be a data set that is prepared") as caught:
        records.load_records("imagenet2012", "train", tmp_path)
    message = str(caught.value)
    assert f"none in '{tmp_path}/imagenet2012/5.1.0'" in message
    assert f"tfds.builder('imagenet2012', data_dir='{tmp_path}').download_and_prepare(" in message
    assert "manual_dir=" in message
    assert "ILSVRC2012_img_train.tar" in message
    with pytest.raises(ValueError, match=r"download_and_prepare\(\)") as caught:
        records.load_records("voc/2012", "train", tmp_path)
    assert "manual_dir" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert caplog.messages == []


def test_error_names_other_prepared_versions(data_dir, tmp_path):
    (tmp_path / "voc" / "2007").mkdir(parents=True)
    old = tmp_path / "voc" / "2007" / "4.0.0"
    old.symlink_to(data_dir / "voc" / "2007" / "5.0.0")
    with pytest.raises(ValueError, match=r"other versions, 4.0.0: ask for 'voc/2007:4.0.0'"):
        records.load_records("voc/2007", "train", tmp_path)
    assert len(records.load_records("voc/2007:4.0.0", "train", tmp_path)) == 9


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("imagenet2021", "train", r"Received: data='imagenet2021'. Did you mean 'imagenet2012'"),
        ("voc/2020", "train", r"\(one of \['2007', '2012'\]\) and version.*data='voc/2020'"),
        ("voc/2007", "trian", r"one of 'test', 'train', 'validation', or parts.*split='trian'"),
        ("voc/2007", "train[:x]", r"such as 'train\[:90%\]'. Received: split='train\[:x\]'"),
        ("voc/2007", "train[:0]", r"`split` must have images. Received: split='train\[:0\]'"),
        ("voc/2007", "train+train[:3]", r"`split` must have no image twice"),
        ("unlabelled", "train", r"must have a class label.*data='unlabelled'.*\['image'\]"),
    ],
)
def test_error_lists_known_names_and_splits(name, split, message, data_dir):
    with pytest.raises(ValueError, match=message):
        records.load_records(name, split, data_dir)


def test_other_file_formats_are_refused(tmp_path):
    prepare("tagged", tmp_path, None, file_format="array_record")
    with pytest.raises(ValueError, match=r"prepared as 'array_record'.*file_format='tfrecord'"):
        records.load_records("tagged", "train", tmp_path)


@pytest.mark.parametrize("damage", ["cut", "gone", "noise"])
def test_damaged_shard_is_named(damage, tmp_path):
    builder = prepare("tagged", tmp_path, None)
    path = sorted(Path(builder.data_path).glob("*.tfrecord-00000-*"))[0]
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-2] if damage == "cut" else data[:12] + b"\xff" * 40 + data[52:])
    with pytest.raises(ValueError, match=f"(?i){path.name}.*prepare .*again"):
        records.load_records("tagged", "train", tmp_path)


def test_fields_of_every_kind_are_skipped():
    def delimited(index, data):
        return bytes([index << 3 | 2, len(data)]) + data

    skipped = b"\x18\x96\x01" + b"\x21" + bytes(8) + b"\x2d" + bytes(4) + delimited(7, b"more")
    feature = skipped + delimited(1, skipped + delimited(1, b"pixels"))
    entry = delimited(2, feature) + skipped + delimited(1, b"image")
    example = skipped + delimited(1, skipped + delimited(1, entry))
    [(key, place)] = tfrecord.parse_features(example).items()
    assert key == "image"
    start, end = tfrecord.find_first_bytes(example, place)
    assert example[start:end] == b"pixels"


def test_varints_of_several_bytes(tmp_path):
    values = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x" * length]))
        for name, length in (("a", 0), ("b", 127), ("c", 128), ("d", 70_000))
    }
    example = tf.train.Example(features=tf.train.Features(feature=values)).SerializeToString()
    for name, place in tfrecord.parse_features(example).items():
        start, end = tfrecord.find_first_bytes(example, place)
        assert example[start:end] == values[name].bytes_list.value[0]
    path = tmp_path / "shard"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example)
        writer.write(b"")
    assert [data for _, _, data in tfrecord.read_records(str(path), 0, 2, 2)] == [example, b""]
    with pytest.raises(ValueError, match=r"3 whole records\. It ends within record 2"):
        list(tfrecord.read_records(str(path), 0, 3, 3))
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])
    with pytest.raises(ValueError, match="ends within record 0"):
        list(tfrecord.read_records(str(path), 0, 1, 2))
