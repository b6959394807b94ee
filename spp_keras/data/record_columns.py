"""The fields of records while images are inspected."""

import array

import numpy as np

from spp_keras.data import inspection, orientations, sources
from spp_keras.data.sources import Candidate, Objects, Source


class RecordColumns:
    """The fields of `Records` in compact arrays, not an object for each of a million images."""

    def __init__(self, multi_label: bool, num_files: int):
        self.multi_label, self.num_files = multi_label, num_files
        self.ids: list[str] = []
        self.copies: list[str] = []
        self.positions, self.labels, self.spans, self.sizes = (array.array("q") for _ in range(4))
        self.orientations, self.digests = array.array("B"), array.array("Q")
        self.usable = 0
        self.reasons: dict[int, str] = {}
        self.objects: list[Objects] = []
        self.converted: dict[str, int] = {}

    def add(self, candidate: Candidate, result: inspection.Inspection) -> None:
        self.positions.extend((candidate.span[0], candidate.position))
        self.ids.append(candidate.id)
        if result.reason is not None:
            self.reasons[len(self.ids) - 1] = result.reason
            return
        if result.copy is None:
            self.spans.extend(candidate.span)
        else:
            path, length = result.copy
            self.spans.extend((self.num_files + len(self.copies), 0, length))
            self.copies.append(path)
        self.sizes.extend(result.size)
        self.orientations.append(result.orientation)
        self.digests.append(result.digest)
        for label in candidate.labels:
            self.labels.extend((self.usable, label))
        if candidate.objects is not None:
            self.objects.append(turn_objects(candidate.objects, candidate.annotated_size, result))
        if result.converted is not None:
            self.converted[result.converted] = self.converted.get(result.converted, 0) + 1
        self.usable += 1

    def to_arrays(self, source: Source, classes: tuple[str, ...]) -> dict[str, np.ndarray]:
        ids = np.array(self._make_unique_ids(source), np.str_)
        skipped = np.zeros(len(ids), bool)
        skipped[list(self.reasons)] = True
        arrays = {
            "classes": np.array(classes, np.str_),
            "ids": ids[~skipped],
            "labels": self._make_labels(source, len(classes)),
            "sizes": np.array(self.sizes, np.int32).reshape(-1, 2),
            "spans": np.array(self.spans, np.int64).reshape(-1, 3),
            "orientations": np.array(self.orientations, np.uint8),
            "digests": np.array(self.digests, np.uint64),
            "skipped": ids[skipped],
            "reasons": np.array(list(self.reasons.values()), np.str_),
            "converted": np.array(list(self.converted), np.str_),
            "conversions": np.array(list(self.converted.values()), np.int64),
            "copies": np.array(self.copies, np.str_),
        }
        if self.objects:
            arrays["objects"] = np.array(
                [len(objects.labels) for objects in self.objects], np.int64
            )
            for field in Objects._fields:
                values = [getattr(objects, field) for objects in self.objects]
                arrays[f"object_{field}"] = np.concatenate(values)
        return arrays

    def _make_unique_ids(self, source: Source) -> list[str]:
        if len(set(self.ids)) == len(self.ids):
            return self.ids
        positions = zip(self.positions[::2], self.positions[1::2], strict=True)
        ids = [sources.make_example_id(source.files[file], index) for file, index in positions]
        if len(set(ids)) < len(ids):
            raise ValueError(f"`split` must have no image twice. Received: {source.name}.")
        return ids

    def _make_labels(self, source: Source, classes: int) -> np.ndarray:
        pairs = np.array(self.labels, np.int64).reshape(-1, 2)
        if not self.multi_label:
            return pairs[:, 1].astype(np.int32)
        if self.usable and not len(pairs) and not any(len(o.labels) for o in self.objects):
            raise ValueError(
                f"`split` must have labels. Received: {source.name}, where no image has any; those "
                f"of a test set may not be published."
            )
        labels = np.zeros((self.usable, classes), np.uint8)
        labels[tuple(pairs.T)] = 1
        return labels


def turn_objects(
    objects: Objects,
    annotated_size: tuple[float, float] | None,
    result: inspection.Inspection,
) -> Objects:
    """Objects in the upright image, from an annotation that may be of the image in the file.

    That shows only where turning the image exchanges height and width, and by which of the
    two is longer, since annotations may be of a smaller copy.
    """
    if annotated_size is None or result.orientation < 5:
        return objects
    (height, width), (upright_height, upright_width) = annotated_size, result.size
    if (height - width) * (upright_height - upright_width) >= 0:
        return objects
    boxes = orientations.turn_boxes(objects.boxes, result.orientation)
    return objects._replace(boxes=boxes.astype(np.float32))
