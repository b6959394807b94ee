import functools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from photographs import photograph

from spp_keras import zoo
from spp_keras.export.tflite import classifier

pytestmark = pytest.mark.integration

LABELS = ["arc", "bar", "cup", "dot", "egg"]
SIZES = [(64, 50), (97, 140), (70, 71)]
BOXES = np.array([[0, 0, 50, 64], [-9, 3.5, 30, 200], [20, 10, 21, 11]], "float32")
# Of scores between 0 and 1.
CLOSE = {"none": 1e-4, "float16": 1e-2, "dynamic": 0.2, "int8": 0.2}

every_quantization = pytest.mark.parametrize("quantization", classifier.QUANTIZATIONS)


@functools.cache
def network():
    keras.utils.set_random_seed(0)
    return separated(zoo.zf5_spp(classes=len(LABELS), width=0.0625))


def separated(model):
    """Its last layer changed so that each class is the answer to some pictures."""
    last = model.layers[-1]
    hidden = keras.Model(model.inputs[0], last.input)
    vectors = np.concatenate([np.asarray(hidden(picture(i, 64, 50))) for i in range(40)])
    _, _, directions = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    kernel = directions[: len(LABELS)].T
    kernel = 4 * kernel / (vectors @ kernel).std(0)
    last.set_weights([kernel, -vectors.mean(0) @ kernel])
    return model


def picture(seed, height, width):
    """A picture in colors of its own, as a batch of one."""
    drawn = np.random.default_rng(seed)
    low, high = np.sort(drawn.uniform(0, 1, (2, 3)), axis=0)
    pixels = photograph(height, width, seed, coarse=int(drawn.integers(4, 30))) * (high - low)
    return (pixels + 255 * low).astype("uint8")[None]


def pictures(*sizes, count=24):
    return [picture(i, *sizes[i % len(sizes)]) for i in range(count)]


def calibration(quantization, *sizes):
    return [image[0] for image in pictures(*sizes)] if quantization == "int8" else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def any_size(folder):
    """The file of each quantization for images of any size, made when first asked for."""

    @functools.cache
    def make(quantization):
        path = folder / f"any_{quantization}.tflite"
        examples = calibration(quantization, *SIZES)
        return classifier.export_tflite(
            network(), path, labels=LABELS, quantization=quantization, calibration_images=examples
        )

    return make


def run(path, images, boxes=None):
    interpreter = Interpreter(str(path))
    request = {"images": images} if boxes is None else {"images": images, "boxes": boxes}
    for detail in interpreter.get_input_details():
        name = detail["name"].removeprefix("serving_default_").partition(":")[0]
        request[name] = request[name].astype(detail["dtype"])
        if tuple(detail["shape"]) != request[name].shape:
            interpreter.resize_tensor_input(detail["index"], request[name].shape, strict=True)
        request[name] = detail["index"], request[name]
    interpreter.allocate_tensors()
    for index, value in request.values():
        interpreter.set_tensor(index, value)
    interpreter.invoke()
    (output,) = interpreter.get_output_details()
    return interpreter.get_tensor(output["index"])


def operations(path):
    """The names of a file's operations, and the types of what each takes and gives."""
    content = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    for graph in content.subgraphs:
        for operation in graph.operators or ():
            code = content.operatorCodes[operation.opcodeIndex]
            used = [i for i in [*operation.inputs, *operation.outputs] if i >= 0]
            types = [graph.tensors[i].type for i in used]
            yield names[max(code.builtinCode, code.deprecatedBuiltinCode)], types


@every_quantization
def test_a_device_gives_the_scores_of_keras_at_every_size(any_size, quantization):
    shown = pictures(*SIZES, (41, 90), count=48)
    expected = np.concatenate([np.asarray(network()(image.astype("float32"))) for image in shown])
    found = np.concatenate([run(any_size(quantization), image) for image in shown])
    assert set(expected.argmax(1)) == set(range(len(LABELS)))
    np.testing.assert_allclose(found, expected, atol=CLOSE[quantization])
    # Where the model is sure, so is the device.
    sure = np.sort(expected, axis=1)[:, -2:] @ [-1, 1] > 2 * CLOSE[quantization]
    assert sure.mean() > 0.5
    np.testing.assert_array_equal(found.argmax(1)[sure], expected.argmax(1)[sure])


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_a_file_for_one_size_has_it_in_its_shape(folder, quantization):
    examples = calibration(quantization, (64, 50))
    path = classifier.export_tflite(
        network(),
        folder / f"one_{quantization}.tflite",
        labels=LABELS,
        quantization=quantization,
        image_size=(64, 50),
        calibration_images=examples,
    )
    (images,) = Interpreter(str(path)).get_input_details()
    assert images["shape_signature"].tolist() == [1, 64, 50, 3]
    for image in pictures((64, 50), count=8):
        expected = network()(image.astype("float32"))
        np.testing.assert_allclose(run(path, image), expected, atol=CLOSE[quantization])


def test_a_network_of_one_size_has_a_file_of_that_size(folder):
    model = zoo.zf5(classes=5, width=0.0625, input_shape=(90, 120, 3))
    path = classifier.export_tflite(model, folder / "zf5.tflite", labels=LABELS)
    (images,) = Interpreter(str(path)).get_input_details()
    assert images["shape_signature"].tolist() == [1, 90, 120, 3]
    image = picture(0, 90, 120)
    np.testing.assert_allclose(run(path, image), model(image.astype("float32")), atol=1e-4)


def test_the_pyramid_on_another_backbone_is_the_same_on_a_device(folder):
    backbone = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(6, 5, strides=3, activation="relu")]
    )
    model = zoo.spp_classifier(backbone, 5, levels=(3, 1), units=())
    path = classifier.export_tflite(model, folder / "classifier.tflite", labels=LABELS)
    for height, width in SIZES:
        image = picture(0, height, width)
        expected = model(image.astype("float32"))
        np.testing.assert_allclose(run(path, image), expected, atol=1e-4)


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_windows_have_the_scores_of_keras_whatever_their_number(folder, quantization):
    model = zoo.with_boxes(network())
    examples = [(image, BOXES) for image in calibration("int8", *SIZES)]
    path = classifier.export_tflite(
        model,
        folder / f"boxes_{quantization}.tflite",
        labels=LABELS,
        quantization=quantization,
        calibration_images=examples if quantization == "int8" else None,
    )
    for count, (height, width) in zip((1, 3, 40), SIZES, strict=True):
        request = {
            "images": picture(count, height, width),
            "boxes": np.resize(BOXES, (1, count, 4)),
        }
        expected = model({**request, "images": request["images"].astype("float32")})
        found = run(path, **request)
        assert found.shape == (1, count, len(LABELS))
        np.testing.assert_allclose(found, expected, atol=CLOSE[quantization])


def test_windows_of_images_of_one_size_have_the_scores_of_keras(folder):
    model = zoo.with_boxes(network())
    path = classifier.export_tflite(
        model, folder / "one_boxes.tflite", labels=LABELS, image_size=(97, 140)
    )
    request = {"images": picture(0, 97, 140), "boxes": BOXES[None]}
    expected = model({**request, "images": request["images"].astype("float32")})
    np.testing.assert_allclose(run(path, **request), expected, atol=1e-4)


@every_quantization
def test_a_file_has_built_in_operations_alone(any_size, quantization):
    found = {name for name, _ in operations(any_size(quantization))}
    assert "CONV_2D" in found
    assert not {"CUSTOM", "DELEGATE"} & found


def test_what_takes_long_is_computed_in_int8(any_size):
    kinds = schema.TensorType
    heavy = [
        types
        for name, types in operations(any_size("int8"))
        if name in ("CONV_2D", "FULLY_CONNECTED")
    ]
    assert len(heavy) == 8
    assert all(kinds.INT8 in types for types in heavy)
    # The last layer's sums are the scores.
    assert [kinds.FLOAT32 in types for types in heavy] == 7 * [False] + [True]


def test_normalizations_and_scores_are_computed_in_float32(any_size):
    kinds = schema.TensorType
    kept = [
        types
        for name, types in operations(any_size("int8"))
        if name in ("SQUARE", "AVERAGE_POOL_2D", "RSQRT", "SQRT", "SOFTMAX")
    ]
    assert len(kept) == 9
    assert all(set(types) == {kinds.FLOAT32} for types in kept)


@pytest.mark.parametrize(
    ("quantization", "share"), [("float16", 0.55), ("dynamic", 0.3), ("int8", 0.3)]
)
def test_a_file_is_as_small_as_its_quantization_says(any_size, quantization, share):
    assert any_size(quantization).stat().st_size < share * any_size("none").stat().st_size


@every_quantization
def test_a_program_finds_what_it_needs_by_name(any_size, quantization):
    interpreter = Interpreter(str(any_size(quantization)))
    names = {"inputs": ["images"], "outputs": ["scores"]}
    assert interpreter.get_signature_list() == {"serving_default": names}
    runner = interpreter.get_signature_runner("serving_default")
    images, scores = runner.get_input_details()["images"], runner.get_output_details()["scores"]
    assert images["dtype"] == (np.uint8 if quantization == "int8" else np.float32)
    assert images["shape_signature"].tolist() == [1, -1, -1, 3]
    assert scores["dtype"] == np.float32
    assert scores["shape"].tolist() == [1, len(LABELS)]


def test_a_model_with_boxes_names_them(folder):
    model = zoo.with_boxes(network())
    path = classifier.export_tflite(model, folder / "named.tflite", labels=LABELS)
    (signature,) = Interpreter(str(path)).get_signature_list().values()
    assert signature == {"inputs": ["boxes", "images"], "outputs": ["scores"]}


def test_the_labels_lie_beside_the_file(any_size):
    path = any_size("none")
    assert path.with_name("any_none.labels.txt").read_text() == "arc\nbar\ncup\ndot\negg\n"


IMAGE = np.zeros((64, 50, 3), "uint8")
INT8 = {"quantization": "int8", "calibration_images": [IMAGE]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"output": "model.tf"},
            "`output` must be the path of a file that ends in .tflite; `export_model` writes",
        ),
        ({"output": "model.onnx"}, "folders for TensorFlow Serving, too. Received: output='"),
        ({"labels": LABELS[1:]}, "`labels` must name the 5 classes of 'zf5_spp'"),
        ({"labels": ["a\nb", *LABELS[1:]]}, "`labels` must be strings of one line"),
        ({"labels": ["bar", *LABELS[1:]]}, "`labels` must differ. Received: 'bar' twice"),
        (
            {"quantization": "int4"},
            "`quantization` must be one of 'none', 'float16', 'dynamic', 'int8'",
        ),
        ({"image_size": 64}, "`image_size` must be None or (height, width), ints >= 29"),
        ({"image_size": (64,)}, "Received: image_size=(64,)."),
        ({"image_size": (64, 12)}, "Received: image_size=(64, 12)."),
        ({"image_size": (64.0, 50)}, "Received: image_size=(64.0, 50)."),
        ({"quantization": "int8"}, "Received: quantization='int8' with calibration_images=None."),
        (
            {"calibration_images": [IMAGE]},
            "Received: quantization='none' with calibration_images=images.",
        ),
        ({**INT8, "calibration_images": []}, "`calibration_images` must hold one image or more"),
        (
            {**INT8, "calibration_images": [IMAGE, IMAGE / 2]},
            "float64 of shape (64, 50, 3) at index 1",
        ),
        ({**INT8, "calibration_images": [IMAGE[None]]}, "uint8 of shape (1, 64, 50, 3) at index 0"),
        ({**INT8, "calibration_images": [IMAGE[:12]]}, "uint8 of shape (12, 50, 3) at index 0"),
        ({**INT8, "calibration_images": [IMAGE[..., :1]]}, "uint8 of shape (64, 50, 1) at index 0"),
        ({**INT8, "image_size": (50, 64)}, "uint8 of shape (50, 64, 3), no side under"),
    ],
)
def test_a_wrong_argument_is_named_before_any_work(tmp_path, change, message):
    arguments = {"output": "model.tflite", "labels": LABELS, **change}
    arguments["output"] = tmp_path / "new" / arguments["output"]
    with pytest.raises(ValueError, match=re.escape(message)):
        classifier.export_tflite(network(), **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (IMAGE, "pairs of an image and its boxes, since the model takes boxes"),
        ((IMAGE, BOXES[0]), "boxes of shape (boxes, 4)"),
        ((IMAGE, BOXES[:0]), "one or more for each image"),
    ],
)
def test_a_model_with_boxes_is_calibrated_with_some(tmp_path, example, message):
    model = zoo.with_boxes(network())
    with pytest.raises(ValueError, match=re.escape(message)):
        classifier.export_tflite(
            model,
            tmp_path / "m.tflite",
            labels=LABELS,
            quantization="int8",
            calibration_images=[example],
        )


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: zoo.with_sizes(network()), id="with sizes"),
        pytest.param(lambda: zoo.zf5_spp(include_top=False, width=0.0625), id="without top"),
        pytest.param(lambda: "zf5_spp", id="name"),
    ],
)
def test_a_model_without_scores_of_one_image_is_refused(tmp_path, model):
    with pytest.raises(ValueError, match=re.escape("`model` must be a `keras.Model` with its top")):
        classifier.export_tflite(model(), tmp_path / "model.tflite", labels=LABELS)


def test_a_size_other_than_the_models_is_refused(tmp_path):
    model = zoo.zf5(classes=5, width=0.0625, input_shape=(90, 120, 3))
    with pytest.raises(ValueError, match=re.escape("such as the model takes, (90, 120)")):
        classifier.export_tflite(model, tmp_path / "m.tflite", labels=LABELS, image_size=(90, 121))


def test_a_conversion_that_fails_leaves_the_old_files_alone(tmp_path):
    (tmp_path / "model.tflite").write_text("old")
    (tmp_path / "model.labels.txt").write_text("old labels")
    images = keras.Input((64, 64, 3), name="images")
    # An operation that TFLite does not have.
    x = keras.layers.Lambda(lambda x: tf.math.betainc(1.0 + x, 1.0 + x, 0.5))(images)
    model = keras.Model(images, keras.layers.GlobalMaxPooling2D()(x))
    with pytest.raises(Exception, match="Betainc"):
        classifier.export_tflite(model, tmp_path / "model.tflite", labels=["a", "b", "c"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.labels.txt", "model.tflite"]
    assert (tmp_path / "model.tflite").read_text() == "old"
    assert (tmp_path / "model.labels.txt").read_text() == "old labels"
