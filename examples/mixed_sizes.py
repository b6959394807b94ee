"""Classifies four images of four sizes in one batch, and each alone: the answers agree.

Run it with `python examples/mixed_sizes.py`. The weights are random: this shows
the mechanism, not a trained network.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from spp_keras.zoo import zf5_spp

SIZES = [(180, 240), (333, 250), (224, 224), (97, 291)]

keras.utils.set_random_seed(0)
model = zf5_spp(classes=10, width=0.25)
print(f"{model.name}: {model.count_params():,} parameters, input {model.input_shape}")

generator = np.random.default_rng(0)
images = [generator.integers(0, 256, (*size, 3)).astype("float32") for size in SIZES]
scores = model.predict(tf.ragged.stack(images), verbose=0)
print(f"one batch of {len(images)} sizes -> scores {scores.shape}")

for size, image, together in zip(SIZES, images, scores, strict=True):
    alone = model.predict(image[np.newaxis], verbose=0)[0]
    difference = np.abs(together - alone).max() / np.abs(alone).max()
    print(
        f"  {size[0]}x{size[1]}: class {together.argmax()} with score {together.max():.4f}, "
        f"{difference:.0e} from its answer alone"
    )
