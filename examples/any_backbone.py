"""The SPP top on a network of `keras.applications`: warped images compared with whole images.

Run it with `python examples/any_backbone.py`, or with `--data photos` on a folder per class.
The backbone stays fixed, so each image goes through it once and only the top is trained.
"""

import argparse

import keras
import numpy as np

from spp_keras.data import Pipeline, Warp, Whole, load_records
from spp_keras.zoo import spp_classifier

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="shapes", help="image folder or name of a data set")
parser.add_argument("--weights", default="imagenet", help="imagenet (downloaded), none or a file")
parser.add_argument("--short-side", type=int, default=128, help="of whole images (%(default)s)")
parser.add_argument("--epochs", type=int, default=20)
options = parser.parse_args()

whole = Whole(short_side=options.short_side)
train, validation = (load_records(options.data, split) for split in ("train", "validation"))
# A square with as many pixels as the whole images have on average, for a fair comparison.
pixels = whole.output_sizes(train.sizes).prod(axis=1, dtype="int64").mean()
image_size = round(np.sqrt(pixels))

# Other backbones of `keras.applications` need their preprocessing as a part of the network.
backbone = keras.applications.MobileNetV3Small(
    input_shape=(None, None, 3),
    include_top=False,
    weights=None if options.weights == "none" else options.weights,
)


def train_top(size_policy: Whole | Warp) -> float:
    """Trains the top and returns its accuracy on the validation images."""
    keras.utils.set_random_seed(0)
    model = spp_classifier(backbone, len(train.classes), levels=(3, 2, 1), units=(256,))
    first_of_top = model.layers.index(model.get_layer("spp")) + 1
    frozen = keras.Model(model.input, model.layers[first_of_top - 1].output)
    data = []
    for records in (train, validation):
        pipeline = Pipeline(records, size_policy, shuffle=False)
        batches = pipeline.dataset(batch_format="ragged")
        labels = np.concatenate([labels for _, labels in batches])
        data.append((frozen.predict(batches, verbose=0), labels))
    top = keras.Sequential(model.layers[first_of_top:])
    top.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    top.fit(*data[0], epochs=options.epochs, verbose=0)
    # `model` is trained now, too: it has the same layers.
    return top.evaluate(*data[1], verbose=0, return_dict=True)["accuracy"]


warped_accuracy = train_top(Warp(image_size=image_size))
print(f"warped to {image_size}x{image_size}: accuracy {warped_accuracy:.3f}")
print(f"whole, short side {options.short_side}: accuracy {train_top(whole):.3f}")
