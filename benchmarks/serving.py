"""Measures exported models: signatures, a server with many clients, TFLite files.

    spp-keras train zf5_spp/shapes
    python benchmarks/serving.py --run runs/zf5_spp-shapes
    python benchmarks/serving.py --render    # the text again, from the JSON

The run is that whose exports are compared with its network. The server is that of
the tests, in Python, around TensorFlow's own session: it shows what the model
adds, not what `tensorflow_model_server` does. The results are OUT/serving.json,
and OUT/serving.md for the documents. Linux only.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import machines
import numpy as np
import serving_tables as tables
from serving_inputs import photographs
from worker import ENVIRONMENT, Worker

_SERVER = Path(__file__).parents[1] / "tests" / "serving" / "server.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes both files."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.render:
        return machines.render(options.out / "serving", tables.markdown)
    if not options.run:
        parser.error("--run must be the folder of a training, unless --render is given.")
    began = machines.begin()
    machine = machines.describe(" ".join(["python", *sys.argv]))
    rows: list[dict[str, Any]] = []
    with Worker(sys.executable, "serving_cases.py") as worker:
        machine["versions"] |= worker.ask("versions")
        cases = worker.ask("cases")
        for section, settings in tables.SETTINGS.items():
            for setting in settings:
                machines.say(f"{section}, {setting}")
                chosen = [(name, note) for s, name, note in cases if s == section]
                rows += _calls(worker, section, setting, chosen, options)
                worker.ask("forget")
    with tempfile.TemporaryDirectory() as folder:
        _export(Path(folder) / "models" / "zf5_spp")
        rows += _crowds(Path(folder) / "models", options)
        rows.append(_memory(Path(folder) / "models", options))
    rows += _agreement(options.run)
    machines.finish(machine, began)
    text = tables.markdown({"machine": machine, "rows": rows})
    machines.publish(options.out / "serving", machine, rows, text)
    return 0


def _calls(
    worker: Worker,
    section: str,
    setting: str,
    cases: Sequence[tuple[str, str]],
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Milliseconds of calls of one process, in turns."""
    rows = []
    for name, note in cases:
        keys = {"section": section, "name": name, "setting": setting}
        worker.ask("start", timeout=600, answer="", **keys)
        rows.append({**keys, "note": note, "milliseconds": []})
    for _ in range(options.rounds):
        for row in rows:
            keys = {key: row[key] for key in ("section", "name", "setting")}
            row["milliseconds"] += worker.ask("measure", 600, seconds=options.seconds, **keys)
    for row in rows:
        keys = {key: row[key] for key in ("section", "name", "setting")}
        row["remark"] = worker.ask("remark", **keys)
        machines.say(
            f"  {row['name']}: {statistics.median(row['milliseconds']):.4g} ms {row['remark']}"
        )
    return rows


def _export(model: Path) -> None:
    """In a process of its own: this one is to have no TensorFlow of its own at work."""
    script = (
        "import sys; from spp_keras import data, export, zoo; "
        "export.export_model(zoo.zf5_spp(classes=1000, width=0.25), sys.argv[1], "
        "labels=[str(n) for n in range(1000)], size_policy=data.Whole(longest_side=512))"
    )
    subprocess.run([sys.executable, "-c", script, str(model)], check=True, env=_environment())


def _crowds(repository: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Requests a second, and how long each took, with several clients at once."""
    drawn = np.random.default_rng(0)
    sizes = [tuple(int(side) for side in pair) for pair in drawn.integers(200, 501, (64, 2))]
    side = round(statistics.mean(height * width for height, width in sizes) ** 0.5)
    crowds = {"mixed sizes": photographs(sizes), "one size": photographs([(side, side)] * 64)}
    rows = [
        {
            "section": "crowd",
            "name": f"{name}{', joined' if joined else ''}",
            "setting": f"{clients} clients",
            "milliseconds": [],
            "rates": [],
        }
        for joined, name, clients in itertools.product((False, True), crowds, tables.CLIENTS)
    ]
    with _server(repository) as (ports, _):
        for number in range(options.rounds):
            for row in rows:
                name, _, joined = row["name"].partition(", ")
                clients = int(row["setting"].split()[0])
                port = ports[bool(joined)]
                took, rate = _crowd(port, crowds[name], clients, options.crowd_seconds)
                # The first turn makes what sizes need, and clients their connections.
                if number:
                    row["milliseconds"] += took
                    row["rates"].append(rate)
    for row in rows:
        machines.say(f"  {row['name']}, {row['setting']}: {statistics.median(row['rates']):.1f}/s")
    return rows


def _crowd(
    port: int, files: Sequence[bytes], clients: int, seconds: float
) -> tuple[list[float], float]:
    took: list[float] = []
    begin = time.perf_counter()

    def work(first: int) -> None:
        ask = _asker(port)
        for number in itertools.count(first):
            start = time.perf_counter()
            if start - begin > seconds:
                return
            ask(files[number % len(files)])
            took.append(1e3 * (time.perf_counter() - start))

    threads = [threading.Thread(target=work, args=(7 * client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took, len(took) / (time.perf_counter() - begin)


def _memory(repository: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Resident memory of a server after 500 and after 5,000 requests of mixed sizes."""
    drawn = np.random.default_rng(1)
    files = photographs([tuple(map(int, pair)) for pair in drawn.integers(40, 501, (500, 2))])
    found = {}
    with _server(repository) as (ports, process):
        ask = _asker(ports[0])
        for number in range(1, options.requests + 1):
            ask(files[int(drawn.integers(len(files)))])
            if number in (options.requests // 10, options.requests):
                pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
                found[number] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
                machines.say(f"  after {number} requests: {found[number]:.0f} MB")
    return {"section": "memory", "megabytes": found}


def _agreement(run: Path) -> list[dict[str, Any]]:
    command = [sys.executable, str(Path(__file__).with_name("serving_agreement.py")), str(run)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=_environment()
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for row in found:
        machines.say(f"  {row}")
    return [{"section": "agreement", **row} for row in found]


def _asker(port: int) -> Any:
    """A function that sends one file and waits for its answer."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    stub = prediction_service_pb2_grpc.PredictionServiceStub(
        grpc.insecure_channel(f"localhost:{port}", [("grpc.use_local_subchannel_pool", 1)])
    )

    def ask(file: bytes) -> Any:
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = "zf5_spp", "bytes"
        request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([file]))
        return stub.Predict(request, 60)

    return ask


@contextmanager
def _server(repository: Path) -> Iterator[tuple[list[int], Any]]:
    """The ports of one server: where requests are answered one by one, and where joined."""
    command = [sys.executable, str(_SERVER), str(repository), "--port", "0", "--rest_api_port", "0"]
    process = subprocess.Popen(
        [*command, "--batch", "0.002"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=_environment(),
    )
    try:
        yield [json.loads(process.stdout.readline())["port"] for _ in range(2)], process
    finally:
        process.kill()
        process.communicate()


def _environment() -> dict[str, str]:
    return {**os.environ, **ENVIRONMENT}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measures exported models and writes serving.json and serving.md.",
        epilog="Example: python benchmarks/serving.py --run runs/zf5_spp-shapes --rounds 3",
    )
    parser.add_argument("--run", type=Path, help="folder of a training by `zf5_spp/shapes`")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: 5)")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="length of a turn (default: 1), a call at least"
    )
    parser.add_argument(
        "--crowd-seconds", type=float, default=5.0, help="likewise, of clients (default: 5)"
    )
    parser.add_argument(
        "--requests", type=int, default=5000, help="that memory is watched over (default: 5000)"
    )
    machines.render_option(parser)
    machines.out_option(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
