"""Fine-tunes a network with ImageNet weights on a folder of photographs, each at its own size.

python examples/finetune.py photos          # photos/<class>/<any name>.jpg
python examples/finetune.py photos --network MobileNetV3Small    # of keras.applications
"""

import argparse

import spp_keras
from spp_keras.data import Pipeline, Whole, load_records

parser = argparse.ArgumentParser()
parser.add_argument("folder", help="photos/<class>/<any name>.jpg, .png, .gif or .bmp")
parser.add_argument("--network", default="efficientnet_lite0", help="(%(default)s)")
parser.add_argument("--weights", default="imagenet", help="imagenet or a file (%(default)s)")
parser.add_argument("--short-side", type=int, default=160, help="of images (%(default)s)")
parser.add_argument("--epochs", type=int, default=3, help="of the whole network (%(default)s)")
options = parser.parse_args()

size_policy = Whole(short_side=options.short_side, longest_side=4 * options.short_side)
train, validation = (
    Pipeline(load_records(options.folder, split), size_policy, batch_size=16, flip=split == "train")
    for split in ("train", "validation")
)
model = spp_keras.spp_classifier(
    options.network, len(train.classes), weights=options.weights, levels=(2, 1), mode="average"
)

# The top on features that are computed once, then all: see `fine_tune`.
spp_keras.fine_tune(model, train, validation, epochs=options.epochs)
# Goes on as any Keras model does.
model.fit(train, validation_data=validation, epochs=1)

model.save("finetuned.keras")
spp_keras.export_model(
    model, "finetuned.tflite", labels=train.classes, size_policy=size_policy, quantization="float16"
)
