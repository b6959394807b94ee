"""Estimated time of short trainings against what they really take, in processor time.

    python benchmarks/training_minutes.py

Processor time does not depend on what else the machine does. Of training steps it is divided by
the number of cores, which share them; the start, which one core does, is not. What is measured of
the machine for the estimate is divided likewise. Without `--render` it takes some minutes; it
writes training_minutes.json and .md. The factors in `spp_keras/training/time_estimate.py` are
chosen by its columns.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import machines
import numpy as np
from PIL import Image

from spp_keras import training
from spp_keras.training import (
    machine_speed,
    recipe_choice,
    recipe_pipelines,
    time_estimate,
    work_counts,
)

_EPOCHS = 3
# Name of a network, number of images, and keys of the recipe that is chosen for them.
CASES: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("zf5_spp", 64, {}),
    ("efficientnet_lite0", 48, {"top_epochs": 10}),
)


class Clock(keras.callbacks.Callback):
    """Notes the processor time at which `fit` begins and at which epochs end."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.times = [time.process_time()]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.times.append(time.process_time())


def main() -> int:
    """Measures all cases and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    machines.out_option(parser)
    machines.render_option(parser)
    options = parser.parse_args()
    stem = options.out / "training_minutes"
    if options.render:
        return machines.render(stem, make_markdown)
    machine, began = machines.describe("benchmarks/training_minutes.py"), machines.begin()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, count, keys in CASES:
            rows.append(measure(Path(folder), name, count, keys))
            machines.say(f"{rows[-1]}")
    machines.finish(machine, began)
    text = make_markdown({"machine": machine, "rows": rows})
    machines.publish(stem, machine, rows, text)
    return 0


def measure(folder: Path, name: str, count: int, keys: dict[str, Any]) -> dict[str, Any]:
    """Trains once, and estimates the time before and afterwards."""
    data = folder / f"{count}"
    if not data.exists():
        write_photographs(data, count)
    options = {"epochs": _EPOCHS, "early_stopping": False, "data": str(data)} | keys
    recipe = recipe_choice.choose_recipe_for_data(name, **options).recipe
    pipelines = recipe_pipelines.build_pipelines(recipe)
    work = time_estimate.count_training_work(recipe, *(part.records for part in pipelines))
    cores = os.cpu_count() or 1
    speeds = [machine_speed.measure_speed(time.process_time)]
    clock, start = Clock(), time.process_time()
    training.train_model(recipe, tempfile.mkdtemp(dir=folder), callbacks=[clock])
    total = time.process_time() - start
    speeds.append(machine_speed.measure_speed(time.process_time))
    speed = machine_speed.MachineSpeed(*(np.mean(speeds, axis=0) / cores).tolist())
    # The first epoch traces graphs.
    epoch = float(np.diff(clock.times[1:]).mean())
    once = total - _EPOCHS * epoch
    return {
        "network": name,
        "images": count,
        "keys": keys,
        "measured": round(once + _EPOCHS * epoch / cores, 1),
        "measured epoch": round(epoch / cores, 2),
        "measured once": round(once, 1),
        "speed": speed._asdict(),
        "work": {**work._asdict(), "counts": work.counts._asdict()},
    }


def write_photographs(folder: Path, count: int) -> None:
    """JPEG files with the smoothness and the grain of photographs, of many sizes."""
    drawn = np.random.default_rng(0)
    for number in range(count):
        height, width = ((480, 640), (640, 480), (500, 500), (400, 700))[number % 4]
        height, width = height + int(drawn.integers(-60, 60)), width + int(drawn.integers(-60, 60))
        few = drawn.uniform(0, 255, (height // 16 + 2, width // 16 + 2, 3)).astype("uint8")
        smooth = Image.fromarray(few).resize((width, height), Image.Resampling.BICUBIC)
        grainy = np.asarray(smooth) + drawn.normal(0, 4, (height, width, 3))
        file = folder / ("cat", "dog")[number % 2] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(grainy, 0, 255).astype("uint8")).save(file, quality=90)


def estimate(row: dict[str, Any]) -> float:
    """The seconds by today's factors, from the work and the speed that a row has."""
    counts = work_counts.WorkCounts(**row["work"]["counts"])
    work = time_estimate.TrainingWork(**{**row["work"], "counts": counts})
    return time_estimate.convert_to_seconds(work, machine_speed.MachineSpeed(**row["speed"]))


def make_markdown(results: dict[str, Any]) -> str:
    """The table as text."""
    lines = [
        "# Estimated time of trainings",
        "",
        machines.sentence(results["machine"]),
        "Seconds on a quiet machine, from processor time: see the top of the program. The factors "
        "of the estimate were chosen by these trainings and three like them.",
        "",
        "| network | images | keys | estimated | measured | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        keys = ", ".join(f"{key}={value}" for key, value in row["keys"].items())
        estimated = estimate(row)
        lines.append(
            f"| {row['network']} | {row['images']} | {keys} | {estimated:.0f} | "
            f"{row['measured']:.0f} | {estimated / row['measured']:.2f} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    raise SystemExit(main())
