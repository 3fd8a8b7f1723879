"""What the log shows of an error, in both of its forms."""

import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys, structlog
from tickstockpl import logs
from tickstockpl.settings import LogSettings

def connect(address):
    password = address.partition("@")[0]
    raise OSError("no route")

logs.configure(LogSettings(format=sys.argv[1]))
try:
    connect("hunter2@h")
except OSError as error:
    structlog.get_logger().error("ours", exc_info=error)
    logging.getLogger("asyncio").error("a library's", exc_info=error)
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_has_no_local_variables_for_they_may_be_secrets(form: str) -> None:
    command = [sys.executable, "-c", PROGRAM, form]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stderr.count("no route") == 2
    assert done.stderr.count("connect") >= 2
    assert "hunter2" not in done.stderr
