"""Measures the peak memory of training steps, packed, padded and of one size, and draws it.

    python benchmarks/packing_memory.py
    python benchmarks/packing_memory.py --counts 4 --draws 1
    python benchmarks/packing_memory.py --render    # the plot again, from the JSON

Images of `shapes` drawn at random, in `zf5_spp`. Each batch is trained on in a process of its
own, whose peak of resident memory counts from before the first step, when it is traced already.
The results are OUT/packing_memory.json, .png and .md.
Linux only.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machines
import packing_memory_tables as tables
from worker import ENVIRONMENT

_CLASSES = 12
_STEPS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures all batches and writes the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--counts", type=int, nargs="+", default=[8, 16, 32], help="images (default: 8 16 32)"
    )
    parser.add_argument("--draws", type=int, default=3, help="batches of each (default: 3)")
    parser.add_argument("--width", type=float, default=0.25, help="of zf5_spp (default: 0.25)")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    machines.render_option(parser)
    machines.out_option(parser)
    options = parser.parse_args(arguments)
    if options.point:
        print(json.dumps(_measure_point(**json.loads(options.point))))
        return 0
    stem = options.out / "packing_memory"
    if options.render:
        tables.draw(json.loads(stem.with_suffix(".json").read_text()), stem.with_suffix(".png"))
        return machines.render(stem, tables.markdown)
    began = machines.begin()
    numbers = " ".join(map(str, options.counts))
    machine = machines.describe(
        f"python benchmarks/packing_memory.py --counts {numbers} --draws {options.draws}"
    )
    rows = [
        _start_point({"form": form, "count": count, "seed": seed, "width": options.width})
        for seed in range(options.draws)
        for count in options.counts
        for form in tables.FORMS
    ]
    for row in rows:
        machine["versions"] |= row.pop("versions")
    machines.finish(machine, began)
    results = {"machine": machine, "rows": rows}
    tables.draw(results, stem.with_suffix(".png"))
    machines.publish(stem, machine, rows, tables.markdown(results))
    return 0


def _start_point(point: dict[str, Any]) -> dict[str, Any]:
    """Measures a batch in a process of its own, so that no other's memory is used again."""
    command = [sys.executable, __file__, "--point", json.dumps(point)]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    row = {**point, **json.loads(done.stdout.splitlines()[-1])}
    machines.say(f"{row['form']}, {row['count']} images: {row['megabytes']:.0f} MB")
    return row


def _measure_point(form: str, count: int, seed: int, width: float) -> dict[str, Any]:
    import keras
    import numpy as np
    import tensorflow as tf
    from packing_cases import draw_shapes, measure_fill

    import spp_keras
    from spp_keras.zoo import zf5_spp

    keras.utils.set_random_seed(0)
    sizes = draw_shapes(count, seed)
    model = zf5_spp(_CLASSES, width=width)
    model.compile(keras.optimizers.SGD(1e-4, 0.9), "sparse_categorical_crossentropy")
    pixels = int(sizes.prod(axis=1, dtype="int64").sum())
    if form == tables.ONE_SIZE:
        sizes = np.full_like(sizes, round((pixels / count) ** 0.5))
    random = np.random.default_rng(seed)
    images = [random.integers(0, 256, (*size, 3), dtype="uint8") for size in sizes]
    dataset, fill = _make_batches(form, images), 1.0
    if form == tables.PADDED:
        fill = pixels / (count * int(sizes.max(axis=0).prod()))
    elif form == tables.PACKED:
        fill = measure_fill(model, [sizes], training=True)
    # Traces the step, and makes the variables of the optimizer.
    side, other = (64, 64) if form == tables.ONE_SIZE else (64, 80)
    tiny = [np.zeros((length, 64, 3), "uint8") for length in (side, other)]
    model.fit(_make_batches(form, tiny), verbose=0, shuffle=False)
    # Resets the peak of resident memory, see `man 5 proc`.
    Path("/proc/self/clear_refs").write_text("5")
    before = _read_peak()
    model.fit(dataset.repeat(_STEPS), verbose=0, shuffle=False)
    return {
        "pixels": pixels,
        "fill": fill,
        "megabytes": (_read_peak() - before) * 1024 / 1e6,
        "versions": {package.__name__: package.__version__ for package in (spp_keras, tf, keras)},
    }


def _make_batches(form: str, images: Sequence[Any]) -> Any:
    """One batch with labels, in a form of the table."""
    import tensorflow as tf

    signature = tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int32)
    labeled = [(image, index % _CLASSES) for index, image in enumerate(images)]
    dataset = tf.data.Dataset.from_generator(lambda: iter(labeled), output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(labeled)))
    if form == tables.PACKED:
        return dataset.ragged_batch(len(images))
    if form == tables.ONE_SIZE:
        return dataset.batch(len(images))
    named = dataset.map(lambda x, y: ({"images": x, "sizes": tf.shape(x)[:2]}, y))
    return named.padded_batch(len(images))


def _read_peak() -> int:
    """Kilobytes of resident memory at most."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


if __name__ == "__main__":
    sys.exit(main())
