"""Classifies four images of four sizes in one batch and one by one, and compares the scores.

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
model = zf5_spp(10, width=0.25)
print(f"{model.name}: {model.count_params():,} parameters, input {model.input_shape}")

generator = np.random.default_rng(0)
images = [generator.integers(0, 256, (*size, 3)).astype("float32") for size in SIZES]
batch_scores = model.predict(tf.ragged.stack(images), verbose=0)
print(f"one batch of {len(images)} sizes -> scores {batch_scores.shape}")

for (height, width), image, scores in zip(SIZES, images, batch_scores, strict=True):
    single_scores = model.predict(image[np.newaxis], verbose=0)[0]
    difference = np.abs(scores - single_scores).max() / np.abs(single_scores).max()
    print(
        f"  {height}x{width}: class {scores.argmax()} with score {scores.max():.4f}, "
        f"relative difference {difference:.0e} to the image alone"
    )
