"""A server of saved models that speaks TensorFlow Serving's protocol, for tests alone.

The real server cannot be installed here. This one loads by TensorFlow's own loader, knows
nothing of Keras and `spp_keras`, and does as the real one does where a model can tell: its
config file, versions and warm-up, what it asks of a request, the words of its errors, the form
of its JSON, and how it joins requests. Run it as `python server.py REPOSITORY --port 0
--rest_api_port 0`; the ports it took are its first line of output. With `--batch` a second line
names two more, whose requests are joined.
"""

import argparse
import base64
import json
import queue
import re
import sys
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# What needs either of them to load fails here; TensorFlow itself imports Keras where it can.
sys.modules["keras"] = sys.modules["spp_keras"] = None

# ruff: noqa: E402
import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format, text_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

SERVED_FROM = "/models"
DEFAULT_SIGNATURE = "serving_default"
PREDICT = "tensorflow/serving/predict"
MOST_WARM_UP_RECORDS = 1000
# As `batching.config` has it.
MOST_ROWS = 16
HTTP_CODES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.FAILED_PRECONDITION: 412,
}
STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Refused(Exception):
    """An answer other than OK."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


def invalid(message):
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, message)


class Version:
    """One loaded version of a model, which has answered its warm-up requests."""

    def __init__(self, folder, batch_timeout):
        self.number = int(folder.name)
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            meta = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(folder))
        self.signatures = {
            name: signature
            for name, signature in meta.signature_def.items()
            if signature.method_name == PREDICT
        }
        # A callable, since `Session.run` checks shapes and casts, and C++ does not.
        self._run = {name: self._callable(one) for name, one in self.signatures.items()}
        self._warm_up(folder / "assets.extra" / "tf_serving_warmup_requests")
        self._join = {name: Batcher(run, batch_timeout) for name, run in self._run.items()}

    def predict(self, request, joins=False):
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise Refused(
                grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
            )
        signature = self.signatures[name]
        wanted, sent = set(signature.inputs), set(request.inputs)
        if wanted != sent:
            raise invalid(
                f"input size does not match signature: {len(sent)}!={len(wanted)}. Sent extra: "
                f"{{{','.join(sent - wanted)}}}. Missing but required: "
                f"{{{','.join(wanted - sent)}}}."
            )
        try:
            arguments = [tf.make_ndarray(request.inputs[one]) for one in sorted(wanted)]
        except ValueError as error:
            raise invalid(str(error)) from error
        for alias, value in zip(sorted(wanted), arguments, strict=True):
            expected = tf.as_dtype(signature.inputs[alias].dtype)
            if tf.as_dtype(request.inputs[alias].dtype) != expected:
                raise invalid(f"Expects {alias} to be {expected.name}, {value.dtype} is provided")
        try:
            outputs = (self._join if joins else self._run)[name](*arguments)
        except tf.errors.OpError as error:
            # Python's own beginning.
            message = error.message.removeprefix("Graph execution error:\n\n")
            raise Refused(STATUS_CODES[error.error_code], message) from error
        response = predict_pb2.PredictResponse()
        response.model_spec.CopyFrom(request.model_spec)
        response.model_spec.signature_name = name
        response.model_spec.version.value = self.number
        for alias in request.output_filter or outputs:
            if alias not in outputs:
                raise invalid(f"output tensor alias not found in signature: {alias}")
            response.outputs[alias].CopyFrom(tf.make_tensor_proto(outputs[alias]))
        return response

    def _callable(self, signature):
        fetches = {alias: info.name for alias, info in signature.outputs.items()}
        feeds = [signature.inputs[alias].name for alias in sorted(signature.inputs)]
        return self._session.make_callable(fetches, feed_list=feeds)

    def _warm_up(self, file):
        """Any failure here fails the version."""
        if not file.exists():
            return
        records = list(tf.compat.v1.io.tf_record_iterator(str(file)))
        assert len(records) <= MOST_WARM_UP_RECORDS
        for record in records:
            log = prediction_log_pb2.PredictionLog.FromString(record)
            self.predict(log.predict_log.request)


class Batcher:
    """Joins requests that come together along their first axis, as `BatchingSession` does."""

    def __init__(self, run, timeout):
        self._run, self._timeout = run, timeout
        self._tasks = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def __call__(self, *arguments):
        if len({value.shape[:1] for value in arguments}) != 1 or not arguments[0].ndim:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        if len(arguments[0]) > MOST_ROWS:
            raise invalid(
                f"Task size {len(arguments[0])} is larger than maximum input batch size {MOST_ROWS}"
            )
        result = futures.Future()
        self._tasks.put((arguments, result))
        return result.result()

    def _work(self):
        kept = None
        while True:
            batch, kept = [kept or self._tasks.get()], None
            until = time.monotonic() + self._timeout
            while (left := until - time.monotonic()) > 0:
                try:
                    task = self._tasks.get(timeout=left)
                except queue.Empty:
                    break
                if sum(len(arguments[0]) for arguments, _ in [*batch, task]) > MOST_ROWS:
                    kept = task
                    break
                batch.append(task)
            try:
                answers = self._answers([arguments for arguments, _ in batch])
            except Exception as error:
                for _, result in batch:
                    result.set_exception(error)
            else:
                for (_, result), answer in zip(batch, answers, strict=True):
                    result.set_result(answer)

    def _answers(self, asked):
        if len({tuple(value.shape[1:] for value in arguments) for arguments in asked}) > 1:
            raise Refused(
                grpc.StatusCode.FAILED_PRECONDITION,
                "Tensors from different tasks have different shapes and padding is turned off.",
            )
        print(f"joined {len(asked)} requests", file=sys.stderr, flush=True)
        joined = self._run(*map(np.concatenate, zip(*asked, strict=True)))
        ends = np.cumsum([len(arguments[0]) for arguments in asked])
        assert {len(value) for value in joined.values()} == {ends[-1]}
        split = {name: np.split(value, ends[:-1]) for name, value in joined.items()}
        return [{name: parts[i] for name, parts in split.items()} for i in range(len(asked))]


class Models:
    """What a repository's `models.config` names, each in its highest version."""

    def __init__(self, repository, batch_timeout):
        self._repository, self._batch_timeout = repository, batch_timeout
        self._loaded = {}
        text = (repository / "models.config").read_text()
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        self._folders = {}
        for one in config.model_config_list.config:
            assert one.model_platform == "tensorflow"
            self._folders[one.name] = repository / Path(one.base_path).relative_to(SERVED_FROM)
        self.poll()

    def poll(self):
        """Loads what is new; the version before answers until that is done."""
        for name, folder in self._folders.items():
            numbers = [int(one.name) for one in folder.iterdir() if one.name.isdecimal()]
            loaded = self._loaded.get(name)
            if loaded is None or max(numbers) > loaded.number:
                self._loaded[name] = Version(folder / str(max(numbers)), self._batch_timeout)

    def find(self, spec):
        version = self._loaded.get(spec.name)
        wanted = spec.version.value if spec.HasField("version") else None
        if version is None or wanted not in (None, version.number):
            which = "Latest" if wanted is None else "Specific"
            number = "" if wanted is None else f", {wanted}"
            raise Refused(
                grpc.StatusCode.NOT_FOUND,
                f"Servable not found for request: {which}({spec.name}{number})",
            )
        return version

    def predict(self, request, joins):
        return self.find(request.model_spec).predict(request, joins)

    def metadata(self, request):
        version = self.find(request.model_spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = version.number
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in version.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self, spec):
        state = get_model_status_pb2.ModelVersionStatus
        available = state(version=self.find(spec).number, state=state.AVAILABLE)
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[available])


class Grpc(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models, joins):
        self._models, self._joins = models, joins

    def Predict(self, request, context):
        return self._answer(context, self._models.predict, request, self._joins)

    def GetModelMetadata(self, request, context):
        return self._answer(context, self._models.metadata, request)

    def _answer(self, context, method, *arguments):
        try:
            return method(*arguments)
        except Refused as error:
            return context.abort(error.code, error.message)


class Rest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Of the subclass that `start` makes.
    models = joins = None

    def do_GET(self):
        self._answer(self._get)

    def do_POST(self):
        self._answer(self._post)

    def log_message(self, *arguments):
        pass

    def _get(self, body):
        spec, rest = self._spec(r"(/metadata)?")
        if rest:
            request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec)
            found = self.models.metadata(request)
        else:
            found = self.models.status(spec)
        return json_format.MessageToJson(found, preserving_proto_field_name=True)

    def _post(self, body):
        spec, _ = self._spec(r"(:predict)")
        try:
            asked = json.loads(body)
        except ValueError as error:
            raise invalid(f"JSON Parse error: {error}") from error
        spec.signature_name = asked.get("signature_name", "")
        name = spec.signature_name or DEFAULT_SIGNATURE
        signature = self.models.find(spec).signatures.get(name)
        if signature is None:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        rows = "instances" in asked
        if rows == ("inputs" in asked):
            raise invalid("Missing 'inputs' or 'instances' key")
        arguments = (from_rows if rows else from_columns)(asked, signature.inputs)
        request = predict_pb2.PredictRequest(model_spec=spec)
        for alias, value in arguments.items():
            kind = tf.as_dtype(signature.inputs[alias].dtype)
            try:
                request.inputs[alias].CopyFrom(tf.make_tensor_proto(plain(value), kind))
            except (TypeError, ValueError) as error:
                raise invalid(f"Failed to process element of {alias}: {error}") from error
        outputs = {
            alias: to_json(alias, tf.make_ndarray(tensor))
            for alias, tensor in self.models.predict(request, self.joins).outputs.items()
        }
        if not rows:
            return json.dumps({"outputs": one_or_all(outputs)}, ensure_ascii=False)
        keys, columns = list(outputs), list(outputs.values())
        found = [
            one_or_all(dict(zip(keys, row, strict=True))) for row in zip(*columns, strict=True)
        ]
        return json.dumps({"predictions": found}, ensure_ascii=False)

    def _spec(self, ending):
        found = re.fullmatch(rf"/v1/models/([^/:]+)(?:/versions/(\d+))?{ending}", self.path)
        if not found:
            raise invalid(f"Malformed request: {self.command} {self.path}")
        spec = predict_pb2.PredictRequest().model_spec
        spec.name = found[1]
        if found[2]:
            spec.version.value = int(found[2])
        return spec, found[3]

    def _answer(self, method):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            code, text = 200, method(body)
        except Refused as error:
            code, text = HTTP_CODES.get(error.code, 500), f'{{ "error": "{escaped(error)}" }}'
        data = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def from_rows(asked, inputs):
    rows = asked["instances"]
    if not isinstance(rows, list) or not rows:
        raise invalid("No values in 'instances' array")
    if is_named(rows[0]):
        if any(not is_named(row) or set(row) != set(inputs) for row in rows):
            raise invalid(f"keys must be equal to: {','.join(inputs)}")
        return {alias: [row[alias] for row in rows] for alias in inputs}
    if len(inputs) > 1:
        raise invalid("instances is a plain list, but expecting list of objects")
    return {next(iter(inputs)): rows}


def from_columns(asked, inputs):
    values = asked["inputs"]
    if not is_named(values):
        if len(inputs) > 1:
            raise invalid("inputs is a plain value/list, but expecting an object")
        return {next(iter(inputs)): values}
    for alias in inputs:
        if alias not in values:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
    return {alias: values[alias] for alias in inputs}


def is_named(value):
    return isinstance(value, dict) and set(value) != {"b64"}


def plain(value):
    """A value of JSON with its `{"b64": ...}` decoded."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value


def to_json(alias, value):
    if value.dtype != object:
        return value.tolist()
    if alias.endswith("_bytes"):
        return np.vectorize(lambda one: {"b64": base64.b64encode(one).decode()}, "O")(
            value
        ).tolist()
    return np.vectorize(bytes.decode, "O")(value).tolist() if value.size else value.tolist()


def one_or_all(outputs):
    return outputs if len(outputs) > 1 else next(iter(outputs.values()))


def escaped(error):
    """Absl's `CEscape`, which escapes what JSON does not, quotes for instance."""
    known = {'"': '\\"', "'": "\\'", "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(
        known.get(chr(byte)) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")
        for byte in str(error).encode()
    )


def start(models, joins, port, rest_api_port):
    """Answers at two ports, and tells which."""
    server = grpc.server(
        futures.ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", -1)]
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Grpc(models, joins), server)
    port = server.add_insecure_port(f"localhost:{port}")
    server.start()
    handler = type("Rest", (Rest,), {"models": models, "joins": joins})
    rest = ThreadingHTTPServer(("localhost", rest_api_port), handler)
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    print(json.dumps({"port": port, "rest_api_port": rest.server_port}), flush=True)
    return server, rest


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("repository", type=Path)
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--rest_api_port", type=int, default=8501)
    parser.add_argument(
        "--poll", type=float, default=0.2, help="seconds between looks for versions"
    )
    parser.add_argument(
        "--batch", type=float, help="a second line of ports, where requests wait so long for others"
    )
    options = parser.parse_args()

    models = Models(options.repository, options.batch or 0)
    assert not any(name.startswith(("keras.", "spp_keras.")) for name in sys.modules)
    running = [start(models, False, options.port, options.rest_api_port)]
    if options.batch:
        running.append(start(models, True, 0, 0))
    # Until whoever started this closes its input, so that none is left behind.
    closed = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
    while not closed.wait(options.poll):
        models.poll()


if __name__ == "__main__":
    main()
