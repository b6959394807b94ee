"""Plays a new user: installs, looks at a folder of photographs, trains, asks, compares, exports.

    python benchmarks/first_hour.py              # an hour at most; needs the package registry
    python benchmarks/first_hour.py --render     # the text again, from the JSON

Everything happens in a new folder: a fresh virtual environment, and photographs made of those that
scikit-image brings, as they come from cameras and disks: of every size and several formats, some
turned by EXIF, one twice, some damaged. The commands are typed without a look into the
documentation. Writes first_hour.json, with what each step took and the last line that it printed,
and first_hour.md.
"""

import argparse
import io
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import first_hour_tables as tables
import machines

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

_ROOT = Path(__file__).resolve().parents[1]
_CLASSES, _IMAGES = 8, 24
# Asks an exported model for five files in one request, by TensorFlow alone.
_ASK = """
import pathlib, sys
import tensorflow as tf
(version,) = pathlib.Path(sys.argv[1]).iterdir()
files = [pathlib.Path(path).read_bytes() for path in sys.argv[2:]]
answer = tf.saved_model.load(str(version)).signatures["bytes"](image_bytes=tf.constant(files))
assert "spp_keras" not in sys.modules
print(*(label.decode() for label in answer["labels"].numpy()[:, 0]))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Goes through all steps and writes both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    machines.render_option(parser)
    machines.out_option(parser)
    options = parser.parse_args(arguments)
    stem = options.out / "first_hour"
    if options.render:
        return machines.render(stem, tables.markdown)
    machine, began = machines.describe("python benchmarks/first_hour.py"), machines.begin()
    with tempfile.TemporaryDirectory() as folder:
        rows = _go_through(Path(folder))
    machines.finish(machine, began)
    machine["versions"]["spp_keras"] = rows.pop(0)["version"]
    machines.publish(stem, machine, rows, tables.markdown({"machine": machine, "rows": rows}))
    return int(any(row["code"] for row in rows))


def _go_through(folder: Path) -> list[dict[str, Any]]:
    """The version, and a row for each step."""
    files = make_photographs(folder / "photos")
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", _ROOT, clone], check=True)
    python, command = folder / ".venv" / "bin" / "python", folder / ".venv" / "bin" / "spp-keras"
    five = [str(files[index]) for index in range(0, 5 * _IMAGES, _IMAGES)]
    install = "python3 -m venv .venv && .venv/bin/pip install -q 'clone[all]'"
    rows = [
        _run("install", ["sh", "-c", install], folder, install.replace("clone", ".")),
        _run("sizes", [command, "sizes", "photos/"], folder),
        _run("train", [command, "train", "--data", "photos/"], folder),
        _run("train again", [command, "train", "--data", "photos/"], folder),
    ]
    (run,) = (folder / "runs").iterdir()
    name = str(run.relative_to(folder))
    rows += [
        _run("predict", [command, "predict", name, five[0]], folder),
        _run("compare", [command, "compare", "photos/"], folder),
        _run("export", [command, "export", name, "saved_models/photos"], folder),
        _run(
            "ask the export",
            [python, "-c", _ASK, "saved_models/photos", *five],
            folder,
            "python ask.py saved_models/photos a.jpg b.jpg c.jpg d.jpg e.jpg",
        ),
        _run("demo", [command, "demo"], folder),
    ]
    shown = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    return [{"version": shown.stdout.split()[-1]}, *rows]


def _run(
    step: str, command: Sequence[str | Path], folder: Path, typed: str | None = None
) -> dict[str, Any]:
    words = ["spp-keras", *map(str, command[1:])]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1:]
    row = {
        "step": step,
        "command": (typed or " ".join(words)).replace(f"{folder}/", ""),
        "code": done.returncode,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "last_line": "".join(last).replace(f"{folder}/", ""),
    }
    machines.say(json.dumps(row))
    if done.returncode:
        machines.say(done.stderr[-3000:])
    return row


def make_photographs(folder: Path) -> list[Path]:
    """A folder of photographs for each class, and files as they come among them.

    Args:
        folder: Path of the folder.

    Returns:
        Paths of the photographs that are whole, class by class.
    """
    import exif_files
    import numpy as np
    import scikit_photographs
    from PIL import Image

    with tempfile.TemporaryDirectory() as made:
        scikit_photographs.make_folder(Path(made), train=_IMAGES, validation=0, classes=_CLASSES)
        shutil.copytree(Path(made) / "train", folder)
    files = sorted(folder.glob("*/*.jpg"))
    for number, path in enumerate(files):
        with Image.open(path) as picture:
            pixels = picture.convert("RGB")
        if number % 6 == 1:
            # As a phone stores it: turned, and marked so.
            path.write_bytes(exif_files.file(np.asarray(pixels), "JPEG", 6))
        elif number % 12 == 2:
            path.unlink()
            files[number] = path.with_suffix((".png", ".webp", ".tiff")[number // 12 % 3])
            pixels.save(files[number])
    first, second = sorted({path.parent for path in files})[:2]
    whole = io.BytesIO()
    pixels.save(whole, "JPEG")
    (first / "cut.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (first / "empty.jpg").write_bytes(b"")
    (second / "page.jpg").write_text("<html>Not found</html>")
    (second / "notes.txt").write_text("from the trip")
    (second / "copy.jpg").write_bytes((second / "0.jpg").read_bytes())
    pixels.convert("CMYK").save(first / "print.jpg")
    Image.fromarray(np.asarray(pixels.convert("L")).astype("uint16") * 256).save(first / "16.png")
    return files


if __name__ == "__main__":
    sys.exit(main())
