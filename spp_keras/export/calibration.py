"""Images to calibrate quantization with."""

import numpy as np
import tensorflow as tf

from spp_keras.data import image_ops, image_reader, records, splits
from spp_keras.data.size_policies import SizePolicy
from spp_keras.run_folder import RunFolder


def sample_images(
    run: RunFolder, size_policy: SizePolicy, data: str | None = None, count: int = 100
) -> list[np.ndarray]:
    """Some training images of a run, sized as the model sees them.

    Args:
        run: The run folder.
        size_policy: How images are sized.
        data: Another image folder or data set to take them from. Defaults to `None`.
        count: Number of images. Defaults to 100, or all if there are fewer.

    Returns:
        uint8 arrays `(height, width, 3)`.
    """
    recipe = run.recipe
    data_dir = recipe.data_dir or None
    split = None if data else recipe.train_split
    data = data or recipe.data
    split = split or splits.choose_splits(data, data_dir)[0]
    images = records.load_records(data, split, data_dir, orientation=recipe.orientation)
    indices = np.random.default_rng(0).choice(len(images), min(count, len(images)), replace=False)
    reader = image_reader.ImageReader(images.files, images.spans)
    samples = []
    for index in sorted(indices):
        encoded = reader.read(reader.row(index))
        size = images.sizes[index]
        window, target = size_policy.window_and_size(tf.constant(size))
        orientation = int(images.orientations[index])
        pixels = image_ops.decode_window(encoded, size, window, target, orientation)
        samples.append(pixels.numpy())
    return samples
