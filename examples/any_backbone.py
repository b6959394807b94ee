"""The SPP top on a network of `keras.applications`: images warped to one square against whole.

Run it with `python examples/any_backbone.py`, or with `--data photographs` on a folder per class.
The network stays as it is, so each image goes through it once and only the top is trained.
"""

import argparse

import keras
import numpy as np

from spp_keras.data import Pipeline, Warp, Whole, load_records
from spp_keras.zoo import spp_classifier

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="shapes", help="a folder per class, or a data set's name")
parser.add_argument("--weights", default="imagenet", help="imagenet (downloaded), none or a file")
parser.add_argument("--short-side", type=int, default=128, help="of whole images (%(default)s)")
parser.add_argument("--epochs", type=int, default=20)
options = parser.parse_args()

whole = Whole(short_side=options.short_side)
train, held_back = (load_records(options.data, split) for split in ("train", "validation"))
# A square with as many pixels as the images have on average, so that neither form sees more.
side = round(np.sqrt(whole.output_sizes(train.sizes).prod(axis=1, dtype="int64").mean()))

# Others of `keras.applications` need their preprocessing before them, as a part of the network.
network = keras.applications.MobileNetV3Small(
    input_shape=(None, None, 3),
    include_top=False,
    weights=None if options.weights == "none" else options.weights,
)


def accuracy(policy: Whole | Warp) -> float:
    """Trains the top and answers with its accuracy on images that it did not learn from."""
    keras.utils.set_random_seed(0)
    model = spp_classifier(network, len(train.classes), levels=(3, 2, 1), units=(256,))
    behind = model.layers.index(model.get_layer("backbone")) + 1
    frozen = keras.Model(model.input, model.layers[behind - 1].output)
    sets = []
    for records in (train, held_back):
        pipeline = Pipeline(records, policy, shuffle=False)
        batches = pipeline.dataset(batch_format="ragged")
        labels = np.concatenate([labels for _, labels in batches])
        sets.append((frozen.predict(batches, verbose=0), labels))
    top = keras.Sequential(model.layers[behind:])
    top.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    top.fit(*sets[0], epochs=options.epochs, verbose=0)
    # `model` is trained now, too: it has the same layers.
    return top.evaluate(*sets[1], verbose=0, return_dict=True)["accuracy"]


print(f"warped to {side}x{side}: accuracy {accuracy(Warp(image_size=side)):.3f}")
print(f"whole, short side {options.short_side}: accuracy {accuracy(whole):.3f}")
