"""Sample weights by which classes of few images count as much as the others."""

import numpy as np

from spp_keras import _checks
from spp_keras.data.records import Records


def weigh_images(records: Records, class_weight: str | None) -> np.ndarray | None:
    """The sample weight of each image, 1 on average.

    Args:
        records: The images.
        class_weight: `"balanced"`, or `None` for no weights.

    Returns:
        float32 `(images,)`, or `None`.

    Example:

    >>> from types import SimpleNamespace
    >>> cats = SimpleNamespace(labels=np.array([0, 0, 0, 1]), multi_label=False)
    >>> weigh_images(cats, "balanced").tolist()
    [0.6666666865348816, 0.6666666865348816, 0.6666666865348816, 2.0]
    """
    _checks.one_of(class_weight, (None, "balanced"), "class_weight")
    if class_weight is None:
        return None
    if records.multi_label:
        raise ValueError(
            "`class_weight` must be None for images that may have several classes. Received: "
            f"class_weight={class_weight!r}."
        )
    _, classes, counts = np.unique(records.labels, return_inverse=True, return_counts=True)
    return (len(classes) / (len(counts) * counts[classes])).astype("float32")
