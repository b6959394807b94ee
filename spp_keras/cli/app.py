"""`spp-keras app`."""

import argparse
import os
import sys
import webbrowser

from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command, load_tensorflow


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "app",
        help="open a local page to try a model",
        description="Opens a local page to try a model: class scores of images of any size "
        "beside those of the warped image, which a network without pyramid would see; windows "
        "that you drag, from the same feature map; what a detector finds. Nobody but this machine "
        "reaches it unless --host says so, and images are never written to disk. "
        "Ctrl-C ends it.",
        examples="  spp-keras app runs/zf5_spp-shapes\n"
        "  spp-keras app runs/zf5_spp-shapes-detector --port 0 --no-browser",
    )
    parser.add_argument("run", metavar="RUN", help="run folder of a network or of a detector")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="port; 0 takes a free one (default: 8000)"
    )
    parser.add_argument(
        "--max-upload-mb",
        type=float,
        default=50,
        metavar="N",
        help="how large a file may be (default: 50)",
    )
    parser.add_argument(
        "--max-megapixels",
        type=float,
        default=64,
        metavar="N",
        help="how many million pixels an image may have (default: 64)",
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address alone")
    parser.set_defaults(run_command=_open_app)


def _open_app(options: argparse.Namespace) -> int:
    run = _arguments.choose_run(options.run)
    for name in ("max_upload_mb", "max_megapixels"):
        if not 0 < getattr(options, name) <= 1000:
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(
                f"{flag} must be a number above 0, 1000 at most. "
                f"Received: {getattr(options, name)}."
            )
    if not 0 <= options.port <= 65535:
        raise ValueError(f"--port must be from 0 to 65535. Received: {options.port}.")
    load_tensorflow()
    from spp_keras import app

    # First the port, which may be taken, and then the model, which takes time.
    with app.Server(options.host, options.port, round(options.max_upload_mb * 1e6)) as server:
        server.session = app.load_session(run, round(options.max_megapixels * 1e6))
        if not app.is_loopback(options.host):
            print(
                f"spp-keras: whoever reaches {options.host} can use this page: it has no password "
                "and no encryption. --host 127.0.0.1 keeps it to this machine.",
                file=sys.stderr,
            )
        print(f"{server.url} (Ctrl-C ends it)", flush=True)
        if not options.no_browser and _has_screen():
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def _has_screen() -> bool:
    # Without one, `webbrowser` starts a browser of letters in this very terminal.
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
