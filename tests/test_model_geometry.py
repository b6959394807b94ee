import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from spp_keras import zoo
from spp_keras.geometry import CellGrid
from spp_keras.model_geometry import map_geometry
from spp_keras.zoo import model_parts, tables


def chain(*steps, size=(None, None)):
    return keras.Sequential([keras.Input((*size, 3)), *steps])


def block(x, stride):
    """A residual block whose two paths have different centers at even sizes."""
    y = layers.Conv2D(4, 3, strides=stride, padding="same")(x)
    return layers.Add()([y, layers.Conv2D(4, 1, strides=stride, padding="same")(x)])


def residual():
    inputs = keras.Input((None, None, 3))
    x = block(layers.ZeroPadding2D(((1, 2), (0, 3)))(inputs), 2)
    return keras.Model(inputs, block(layers.ReLU()(x) * 0.5, 2))


def squeezed():
    inputs = keras.Input((None, None, 3))
    x = layers.DepthwiseConv2D(5, strides=2, padding="same")(inputs)
    weights = layers.Conv2D(3, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return keras.Model(inputs, layers.Multiply()([x, weights]))


def nested():
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, layers.Conv2D(2, 3, dilation_rate=2)(residual()(inputs)))


MODELS = {
    "valid": lambda: chain(layers.Conv2D(2, 5, strides=2), layers.MaxPooling2D(3, 2)),
    "same": lambda: chain(
        layers.Conv2D(2, 3, strides=2, padding="same"),
        layers.AveragePooling2D(2, padding="same"),
        layers.SeparableConv2D(2, (3, 4), padding="same"),
    ),
    "margins": lambda: chain(
        layers.ZeroPadding2D(((2, 1), (0, 3))), layers.Conv2D(2, 3), layers.Cropping2D((1, 2))
    ),
    "residual": residual,
    "squeezed": squeezed,
    "nested": nested,
}
SIZES = [(40, 40), (41, 46), (39, 47), (38, 53)]


def receptive_field(model, size, cell):
    """First and last row and column of the pixels on which a cell depends, by its gradient."""
    for variable in model.weights:
        variable.assign(np.full(variable.shape, 0.1))

    # In a graph, which leaves out the gradient by weights: TensorFlow 2.21 crashes there.
    @tf.function
    def gradient(images):
        return tf.gradients(model(images)[:, cell[0], cell[1]], images)

    (by_pixel,) = np.abs(gradient(tf.ones((1, *size, 3)))[0].numpy()).max(axis=-1)
    rows, columns = np.nonzero(by_pixel > by_pixel.max() * 1e-6)
    return (rows.min(), rows.max()), (columns.min(), columns.max())


def stated_field(geometry, size, cell):
    """The same as stated, cut at the border of the image."""
    return tuple(
        (
            max(int(center + stride * i - (field - 1) / 2), 0),
            min(int(center + stride * i + (field - 1) / 2), side - 1),
        )
        for center, stride, field, side, i in zip(
            geometry.first_center,
            geometry.stride,
            geometry.receptive_field,
            size,
            cell,
            strict=True,
        )
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", [name for name in MODELS if name != "squeezed"])
def test_map_geometry_is_what_gradients_show(name, size):
    model = MODELS[name]()
    geometry = map_geometry(model, size)
    assert model(np.zeros((1, *size, 3))).shape[1:3] == geometry.size
    for cell in [(0, 0), tuple(side // 2 for side in geometry.size), (-1, -1)]:
        index = tuple(i % side for i, side in zip(cell, geometry.size, strict=True))
        expected = receptive_field(model, size, index)
        # Max pooling passes a gradient to ties on the first cell alone, so it may show less.
        stated = stated_field(geometry, size, index)
        if name != "valid":
            assert stated == expected
        assert all(a[0] <= b[0] <= b[1] <= a[1] for a, b in zip(stated, expected, strict=True))


def test_paths_through_the_whole_image_are_left_out():
    geometry = map_geometry(squeezed(), 40)
    assert geometry == map_geometry(
        chain(layers.DepthwiseConv2D(5, strides=2, padding="same")), (40, 40)
    )


@pytest.mark.parametrize(
    "name",
    [
        "EfficientNetB0",
        "MobileNetV2",
        "MobileNetV3Small",
        "ResNet50V2",
        "Xception",
        pytest.param("ConvNeXtTiny", marks=pytest.mark.integration),
        pytest.param("InceptionResNetV2", marks=pytest.mark.integration),
    ],
)
def test_models_of_keras_applications_are_read(name):
    size = (231, 250)
    model = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(*size, 3)
    )
    geometry = map_geometry(model, size)
    assert geometry.size == model.output_shape[1:3]
    assert geometry.stride == (32, 32)


@pytest.mark.parametrize("name", ["zf5_spp", "alexnet5_spp", "overfeat7_spp"])
def test_cell_grid_of_our_networks_is_that_of_their_table(name):
    model = getattr(zoo, name)(classes=2, width=0.05)
    trunk = model_parts.split_model(model).trunk
    (rows,) = (trunk for trunk in tables.TRUNKS if f"{trunk.name}_spp" == name)
    assert CellGrid.of(trunk) == rows.grid


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    "steps",
    [
        lambda: [
            layers.ZeroPadding2D(3),
            layers.Conv2D(2, 7, strides=2),
            layers.MaxPooling2D(3, 2),
        ],
        lambda: [layers.Conv2D(2, 4, padding="same"), layers.MaxPooling2D(2, padding="same")],
        lambda: [layers.ZeroPadding2D((1, 1)), layers.Conv2D(2, 1, strides=3, padding="same")],
        lambda: [layers.Conv2D(2, 3, strides=2, padding="same"), layers.MaxPooling2D(2)],
        lambda: [
            layers.Conv2D(2, 5, strides=3, padding="same"),
            layers.Conv2D(2, 4),
            layers.MaxPooling2D(3, 2, padding="same"),
            layers.DepthwiseConv2D(3, strides=2, padding="same"),
        ],
    ],
)
def test_cell_grid_of_a_model_holds_at_every_size(steps, size):
    model = chain(*steps())
    grid, geometry = CellGrid.of(model), map_geometry(model, size)
    assert tuple(map(grid.map_size, size)) == geometry.size
    assert geometry.stride == (grid.stride, grid.stride)
    assert geometry.first_center == tuple(grid.at(side).first_center for side in size)
    for side in size:
        fixed = grid.at(side)
        assert not fixed.shifts
        assert fixed.map_size(side) == grid.map_size(side)


@pytest.mark.parametrize(
    ("steps", "shifts"),
    [
        # By hand: of 2n pixels the last window sticks out by one, of 2n + 1 the first one, too.
        (lambda: [layers.Conv2D(2, 3, strides=2, padding="same")], (0, -1)),
        # Padded from 13 to 15 pixels by one on either side, from 14 by none in front; 15 are full.
        (lambda: [layers.Conv2D(2, 3, strides=3, padding="same")], (0, -1, 0)),
        # Four cells of stride 2 behind it are of 7 or 8 pixels.
        (
            lambda: [
                layers.Conv2D(2, 2, strides=2),
                layers.Conv2D(2, 3, strides=2, padding="same"),
            ],
            (0, 0, -2, -2),
        ),
        (lambda: [layers.Conv2D(2, 7, strides=2), layers.MaxPooling2D(3, 2)], ()),
    ],
)
def test_shifts_of_the_first_center_have_the_shortest_period(steps, shifts):
    assert CellGrid.of(chain(*steps())).shifts == shifts


def linear(layer):
    """The same layer for `clone_model`, without what bends or picks: no gradient hides a path."""
    if isinstance(layer, layers.MaxPooling2D):
        return layers.AveragePooling2D.from_config(layer.get_config())
    if isinstance(layer, layers.Activation | layers.ReLU):
        return layers.Identity(name=layer.name)
    return type(layer).from_config(layer.get_config())


def make_linear(model):
    """A model of the same geometry, of positive weights, without squeeze-and-excite."""
    model = keras.models.clone_model(model, clone_function=linear)
    for layer in model.layers:
        for weight in layer.weights:
            name = weight.path.split("/")[-1]
            value = 1 if name in ("gamma", "moving_variance") else 0
            if (
                "kernel" in name
                and "_squeeze_excite" not in layer.name
                and "_se_" not in layer.name
            ):
                # Twice the mean, so that what is far from the center does not become zero.
                depthwise = isinstance(layer, layers.DepthwiseConv2D) or name == "depthwise_kernel"
                value = 2 / np.prod(weight.shape[: 2 if depthwise else 3])
            weight.assign(np.full(weight.shape, value))
    return model


@pytest.mark.parametrize(
    ("name", "options", "length", "step"),
    [
        ("MobileNetV3Small", {"alpha": 0.25}, 704, 1),
        ("MobileNetV2", {"alpha": 0.35}, 704, 1),
        ("EfficientNetV2B0", {}, 1024, 3),
        ("Xception", {}, 1312, 3),
    ],
)
@pytest.mark.integration
def test_cells_of_models_of_keras_lie_where_gradients_show(name, options, length, step):
    """Along the rows of a narrow image, for its lengths of every remainder, or every third."""
    images = {"input_shape": (None, None, 3), "include_top": False, "weights": None}
    model = make_linear(getattr(keras.applications, name)(**images, **options))
    grid = CellGrid.of(model)
    assert len(grid.shifts) > 1

    @tf.function(input_signature=[tf.TensorSpec((1, None, 33, 3)), tf.TensorSpec((), tf.int32)])
    def gradient(pixels, row):
        return tf.gradients(model(pixels)[:, row, 0], pixels)

    for pixels in range(length, length + grid.stride, step):
        (reach, _) = map_geometry(model, (pixels, 33)).receptive_field
        row = grid.map_size(pixels) // 2
        by_pixel = gradient(tf.ones((1, pixels, 33, 3)), row)[0].numpy().any(axis=(0, 2, 3))
        first, *_, last = np.flatnonzero(by_pixel)
        # Of a cell that sees all of its receptive field.
        assert 0 < first < last < pixels - 1
        assert last - first + 1 == reach
        assert (first + last) / 2 == grid.at(pixels).first_center + grid.stride * row
        assert model.compute_output_shape((1, pixels, 33, 3))[1] == grid.map_size(pixels)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (lambda: [layers.UpSampling2D(name="up")], "geometry of layer 'up' of class UpSampling2D"),
        (lambda: [layers.Conv2D(2, 3), layers.Flatten()], "must give one feature map"),
        (lambda: [layers.Conv2D(2, 99, name="large")], "layer 'large' has no cell"),
    ],
)
def test_models_without_a_geometry_are_refused(steps, message):
    model = chain(*steps())
    with pytest.raises(ValueError, match=message):
        map_geometry(model, 40)


def test_cell_grid_of_a_model_with_other_rows_than_columns_is_refused():
    with pytest.raises(ValueError, match="must treat rows and columns alike"):
        CellGrid.of(chain(layers.Conv2D(2, (3, 5))))


def test_a_layer_may_be_called_twice():
    inputs, shared = keras.Input((None, None, 3)), layers.Conv2D(3, 3)
    model = keras.Model(inputs, layers.ReLU()(shared(shared(inputs))))
    assert map_geometry(model, 40).size == (36, 36)


def test_a_model_stays_as_it_is():
    model = nested()
    before = [layer.output for layer in model.layers], len(model.weights)
    map_geometry(model, 40)
    assert ([layer.output for layer in model.layers], len(model.weights)) == before


def test_a_model_without_a_graph_is_refused():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    model = Subclassed()
    model(np.zeros((1, 4, 4, 3)))
    with pytest.raises(ValueError, match="`model` must be functional or sequential"):
        map_geometry(model, 40)


def test_a_layer_that_says_it_keeps_its_cells_is_passed():
    class Scale(layers.Layer):
        keeps_cells = True

        def call(self, x):
            return 2 * x

    assert map_geometry(chain(Scale(), layers.Conv2D(2, 3)), 40).size == (38, 38)
