"""The SPP top on a network of `keras.applications`: images warped to one square against whole.

Run it with `python examples/any_backbone.py`, or with `--data photographs` on a folder per class.
The network stays as it is, so each image goes through it once and only the top is trained.
"""

import argparse

import keras
import numpy as np
import tensorflow as tf

from spp_keras.data import Pipeline, Records, Whole, load
from spp_keras.zoo import spp_classifier

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="shapes", help="a folder per class, or a data set's name")
parser.add_argument("--weights", default="imagenet", help="imagenet (downloaded), none or a file")
parser.add_argument("--short-side", type=int, default=128, help="of whole images (%(default)s)")
parser.add_argument("--epochs", type=int, default=20)
options = parser.parse_args()

view = Whole(short_side=options.short_side)
train, held_back = (load(options.data, split) for split in ("train", "validation"))
# A square with as many pixels as the images have on average, so that neither form sees more.
side = round(np.sqrt(view.shapes(train.sizes).prod(axis=1, dtype="int64").mean()))

# Others of `keras.applications` need their preprocessing before them, as a part of the network.
network = keras.applications.MobileNetV3Small(
    input_shape=(None, None, 3),
    include_top=False,
    weights=None if options.weights == "none" else options.weights,
)


def warped(images: tf.RaggedTensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A batch in which every image fills the square."""
    squares = tf.map_fn(
        lambda image: tf.image.resize(image.to_tensor(), (side, side), antialias=True),
        images,
        fn_output_signature=tf.TensorSpec((side, side, 3)),
    )
    return squares, labels


def batches_of(records: Records) -> tuple[tf.data.Dataset, np.ndarray]:
    """Batches of all images, each at its own aspect, and their labels."""
    pipeline = Pipeline(records, view, shuffle=False)
    batches = pipeline.dataset(form="ragged").take(pipeline.steps_per_epoch)
    return batches, np.concatenate([labels for _, labels in batches])


def accuracy(warp: bool) -> float:
    """Trains the top and answers with its accuracy on images that it did not learn from."""
    keras.utils.set_random_seed(0)
    model = spp_classifier(network, len(train.classes), levels=(3, 2, 1), units=(256,))
    behind = model.layers.index(model.get_layer("backbone")) + 1
    frozen = keras.Model(model.input, model.layers[behind - 1].output)
    learned, unseen = (
        (frozen.predict(batches.map(warped) if warp else batches, verbose=0), labels)
        for batches, labels in sets
    )
    top = keras.Sequential(model.layers[behind:])
    top.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    top.fit(*learned, epochs=options.epochs, verbose=0)
    # `model` is trained now, too: it has the same layers.
    return top.evaluate(*unseen, verbose=0, return_dict=True)["accuracy"]


sets = [batches_of(records) for records in (train, held_back)]
whole = f"whole, short side {options.short_side}"
for name, warp in ((f"warped to {side}x{side}", True), (whole, False)):
    print(f"{name:24} validation accuracy {accuracy(warp):.3f}")
