"""Fine-tunes ZF-5 with a spatial pyramid on an image folder, each image at its own size.

Run it with `python examples/finetune.py photos --weights runs/zf5_spp/best.weights.h5`.
"""

import argparse

import keras

from spp_keras.data import Pipeline, load_records
from spp_keras.zoo import zf5_spp

parser = argparse.ArgumentParser()
parser.add_argument("folder", help="photos/<class>/<any name>.jpg, .png, .gif or .bmp")
parser.add_argument("--weights", required=True, help="file of any number of classes")
parser.add_argument("--width", type=float, default=1, help="width of the network in that file")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()

train = Pipeline(load_records(options.folder, "train"), batch_size=16, flip=True)
validation = Pipeline(load_records(options.folder, "validation"), batch_size=16, shuffle=False)

model = zf5_spp(len(train.classes), weights=options.weights, width=options.width)
for layer in model.layers:
    layer.trainable = not layer.name.startswith("conv")
optimizer = keras.optimizers.SGD(1e-3, momentum=0.9)
model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(train, validation_data=validation, epochs=options.epochs)
model.save("finetuned.keras")
