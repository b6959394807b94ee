"""What every command has."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path


def add_command(
    commands: argparse._SubParsersAction, name: str, *, help: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """The parser of a command, whose help ends with examples."""
    return commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def load_tensorflow() -> None:
    """Imports TensorFlow, for the commands that need it, without its notes on processors and GPUs.

    What it says while it is loaded heeds no level; it is shown where loading fails.
    """
    if "tensorflow" in sys.modules:
        return
    # Where there is no GPU, it is an error to TensorFlow that it finds none.
    level = "2" if Path("/proc/driver/nvidia").exists() else "3"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", level)
    sys.stderr.flush()
    ours = os.dup(2)
    with tempfile.TemporaryFile() as said, os.fdopen(ours, "wb") as shown:
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow as tensorflow
        except BaseException:
            said.seek(0)
            shutil.copyfileobj(said, shown)
            raise
        finally:
            shown.flush()
            os.dup2(ours, 2)
