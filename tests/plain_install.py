"""What a plain installation must do: `test_packaging.py` runs it where no extra is installed."""

import json
import re
import sys
from importlib import metadata
from pathlib import Path

import keras
import numpy as np
from PIL import Image

import spp_keras
from spp_keras.data import Pipeline, load_records

FOLDER = Path(sys.argv[1])


def requirements(name):
    """Names of all that an installed package needs, itself too."""
    names, new = set(), [name]
    while new:
        name = re.sub(r"[-_.]+", "-", new.pop()).lower()
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        if name not in names:
            names.add(name)
            new += [re.match(r"[\w.-]+", line)[0] for line in lines if "extra ==" not in line]
    return names


def size(distribution):
    """Bytes of an installed package."""
    files = [distribution.locate_file(file) for file in distribution.files or []]
    return sum(file.stat().st_size for file in files if file.is_file())


def refuses(function, *arguments):
    """The message with which something that needs an extra says so."""
    try:
        function(*arguments)
    except ImportError as error:
        return str(error)
    return "nothing was raised"


def train():
    """A recipe on images in a folder, which needs no data set by name."""
    spp_keras.train("zf5_spp/shapes", output=FOLDER / "run", data=str(FOLDER / "images"))


for part in spp_keras.__all__:
    getattr(spp_keras, part)

image = np.random.default_rng(0).uniform(0, 255, (1, 150, 200, 3)).astype("float32")
for name in spp_keras.list_models():
    model = spp_keras.create_model(name, classes=3, width=1 / 16)
    _, height, width, _ = model.input_shape
    crop = image if height is None else np.resize(image, (1, height, width, 3))
    scores = model.predict(crop, verbose=0)
    model.save(FOLDER / "model.keras")
    loaded = keras.models.load_model(FOLDER / "model.keras")
    np.testing.assert_array_equal(loaded.predict(crop, verbose=0), scores)

for label in ("cat", "dog"):
    (FOLDER / "images" / "train" / label).mkdir(parents=True)
    Image.fromarray(image[0].astype("uint8")).save(FOLDER / "images/train" / label / "1.png")
pipeline = Pipeline(load_records(FOLDER / "images", "train"), batch_size=2)
model = spp_keras.create_model("zf5_spp", classes=2, width=1 / 16)
assert model.predict(pipeline, verbose=0).shape == (2, 2)

(FOLDER / "x.tflite").write_bytes(b"")
with_tensorflow = requirements("tensorflow")
ours = [
    each
    for each in metadata.distributions()
    if re.sub(r"[-_.]+", "-", each.name).lower() not in {*with_tensorflow, "pip", "wheel"}
]
result = {
    "packages": sorted(each.name for each in ours),
    "megabytes": sum(size(each) for each in ours) / 1e6,
    "data set by name": refuses(load_records, "shapes/tiny", "train"),
    "training": refuses(train),
    "TFLite": refuses(spp_keras.load_predictor, FOLDER / "x.tflite"),
}
print(json.dumps(result))
