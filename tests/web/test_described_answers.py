"""Every answer to requests that schemathesis makes of the description at /openapi.json is one that it describes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server_process import serving

pytestmark = pytest.mark.slow

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
CONFIGURATION = """\
[parameters]
"path.model_id" = "labeld/sentiment-en"
"""


def test_answers_are_as_described(tmp_path: Path) -> None:
    """Whatever is asked: status, headers and body of each are in the description, and none is a failure of ours."""
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", "schemathesis.toml", "run"]
    with serving(tmp_path) as server:
        command += [f"{server.url}/openapi.json", "--checks", ",".join(CHECKS), "--seed", "1"]
        command += ["--max-examples", "10", "--suppress-health-check", "all", "--no-color"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

        assert 0 == ended.returncode, ended.stdout[-4000:]
        assert "generated" in ended.stdout
        assert 200 == server.get("/health").status_code
