import functools
import re
import subprocess
import sys

import caffe_nets
import numpy as np
import oracles
import pytest
import tensorflow as tf
from caffe_nets import Layer
from mixed_batches import alone, assert_close, padded

from spp_keras import zoo
from spp_keras.detection import Detector, heads
from spp_keras.layers import SpatialPyramidPooling
from spp_keras.models import graph_run
from spp_keras.zoo import model_parts

LRN = "local_size: 3 alpha: 0.6 beta: 0.75 norm_region: WITHIN_CHANNEL"


def relu(number, kind="conv"):
    return Layer(f"relu{number}", "ReLU", f"{kind}{number}", f"{kind}{number}")


# The released ZF-5, narrow, its alpha such that a wrong one shows.
TRUNK = (
    Layer("conv1", "Convolution", "data", "conv1", "num_output: 6 kernel_size: 7 pad: 1 stride: 2"),
    relu(1),
    Layer("norm1", "LRN", "conv1", "norm1", LRN),
    Layer("pool1", "Pooling", "norm1", "pool1", "kernel_size: 3 stride: 2 pool: MAX"),
    Layer(
        "conv2", "Convolution", "pool1", "conv2", "num_output: 8 kernel_size: 5 pad: 0 stride: 2"
    ),
    relu(2),
    Layer("norm2", "LRN", "conv2", "norm2", LRN),
    Layer("pool2", "Pooling", "norm2", "pool2", "kernel_size: 3 stride: 2 pool: MAX"),
    Layer(
        "conv3", "Convolution", "pool2", "conv3", "num_output: 7 kernel_size: 3 pad: 1 stride: 1"
    ),
    relu(3),
    Layer(
        "conv4", "Convolution", "conv3", "conv4", "num_output: 9 kernel_size: 3 pad: 1 stride: 1"
    ),
    relu(4),
    Layer(
        "conv5", "Convolution", "conv4", "conv5", "num_output: 5 kernel_size: 3 pad: 1 stride: 1"
    ),
    relu(5),
)
TOP = (
    Layer("spm", "Concat", "spm1_flat spm2_flat spm3_flat spm6_flat", "spm", "concat_dim: 1"),
    Layer("fc6", "InnerProduct", "spm", "fc6", "num_output: 12"),
    relu(6, "fc"),
    Layer("drop6", "Dropout", "fc6", "fc6", "dropout_ratio: 0.25"),
    Layer("fc7", "InnerProduct", "fc6", "fc7", "num_output: 10"),
    relu(7, "fc"),
    Layer("drop7", "Dropout", "fc7", "fc7", "dropout_ratio: 0.25"),
    Layer("fc8", "InnerProduct", "fc7", "fc8", "num_output: 4"),
    Layer("prob", "Softmax", "fc8", "prob"),
)
SHAPES = {
    "conv1": (6, 3, 7, 7),
    "conv2": (8, 6, 5, 5),
    "conv3": (7, 8, 3, 3),
    "conv4": (9, 7, 3, 3),
    "conv5": (5, 9, 3, 3),
    "fc6": (12, 250),
    "fc7": (10, 12),
    "fc8": (4, 10),
}
WEIGHTS = caffe_nets.drawn(SHAPES)
WEIGHTS["conv1"][0] /= 60  # Pixels are that large.


def zf5(second=7):
    """Its layers; the pooling of level 2 has a stride of 7 in the release, 6 in the paper."""
    pyramid = []
    for level, kernel, stride in ((6, 3, 2), (3, 5, 4), (2, 7, second), (1, 13, 13)):
        name, sizes = f"spm{level}", f"kernel_size: {kernel} stride: {stride} pool: MAX"
        pyramid.append(Layer(name, "Pooling", "conv5", name, sizes))
        pyramid.append(Layer(f"{name}_flat", "Flatten", name, f"{name}_flat"))
    return (*TRUNK, *pyramid, *TOP)


def maps_by_loops(image):
    x = caffe_nets.data(image, 128)
    for conv, pad in (("conv1", 1), ("conv2", 0)):
        x = caffe_nets.relu(caffe_nets.convolution(x, WEIGHTS[conv], stride=2, pad=pad))
        x = caffe_nets.pooled(caffe_nets.normalized_within(x, 3, 0.6, 0.75), 3, 2)
    for conv in ("conv3", "conv4", "conv5"):
        x = caffe_nets.relu(caffe_nets.convolution(x, WEIGHTS[conv], pad=1))
    return x


def top_by_loops(levels, scale=1.0):
    x = np.concatenate([level.reshape(-1) for level in levels])
    x = caffe_nets.relu(caffe_nets.dense(x, WEIGHTS["fc6"])) * scale
    x = caffe_nets.relu(caffe_nets.dense(x, WEIGHTS["fc7"])) * scale
    return caffe_nets.softmax(caffe_nets.dense(x, WEIGHTS["fc8"]))


def bins_by_loops(image, scale=1.0):
    maps = maps_by_loops(image)
    return top_by_loops([caffe_nets.binned(maps, level) for level in (1, 2, 3, 6)], scale)


def written(folder, layers, weights=WEIGHTS, form="layer", **options):
    """Paths of the two files."""
    paths = folder / "deploy.prototxt", folder / "net.caffemodel"
    paths[0].write_text(caffe_nets.text(layers, form, **options))
    paths[1].write_bytes(caffe_nets.content(layers, weights, form))
    return paths


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return zoo.load_caffe_model(*written(tmp_path_factory.mktemp("released"), zf5()))


def images_of(*sizes, seed=3):
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (*size, 3)).astype("float32") for size in sizes]


@functools.cache
def photograph():
    return images_of((224, 224))[0]


# What it answers.


@pytest.mark.parametrize("form", caffe_nets.FORMS)
def test_at_the_size_of_training_the_answer_is_that_of_the_files_own_poolings(tmp_path, form):
    model = zoo.load_caffe_model(*written(tmp_path, zf5(second=6), form=form))
    maps = maps_by_loops(photograph())
    assert maps.shape == (5, 13, 13)
    poolings = ((13, 13), (7, 6), (5, 4), (3, 2))
    expected = top_by_loops([caffe_nets.pooled(maps, *sizes) for sizes in poolings])
    assert_close(model(photograph()[np.newaxis])[0], expected)
    assert expected.max() < 0.9


# The last has the shortest sides for one cell and for two.
@pytest.mark.parametrize("size", [(224, 224), (191, 250), (97, 130), (31, 47)])
def test_at_any_size_the_answer_is_that_of_caffes_maps_and_the_papers_bins(released, size):
    (image,) = images_of(size)
    assert_close(released(image[np.newaxis])[0], bins_by_loops(image))


def test_the_trunk_alone_gives_caffes_maps(tmp_path):
    model = zoo.load_caffe_model(*written(tmp_path, TRUNK))
    (image,) = images_of((120, 87))
    assert_close(model(image[np.newaxis])[0], maps_by_loops(image).transpose(1, 2, 0))


def test_groups_normalization_across_channels_a_mean_by_channel_and_no_pyramid(tmp_path):
    layers = (
        Layer("a/conv", "Convolution", "data", "a", "num_output: 4 kernel_size: 5 stride: 2"),
        Layer("a/relu", "ReLU", "a", "b"),
        Layer("pool", "Pooling", "b", "c", "kernel_size: 3 stride: 2 pad: 1"),
        Layer("norm", "LRN", "c", "d", "local_size: 3 alpha: 0.7 k: 2"),
        Layer("conv2", "Convolution", "d", "e", "num_output: 6 kernel_size: 3 group: 2 pad: 1"),
        Layer("relu2", "ReLU", "e", "e"),
        Layer("pool2", "Pooling", "e", "f", "kernel_size: 3 stride: 2"),
        Layer("fc", "InnerProduct", "f", "fc", "num_output: 3"),
    )
    shapes = {"a/conv": (4, 3, 5, 5), "conv2": (6, 2, 3, 3), "fc": (3, 6 * 36)}
    weights = caffe_nets.drawn(shapes)
    weights["a/conv"][0] /= 50
    # 50, 24, 13, then 6 bins; rounding down, the pooling without padding would have 24 and 12.
    model = zoo.load_caffe_model(
        *written(tmp_path, layers, weights, size=(51, 51)), mean=(90, 110, 140), name="alex"
    )
    (image,) = images_of((51, 51))
    x = caffe_nets.data(image, (90, 110, 140))
    x = caffe_nets.pooled(caffe_nets.relu(caffe_nets.convolution(x, weights["a/conv"], 2)), 3, 2, 1)
    x = caffe_nets.normalized_across(x, 3, 0.7, 0.75, 2)
    x = caffe_nets.relu(caffe_nets.convolution(x, weights["conv2"], pad=1, groups=2))
    x = caffe_nets.pooled(x, 3, 2)
    assert x.shape == (6, 6, 6)
    assert_close(model(image[np.newaxis])[0], caffe_nets.dense(x.reshape(-1), weights["fc"]))
    assert model.name == "alex"
    assert [layer.levels for layer in model.layers if hasattr(layer, "levels")] == [((6, 6),)]


def test_dropout_that_scaled_at_test_scales_still(tmp_path):
    paths = written(tmp_path, zf5())
    model = zoo.load_caffe_model(*paths, scale_train=False)
    (image,) = images_of((97, 130))
    expected = bins_by_loops(image, scale=0.75)
    assert np.abs(expected - bins_by_loops(image)).max() > 1e-3
    assert_close(model(image[np.newaxis])[0], expected)
    text = paths[0].read_text().replace("ratio: 0.25", "ratio: 0.25 scale_train: false")
    paths[0].write_text(text)
    assert_close(zoo.load_caffe_model(*paths)(image[np.newaxis])[0], expected)


# A network of the zoo.


SIZES = [(93, 97), (149, 95), (33, 65), (118, 120), (112, 96)]


def test_an_image_of_a_mixed_batch_gets_its_answer_alone(released):
    images = images_of(*SIZES)
    expected = alone(released, images)
    assert np.abs(expected - expected[0])[1:].max() > 0.01 * np.abs(expected).max()
    assert_close(released(tf.ragged.stack(images)), expected)
    assert_close(released(padded(images)), expected)
    assert_close(zoo.with_sizes(released)(padded(images)), expected)


def test_maps_of_a_mixed_batch_are_those_of_each_image_and_zeros_around_them(tmp_path):
    model, images = zoo.load_caffe_model(*written(tmp_path, TRUNK)), images_of(*SIZES)
    maps = np.array(model(tf.ragged.stack(images)))
    for image, batched in zip(images, maps, strict=True):
        (own,) = np.array(model(image[np.newaxis]))
        rows, columns = own.shape[:2]
        assert_close(batched[:rows, :columns], own)
        assert not batched[rows:].any()
        assert not batched[:, columns:].any()


def test_its_layers_are_named_as_in_the_zoo(released):
    pyramid = released.get_layer("spp")
    assert type(pyramid) is SpatialPyramidPooling
    assert pyramid.levels == ((6, 6), (3, 3), (2, 2), (1, 1))
    weighted = [layer.name for layer in released.layers if layer.weights]
    assert weighted == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "predictions"]
    assert released.name == "small"
    assert graph_run.min_image_size(released) == 31


def test_windows_are_pooled_from_cells_where_the_release_has_them(released):
    # Its offset is 21, counted from 1.
    # Its pools of stride 2 round up, at steps of 2 and 8 pixels.
    assert model_parts.split_model(released).grid == (16, 20, 10, ())
    answer = zoo.with_boxes(released)(
        {"images": photograph()[np.newaxis], "boxes": np.array([[[0, 0, 224, 224]]])}
    )
    assert_close(answer[0, 0], released(photograph()[np.newaxis])[0])


# Rounding down, the first would have 4 and 5 cells instead of 5 and 6.
@pytest.mark.parametrize("size", [(95, 111), (97, 130), (31, 47)])
def test_windows_are_pooled_from_the_cells_that_caffe_has(released, size):
    (image,), (height, width) = images_of(size), size
    parts = model_parts.split_model(released)
    maps = maps_by_loops(image).transpose(1, 2, 0)
    assert maps.shape[:2] == tuple(parts.grid.map_size(side) for side in size)
    boxes = [(0, 0, width, height), (width - 20, height - 25, width, height), (10, 5, 60, 28)]
    vectors = [
        oracles.window_pyramid(
            maps,
            oracles.window_of_box(box, 16, 20, *maps.shape[:2]),
            parts.pooling.levels,
            parts.pooling.mode,
        )
        for box in boxes
    ]
    expected = np.array(vectors, "float32")
    for layer in parts.top:
        expected = layer(expected)
    answer = zoo.with_boxes(released)({"images": image[np.newaxis], "boxes": np.array([boxes])})
    assert_close(answer[0], expected)
    detector = create_detector(released, min(size))
    feature_maps = detector.compute_feature_maps(tf.constant(image))
    rois = tf.constant(boxes, "float32")
    pooled, rows = detector.pool_rois(feature_maps, rois, tf.constant(size))
    assert_close(tf.gather(pooled, rows), np.array(vectors))


def create_detector(network, scale):
    head = heads.finalize_head(heads.build_softmax_head(network, 2))
    return Detector.from_network(network, head, labels=("one", "other"), scales=(scale,))


def test_the_smallest_image_of_a_detector_is_that_of_its_trunk(released):
    detector = create_detector(released, 31)
    (feature_map,) = detector.compute_feature_maps(tf.constant(images_of((31, 31))[0]))
    assert feature_map.shape[1:3] == (1, 1)
    with pytest.raises(ValueError, match="`scales` must be an int >= 31"):
        create_detector(released, 30)


@pytest.mark.integration
def test_it_is_saved_and_loaded_as_any_model(released, tmp_path):
    images = images_of((93, 97), (149, 95))
    released.save(tmp_path / "zf5.keras")
    np.savez(tmp_path / "images.npz", *images)
    # What reads Caffe's files is not needed any more.
    script = (
        "import sys, keras, numpy as np, tensorflow as tf, spp_keras\n"
        "images = np.load('images.npz').values()\n"
        "answer = keras.models.load_model('zf5.keras')(tf.ragged.stack(list(images)))\n"
        "np.save('answer.npy', answer)\n"
        "assert not any('caffe' in name for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    answer = np.load(tmp_path / "answer.npy")
    np.testing.assert_array_equal(answer, released(tf.ragged.stack(images)))


# What cannot be.


def layers_with(**parameters):
    """ZF-5 with other parameters of some of its layers."""
    return tuple(
        layer._replace(parameters=parameters.get(layer.name, layer.parameters)) for layer in zf5()
    )


def instead(name, *others):
    return tuple(new for layer in zf5() for new in (others if layer.name == name else (layer,)))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (instead("relu3", Layer("act", "TanH", "conv3", "conv3")), "'act' of the type 'tanh'"),
        (layers_with(pool1="kernel_size: 3 stride: 2 pool: AVE"), "'pool1' .* another pooling"),
        (layers_with(pool1="kernel_size: 2 stride: 3"), "'pool1' .* kernel 2, stride 3 and pad 0"),
        (layers_with(conv2="num_output: 8 kernel_size: 5 dilation: 2"), r"dilation \[2\]"),
        (layers_with(conv2="num_output: 8 kernel_h: 5 kernel_w: 3"), r"'conv2' .* kernel \[5, 3\]"),
        (layers_with(conv2="num_output: 8"), r"'conv2' .* kernel \[\]"),
        (layers_with(relu3="negative_slope: 0.1"), "'relu3' .* negative_slope 0.1"),
        (layers_with(spm3="kernel_size: 3 stride: 5"), "'spm3' .* kernel 3, stride 5"),
        (layers_with(spm3="kernel_size: 5 stride: 1"), "'spm3', whose window 0 of 9"),
        (layers_with(fc6="num_output: 12 transpose: true"), "'fc6' .* transpose True"),
        (layers_with(spm="axis: 2"), "'spm' .* axis 2"),
        (instead("relu1"), "neither for 'pool1'"),
        (instead("spm2", Layer("spm2", "Pooling", "conv4", "spm2", "kernel_size: 7")), "'spm'"),
        (instead("fc7", Layer("fc7", "InnerProduct", "fc5", "fc7")), r"'fc7' .* takes \['fc5'\]"),
        (instead("spm", Layer("spm", "Flatten", "conv5", "spm")), "only the output of a"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_layer_that_cannot_be_rebuilt_is_named(tmp_path, layers, message):
    with pytest.raises(ValueError, match=f"`prototxt` must .* Received: .*{message}"):
        zoo.load_caffe_model(*written(tmp_path, layers))


def test_weights_of_another_shape_are_named_with_both_shapes(tmp_path):
    weights = WEIGHTS | {"fc6": [np.zeros((12, 150)), WEIGHTS["fc6"][1]]}
    weights["conv2"] = WEIGHTS["conv2"][:1]
    del weights["fc8"]
    paths = written(tmp_path, zf5(), weights)
    lines = (
        "conv2: (8, 6, 5, 5) and (8,) in the text, (8, 6, 5, 5) in the file\n"
        "  fc6: (12, 250) and (12,) in the text, (12, 150) and (12,) in the file\n"
        "  fc8: (4, 10) and (4,) in the text, nothing in the file"
    )
    with pytest.raises(ValueError, match=f"{re.escape(lines)}$"):
        zoo.load_caffe_model(*paths)


@pytest.mark.parametrize("fraction", [0.5, 0.98, 0.0])
def test_a_file_that_is_cut_off_is_refused(tmp_path, fraction):
    prototxt, caffemodel = written(tmp_path, zf5())
    content = caffemodel.read_bytes()
    caffemodel.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(
        ValueError, match=r"`caffemodel` must be a whole file .* which (cannot|has)"
    ):
        zoo.load_caffe_model(prototxt, caffemodel)


def test_a_blob_with_too_few_numbers_is_refused(tmp_path):
    prototxt, caffemodel = written(tmp_path, TRUNK, {"conv1": [np.zeros((2, 3), "float32")]})
    content = caffemodel.read_bytes().replace(b"\x0a\x02\x02\x03", b"\x0a\x02\x02\x05")
    caffemodel.write_bytes(content)
    with pytest.raises(ValueError, match=r"'conv1' has 6 numbers for the shape \(2, 5\)"):
        zoo.load_caffe_model(prototxt, caffemodel)


def test_files_in_the_wrong_order_are_told_apart(tmp_path):
    prototxt, caffemodel = written(tmp_path, zf5())
    with pytest.raises(ValueError, match=r"`prototxt` must be the text .* comes second"):
        zoo.load_caffe_model(caffemodel, prototxt)
    with pytest.raises(ValueError, match=r"`caffemodel` must be .* comes first, has no weights"):
        zoo.load_caffe_model(prototxt, prototxt)


def test_the_text_must_say_what_images_there_are(tmp_path):
    paths = written(tmp_path, zf5())
    paths[0].write_text(paths[0].read_text().replace("input_dim: 3\n", ""))
    with pytest.raises(ValueError, match="`prototxt` must state the images"):
        zoo.load_caffe_model(*paths)
    paths[0].write_text('input: "data" input_shape { dim: 1 dim: 3 dim: 24 dim: 24 }')
    with pytest.raises(ValueError, match="`prototxt` must have layers"):
        zoo.load_caffe_model(*paths)


@pytest.mark.parametrize("mean", [(1, 2), "128", (1, 2, "3")])
def test_a_mean_is_one_number_or_one_for_each_channel(tmp_path, mean):
    with pytest.raises(ValueError, match="`mean` must be a number or 3 of them"):
        zoo.load_caffe_model(*written(tmp_path, TRUNK), mean=mean)
