"""Fine-tunes ZF-5 with a pyramid on photographs, each at its own size, a folder per class.

Run it with `python examples/finetune.py photographs --weights runs/zf5_spp/best.weights.h5`.
"""

import argparse
from pathlib import Path

import keras
import tensorflow as tf

from spp_keras.zoo import zf5_spp

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path, help="photographs/<class>/<any name>.jpg or .png")
parser.add_argument("--weights", required=True, help="from any number of classes")
parser.add_argument("--width", type=float, default=1, help="of the network with these weights")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()

classes = sorted(folder.name for folder in options.folder.iterdir() if folder.is_dir())
files = sorted(str(file) for file in options.folder.glob("*/*.[jp][pn]g"))
labels = [classes.index(Path(file).parent.name) for file in files]


def read(file: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """An image at its own size, values 0..255."""
    image = tf.io.decode_image(tf.io.read_file(file), channels=3, expand_animations=False)
    return tf.ensure_shape(tf.cast(image, "float32"), (None, None, 3)), label


data = tf.data.Dataset.from_tensor_slices((files, labels)).shuffle(len(files)).map(read)
model = zf5_spp(classes=len(classes), weights=options.weights, width=options.width)
for layer in model.layers:
    layer.trainable = not layer.name.startswith("conv")
optimizer = keras.optimizers.SGD(1e-3, momentum=0.9)
model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(data.ragged_batch(16).prefetch(2), epochs=options.epochs, shuffle=False)
model.save("finetuned.keras")
