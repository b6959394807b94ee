import os
import signal
import subprocess
import sys
import urllib.request
import webbrowser
from pathlib import Path

import pytest
from small_runs import make_run

from spp_keras import app, cli


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Addresses that were opened, by a command that serves nothing and is interrupted at once."""
    addresses = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", addresses.append)
    monkeypatch.setattr(app.Server, "serve_forever", interrupted)
    monkeypatch.setattr(app, "load_session", lambda *_: None)
    monkeypatch.setenv("DISPLAY", ":0")
    return addresses


def test_the_page_is_opened_and_ctrl_c_ends_the_command_well(opened, capsys):
    assert cli.main(["app", "run", "--port", "0"]) == 0
    printed = capsys.readouterr()
    [address] = opened
    assert address.startswith("http://127.0.0.1:")
    assert printed.out == f"{address} (Ctrl-C ends it)\n"
    assert printed.err == ""


def test_no_browser_is_opened_if_not_wanted_or_without_a_screen(opened, monkeypatch):
    assert cli.main(["app", "run", "--port", "0", "--no-browser"]) == 0
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert cli.main(["app", "run", "--port", "0"]) == 0
    assert opened == []


def test_an_open_address_is_warned_of(opened, capsys):
    assert cli.main(["app", "run", "--port", "0", "--host", "0.0.0.0"]) == 0
    assert "whoever reaches 0.0.0.0 can use this page" in capsys.readouterr().err


def test_limits_reach_the_page(opened, monkeypatch):
    loads, servers = [], []
    make = app.Server.__init__

    def init(self, *arguments):
        servers.append(arguments)
        make(self, *arguments)

    monkeypatch.setattr(app, "load_session", lambda *arguments: loads.append(arguments))
    monkeypatch.setattr(app.Server, "__init__", init)
    limits = ["--max-upload-mb", "0.5", "--max-megapixels", "2"]
    assert cli.main(["app", "run", "--port", "0", *limits]) == 0
    assert loads == [(Path("run"), 2_000_000)]
    assert servers == [("127.0.0.1", 0, 500_000)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "--port must be from 0 to 65535. Received: 70000."),
        (["--max-upload-mb", "0"], "--max-upload-mb must be a number above 0, 1000 at most."),
        (["--max-megapixels", "nan"], "--max-megapixels must be a number above 0"),
        (["--host", "203.0.113.7"], "`host` must be a name or an address of this machine"),
        ([], "`run` must be a run folder"),
    ],
)
def test_what_cannot_be_served_ends_with_2(arguments, message, tmp_path, capsys):
    assert cli.main(["app", str(tmp_path), "--port", "0", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_missing_software_is_said_and_ends_the_command(opened, capsys, monkeypatch):
    def load(*_):
        raise ImportError("Selective search needs OpenCV")

    monkeypatch.setattr(app, "load_session", load)
    assert cli.main(["app", "run", "--port", "0"]) == 2
    assert capsys.readouterr().err == "spp-keras: Selective search needs OpenCV\n"


@pytest.mark.integration
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_command_serves_until_it_is_interrupted(tmp_path):
    make_run(tmp_path)
    # Who starts these tests in the background may have turned the signal off.
    code = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from spp_keras import cli
sys.exit(cli.main(["app", {str(tmp_path)!r}, "--port", "0", "--no-browser"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            address = process.stdout.readline().split()[0]
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert answer.read().startswith(b"<!doctype html>")
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
