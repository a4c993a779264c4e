"""The `labeld` command by its public entry, run within the test's own process: no start of an interpreter is paid."""

import os
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from unittest.mock import patch

from labeld.__main__ import main


def labeld(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """How `labeld ARGUMENTS` ends with these environment variables, an empty cache and no Hub.

    An exception that it lets out is the test's.
    """
    stdout, stderr = StringIO(), StringIO()
    code: str | int | None = None
    with (
        patch.object(sys, "argv", ["labeld", *arguments]),
        tempfile.TemporaryDirectory() as cache,
        patch.dict(os.environ, {"LABELD_CACHE_DIR": cache, "LABELD_HUB": "off", **variables}),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):  # as the interpreter does it
                print(code, file=sys.stderr)
                code = 1
    return subprocess.CompletedProcess(["labeld", *arguments], code or 0, stdout.getvalue(), stderr.getvalue())
