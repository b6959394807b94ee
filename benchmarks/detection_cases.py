"""What `detection.py` measures: detectors of random weights, their parts, and proposals."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import keras
import machines
import numpy as np
import tensorflow as tf
from detection_tables import RCNN_SYSTEM, System
from detector_variants import cast_to_bfloat16
from rcnn import RCNN
from worker import THREADS

from spp_keras import zoo
from spp_keras.detection import compression, heads
from spp_keras.detection.detector import FIVE_SCALES, Detector
from spp_keras.detection.selective_search import selective_search

_CLASSES = 20
_SYSTEMS = tuple(
    System(name, precision, dense)
    for name in (RCNN_SYSTEM, "SPP, 1 scale", "SPP, 5 scales")
    for dense in ("full", "SVD")
    for precision in ("float32", "bfloat16")
)
# Whose time and memory are drawn over windows and sizes: the plainest and the quickest.
_DRAWN = (System("SPP, 1 scale", "float32", "full"), System("SPP, 1 scale", "bfloat16", "SVD"))
_COUNTS = (10, 30, 100, 300, 1000, 2000, 5000, 10_000, 20_000)
_MOST_DRAWN = 10
# Windows of the first call of R-CNN, which makes its graph and takes half a minute with all of
# them: two batches as large as its batches of 2,000 are.
_FIRST = 125


class Settings(NamedTuple):
    """Of a measurement.

    Args:
        rounds: How often each is measured.
        windows: Of the photograph.
        width: Of the network.
        size: Height and width of the photograph.
        ranks: Of the thin layers in the place of fc6 and fc7.
    """

    rounds: int
    windows: int
    width: float
    size: tuple[int, int]
    ranks: tuple[int, int]


class Call(NamedTuple):
    """A function of RoIs that is timed, and on how many its first call is made."""

    of_rois: Callable[[Any], Any]
    first: int | None = None


def versions() -> dict[str, str]:
    """Of what is measured."""
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "opencv": cv2.__version__,
    }


def measure(settings: Settings) -> dict[str, Any]:
    """Everything but the machine, see `detection_tables`."""
    _prepare()
    image = _load_image(settings.size)
    rois, searched = _draw_rois(image, settings.windows)
    machines.say("making the detectors")
    detectors = _create_detectors(settings, _SYSTEMS)
    rows, proposals = _times(detectors, image, rois, settings.rounds)
    detectors.clear()
    points = []
    for system in _DRAWN:
        # In a process of its own, since memory that was freed is kept and used again.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            points += pool.apply(_points, (settings, system))
    return {
        "settings": {**settings._asdict(), "searched": searched, "classes": _CLASSES},
        "rows": rows,
        "proposals": proposals,
        "points": points,
    }


def _prepare() -> None:
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    # Each detector has graphs of its own, which looks like tracing one over and over.
    tf.get_logger().setLevel("ERROR")


def _load_image(size: tuple[int, int]) -> np.ndarray:
    from sklearn.datasets import load_sample_image

    pixels = tf.image.resize(load_sample_image("china.jpg"), size, antialias=True)
    return np.clip(pixels, 0, 255).round().astype("float32")


def _draw_rois(image: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """Proposals of selective search, then random boxes up to the count; the number of the first."""
    proposals = selective_search(image.astype("uint8"))[:count]
    rng = np.random.default_rng(0)
    limits = np.array(image.shape[1::-1])
    extents = np.exp(rng.uniform(np.log(20), np.log(limits), (count, 2)))
    corners = rng.uniform(0, 1, (count, 2)) * (limits - extents)
    anywhere = np.concatenate([corners, corners + extents], axis=1)
    return np.concatenate([proposals, anywhere])[:count].astype("float32"), len(proposals)


def _create_detectors(
    settings: Settings, systems: Sequence[System]
) -> dict[System, Detector | RCNN]:
    """All with the same weights."""
    keras.utils.set_random_seed(0)
    network = zoo.zf5_spp(classes=_CLASSES, width=settings.width)
    labels = tuple(str(index) for index in range(_CLASSES))
    head = heads.finalize_head(heads.build_softmax_head(network, _CLASSES))
    one_scale = Detector.from_network(network, head, labels=labels)
    by_name = {
        RCNN_SYSTEM: one_scale,
        "SPP, 1 scale": one_scale,
        "SPP, 5 scales": one_scale.replace(scales=FIVE_SCALES),
    }
    by_dense = {"full": head}
    if any(system.dense == "SVD" for system in systems):
        by_dense["SVD"] = compression.truncate_dense(one_scale, settings.ranks).head
    detectors: dict[System, Detector | RCNN] = {}
    for system in systems:
        detector = by_name[system.name].replace(head=by_dense[system.dense])
        if system.precision == "bfloat16":
            detector = cast_to_bfloat16(detector)
        detectors[system] = RCNN(detector) if system.name == RCNN_SYSTEM else detector
    return detectors


def _times(
    detectors: dict[System, Detector | RCNN], image: np.ndarray, rois: np.ndarray, rounds: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Seconds of each in rounds in which all take turns, and of the proposals."""
    rows = {}
    calls = {}
    for system, detector in detectors.items():
        machines.say(f"{' '.join(system)}: first calls")
        calls[system], distinct = _calls(system, detector, image, rois)
        for call in calls[system].values():
            call.of_rois(rois[: call.first])
        seconds: dict[str, list[float]] = {part: [] for part in calls[system]}
        rows[system] = {**system._asdict(), "distinct": distinct, "seconds": seconds, "cpu": []}
    proposals: dict[str, Any] = {"seconds": [], "cpu": []}
    pixels = image.astype("uint8")
    for number in range(rounds):
        taken = _seconds(lambda: selective_search(pixels))
        proposals["seconds"].append(taken[0])
        proposals["cpu"].append(taken[1])
        for system, row in rows.items():
            machines.say(f"round {number + 1} of {rounds}: {' '.join(system)}")
            for part, call in calls[system].items():
                taken = _seconds(lambda call=call: call.of_rois(rois))
                row["seconds"][part].append(taken[0])
                if part == "all":
                    row["cpu"].append(taken[1])
    return list(rows.values()), proposals


def _calls(
    system: System, detector: Detector | RCNN, image: np.ndarray, rois: np.ndarray
) -> tuple[dict[str, Call], int]:
    """Each part of a detection as a graph of its own, and the number of distinct RoIs."""
    pixels, size = tf.constant(image), tf.constant(image.shape[:2])
    image_spec, rois_spec = tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 4))
    detect = tf.function(detector.detect, [image_spec, rois_spec], autograph=False)
    if isinstance(detector, RCNN):
        compute_vectors = tf.function(
            detector.compute_vectors, [image_spec, rois_spec], autograph=False
        )
        predict_rois = tf.function(detector.detector.predict_rois, autograph=False)
        shape = (len(rois) + 1, detector.detector.vector_length)
        vectors = tf.cast(tf.random.uniform(shape), detector.detector.roi_spp.compute_dtype)
        calls = {
            "dense": Call(lambda _: predict_rois(vectors)),
            "all": Call(lambda boxes: detect(pixels, boxes), _FIRST),
        }
        if system.dense == "full":
            # The same for both kinds of dense layers.
            calls["convolutions"] = Call(lambda boxes: compute_vectors(pixels, boxes), _FIRST)
        return calls, len(rois)
    compute_feature_maps = tf.function(detector.compute_feature_maps, [image_spec], autograph=False)
    pool_rois = tf.function(detector.pool_rois, autograph=False)
    predict_rois = tf.function(detector.predict_rois, autograph=False)
    feature_maps = compute_feature_maps(pixels)
    vectors, rows = pool_rois(feature_maps, tf.constant(rois), size)
    return {
        "convolutions": Call(lambda _: compute_feature_maps(pixels)),
        "pooling": Call(lambda boxes: pool_rois(feature_maps, tf.constant(boxes), size)),
        "dense": Call(lambda _: predict_rois(vectors)),
        "all": Call(lambda boxes: detect(pixels, boxes)),
    }, len(np.unique(rows))


def _points(settings: Settings, system: System) -> list[dict[str, Any]]:
    """Time and memory of one detection, over windows and over sizes."""
    _prepare()
    image = _load_image(settings.size)
    detector = _create_detectors(settings, [system])[system]
    _detect(detector, image, 1)()
    base = _memory("VmRSS")
    counts = [count for count in _COUNTS if count <= _MOST_DRAWN * settings.windows]
    points = [_point(detector, system, image, count, base, "windows") for count in counts]
    for factor in (0.5, 1, 2):
        size = [round(side * factor) for side in settings.size]
        resized = tf.image.resize(image, size).numpy()
        # At its own size, not at one scale: that is what the convolutions cost.
        own = detector.replace(scales=(min(size),))
        points.append(_point(own, system, resized, settings.windows, base, "size"))
    return points


def _point(
    detector: Detector, system: System, image: np.ndarray, count: int, base: float, over: str
) -> dict[str, Any]:
    machines.say(f"{count} windows of {image.shape[0]}x{image.shape[1]}: {' '.join(system)}")
    call = _detect(detector, image, count)
    call()
    return {
        **system._asdict(),
        "over": over,
        "windows": count,
        "size": list(image.shape[:2]),
        "seconds": min(_seconds(call)[0] for _ in range(2)),
        # The counts rise, so the peak is this one's, or that of making the detectors.
        "megabytes": round(_memory("VmHWM") - base, 1),
    }


def _detect(detector: Detector, image: np.ndarray, count: int) -> Callable[[], Any]:
    specifications = [tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 4))]
    whole = tf.function(detector.detect, specifications, autograph=False)
    pixels, boxes = tf.constant(image), tf.constant(_draw_rois(image, count)[0])
    return lambda: whole(pixels, boxes)


def _memory(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def _seconds(call: Callable[[], Any]) -> tuple[float, float]:
    """By the clock and of all threads; a call on a CPU returns when its result is there."""
    start, cpu = time.perf_counter(), time.process_time()
    result = call()
    taken = time.perf_counter() - start, time.process_time() - cpu
    del result
    return round(taken[0], 5), round(taken[1], 5)
