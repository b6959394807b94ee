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
    "name", ["EfficientNetB0", "MobileNetV2", "MobileNetV3Small", "ResNet50V2", "Xception"]
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
    ],
)
def test_cell_grid_of_a_model_holds_at_every_size(steps, size):
    model = chain(*steps())
    grid, geometry = CellGrid.of(model), map_geometry(model, size)
    assert tuple(map(grid.map_size, size)) == geometry.size
    assert geometry.stride == (grid.stride, grid.stride)
    assert geometry.first_center == (grid.first_center, grid.first_center)


def test_cell_grid_of_a_model_with_strided_same_padding_is_refused_by_the_name_of_the_layer():
    model = chain(layers.Conv2D(2, 3, strides=2, padding="same", name="stem"))
    with pytest.raises(ValueError, match="cells of layer 'stem' depend on the size of the image"):
        CellGrid.of(model)


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
