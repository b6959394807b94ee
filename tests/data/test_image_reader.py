import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from spp_keras.data import image_reader


def contents(count, seed=0):
    """Bytes of every length, with what could be taken for an end among them."""
    drawn = np.random.default_rng(seed)
    lengths = [1, 2, 5000, *drawn.integers(1, 900, count - 3).tolist()]
    return [drawn.choice([0, 10, 255, 34, 97], n).astype("uint8").tobytes() for n in lengths]


def shards(folder, parts):
    """TFRecord files of examples, and where the images lie in them."""
    files, spans = [], []
    for number, images in enumerate(parts):
        files.append(str(folder / f"x.tfrecord-{number:05}-of-{len(parts):05}"))
        with tf.io.TFRecordWriter(files[-1]) as writer:
            for image in images:
                features = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
        data, offset = Path(files[-1]).read_bytes(), 0
        for image in images:
            (length,) = struct.unpack_from("<Q", data, offset)
            record = data[offset + 12 : offset + 12 + length]
            spans.append((number, offset + 12 + record.index(image), len(image)))
            offset += 16 + length
    return files, np.array(spans)


def whole_files(folder, images):
    files = [str(folder / f"{number}.jpg") for number in range(len(images))]
    for file, image in zip(files, images, strict=True):
        Path(file).write_bytes(image)
    return files, np.array([(number, 0, len(image)) for number, image in enumerate(images)])


def assert_reads(files, spans, images):
    reader = image_reader.ImageReader(files, spans)

    def read(number):
        return reader.read(reader.row(number))

    for number in (0, 1, len(images) - 1):
        assert read(number).numpy() == images[number]
    order = np.random.default_rng(1).permutation(len(images))
    rows = {name: tf.gather(values, order) for name, values in reader.table.items()}
    dataset = tf.data.Dataset.from_tensor_slices(rows).map(reader.read, tf.data.AUTOTUNE)
    assert list(dataset.as_numpy_iterator()) == [images[number] for number in order]


@pytest.mark.parametrize("counts", [(40,), (3, 20, 7), (4,) * 30])
def test_images_inside_shards(tmp_path, counts):
    parts = [contents(count, seed) for seed, count in enumerate(counts)]
    assert_reads(*shards(tmp_path, parts), list(itertools.chain(*parts)))


def test_images_in_files_of_their_own(tmp_path):
    images = contents(200)
    assert_reads(*whole_files(tmp_path, images), images)


def test_reader_of_some_files_in_another_order(tmp_path):
    images = contents(20)
    files, spans = whole_files(tmp_path, images)
    chosen = [17, 3, 3, 11]
    assert_reads(files, spans[chosen], [images[number] for number in chosen])


def test_images_in_files_and_shards_together(tmp_path):
    alone, inside = contents(4), contents(6, seed=1)
    files, spans = whole_files(tmp_path, alone)
    more, places = shards(tmp_path, [inside])
    assert_reads(
        files + more, np.concatenate([spans, places + np.array([4, 0, 0])]), alone + inside
    )


def test_image_at_the_start_of_a_larger_file(tmp_path):
    (tmp_path / "x").write_bytes(b"firstsecond")
    assert_reads([str(tmp_path / "x")], np.array([(0, 0, 5), (0, 5, 6)]), [b"first", b"second"])


def test_files_without_an_image_may_be_missing(tmp_path):
    images = contents(4)
    files, spans = whole_files(tmp_path, images)
    Path(files[1]).unlink()
    kept = [0, 2, 3]
    assert_reads([*files, "x\udcff.jpg"], spans[kept], [images[index] for index in kept])
