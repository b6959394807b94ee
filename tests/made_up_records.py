"""Records of images that there are no files of, for what looks at sizes and labels alone."""

import numpy as np

from spp_keras.data import Records


def make_records(labels, sizes=(300, 400), classes=None, digests=None, name="made up"):
    """Records of one label an image, or of rows of zeros and ones; of one size or of several."""
    labels = np.asarray(labels)
    count = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    classes = classes or tuple(f"class {index}" for index in range(count))
    return Records(
        name=name,
        classes=classes,
        ids=np.array([f"{name} {index}" for index in range(len(labels))]),
        labels=labels.astype("uint8" if labels.ndim == 2 else "int32"),
        sizes=np.broadcast_to(np.array(sizes, "int32"), (len(labels), 2)),
        objects=None,
        files=("none",),
        spans=np.zeros((len(labels), 3), "int64"),
        skipped=(),
        converted={},
        digests=None if digests is None else np.asarray(digests, "uint64"),
    )
