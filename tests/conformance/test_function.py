import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance.subjects import MAP_SIZES, SUBJECTS, arrays, every_subject, flat

pytestmark = pytest.mark.integration


@every_subject
def test_one_graph_gives_the_eager_answers_at_every_size(subject):
    layer, traces = subject.create(), []
    layer(**subject.inputs(*MAP_SIZES[0]))
    dtypes = {name: array.dtype for name, array in subject.inputs(*MAP_SIZES[0]).items()}
    signature = {name: tf.TensorSpec(shape, dtypes[name]) for name, shape in subject.shapes.items()}

    @tf.function(input_signature=[signature])
    def graph(arguments):
        traces.append(arguments)
        return [output for output in flat(layer(**arguments)) if output is not None]

    for height, width in MAP_SIZES:
        arguments = subject.inputs(height, width)
        for found, expected in zip(
            arrays(graph(arguments)), arrays(layer(**arguments)), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert len(traces) == 1


@every_subject
def test_a_graph_for_one_size_gives_the_eager_answers(subject):
    layer = subject.create()
    graph = tf.function(
        lambda arguments: [output for output in flat(layer(**arguments)) if output is not None]
    )
    arguments = subject.inputs(*MAP_SIZES[0])
    expected = arrays(layer(**arguments))
    found = arrays(graph({name: tf.constant(x) for name, x in arguments.items()}))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "subject",
    [subject for subject in SUBJECTS if not subject.name.startswith(("images", "backbone"))],
    ids=lambda subject: subject.name,
)
def test_xla_compiles_a_layer_for_one_size(subject):
    layer, arguments = subject.create(), subject.inputs(*MAP_SIZES[0])
    expected = arrays(layer(**arguments))
    compiled = tf.function(lambda arguments: layer(**arguments), jit_compile=True)
    found = arrays(compiled({name: tf.constant(x) for name, x in arguments.items()}))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@every_subject
def test_symbolic_shapes_and_types_are_those_of_the_answers(subject):
    layer = subject.create()
    symbolic = [output for output in flat(layer(**subject.symbolic())) if output is not None]
    for height, width in MAP_SIZES:
        answers = arrays(layer(**subject.inputs(height, width)))
        # Of one size there is nothing to say about sizes, though the graph cannot know it.
        assert 1 <= len(answers) <= len(symbolic)
        for answer, stated in zip(answers, symbolic, strict=False):
            assert answer.dtype == stated.dtype
            assert len(answer.shape) == len(stated.shape)
            for side, known in zip(answer.shape, stated.shape, strict=True):
                assert known in (None, side)


# Keras' own convolution refuses an empty batch, hence no backbone here.
@pytest.mark.parametrize(
    "subject",
    [subject for subject in SUBJECTS if subject.name != "backbone-of-one-size"],
    ids=lambda subject: subject.name,
)
def test_an_empty_batch_gives_an_empty_answer(subject):
    layer, arguments = subject.create(), subject.inputs(*MAP_SIZES[0])
    expected = arrays(layer(**arguments))
    empty = {name: array[:0] for name, array in arguments.items()}
    for answer, other in zip(arrays(layer(**empty)), expected, strict=True):
        assert answer.shape == (0, *other.shape[1:])


@every_subject
def test_gradients_of_a_graph_are_those_of_eager_code(subject):
    layer, arguments = subject.create(), subject.inputs(*MAP_SIZES[0])
    layer(**arguments)
    name = next(iter(arguments))

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = flat(layer(**{**arguments, name: x}))[0]
            loss = tf.reduce_sum(tf.square(output))
        return tape.gradient(loss, x)

    x = tf.constant(arguments[name])
    signature = [tf.TensorSpec(subject.shapes[name], x.dtype)]
    found = tf.function(gradient, input_signature=signature)(x)
    expected = keras.ops.convert_to_numpy(gradient(x))
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
