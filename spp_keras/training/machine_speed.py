"""How quick this machine is, measured in about a second."""

import math
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import tensorflow as tf

# Maps as in the middle of networks: images, height and width, channels.
_DENSE_MAPS, _DEPTHWISE_MAPS, _VALUE_MAPS = (8, 28, 28, 128), (8, 28, 28, 144), (8, 56, 56, 64)
# Side of the picture that is decoded.
_PICTURE = 1024
# Each is measured for so long, at least three times.
_SECONDS = 0.25


class MachineSpeed(NamedTuple):
    """Seconds for a unit of work.

    Args:
        dense: For each multiplication of a convolution forward, with what there is to do for the
            gradients of its maps and weights.
        depthwise: The same for convolutions of each channel by itself.
        values: For each value of a map that is only looked at, with its gradient.
        decoding: For each pixel of a JPEG file, on all cores.
    """

    dense: float
    depthwise: float
    values: float
    decoding: float


def measure_speed(clock: Callable[[], float] = time.perf_counter) -> MachineSpeed:
    """Measures convolutions, with their gradients, and the decoding of JPEG files.

    Args:
        clock: Tells the seconds. Defaults to `time.perf_counter`.

    Example:

    >>> all(seconds > 0 for seconds in measure_speed())
    True
    """
    dense = _measure_step(
        (3, 3, 128, 128),
        _DENSE_MAPS,
        lambda maps, kernel: tf.nn.conv2d(maps, kernel, 1, "SAME"),
        clock,
    )
    depthwise = _measure_step(
        (5, 5, 144, 1),
        _DEPTHWISE_MAPS,
        lambda maps, kernel: tf.nn.depthwise_conv2d(maps, kernel, [1] * 4, "SAME"),
        clock,
    )
    values = _measure_step((), _VALUE_MAPS, lambda maps, kernel: tf.nn.relu(maps * kernel), clock)
    return MachineSpeed(
        dense / (9 * 128 * 128), depthwise / (25 * 144), values / 64, _measure_decoding(clock)
    )


def _measure_step(
    kernel_shape: tuple[int, ...],
    shape: tuple[int, ...],
    function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    clock: Callable[[], float],
) -> float:
    """Seconds for each place of maps, forward and with the gradients of both arguments."""
    maps, kernel = tf.ones(shape), tf.ones(kernel_shape)

    @tf.function
    def step() -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            tape.watch((maps, kernel))
            outputs = function(maps, kernel)
        return tuple(tape.gradient(outputs, (maps, kernel)))

    # A value comes to the host, so that a GPU is waited for.
    seconds = _time(lambda: [tf.reshape(one, [-1])[0].numpy() for one in step()], clock)
    return seconds / math.prod(shape[:3])


def _measure_decoding(clock: Callable[[], float]) -> float:
    """Every core decodes the same picture."""
    ramps = tf.range(_PICTURE, dtype=tf.int32)
    noise = tf.random.stateless_uniform((_PICTURE, _PICTURE, 3), (0, 0), -12, 13, tf.int32)
    gray = (ramps[:, None, None] + ramps[None, :, None]) // 8 + noise
    picture = tf.io.encode_jpeg(tf.cast(tf.clip_by_value(gray, 0, 255), tf.uint8), quality=90)
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:

        def decode() -> None:
            list(pool.map(lambda _: tf.io.decode_jpeg(picture), range(threads)))

        return _time(decode, clock) / (threads * _PICTURE**2)


def _time(work: Callable[[], Any], clock: Callable[[], float]) -> float:
    """The median time of calls, the first left out."""
    work()
    times: list[float] = []
    while len(times) < 3 or sum(times) < _SECONDS:
        start = clock()
        work()
        times.append(clock() - start)
    return statistics.median(times)
