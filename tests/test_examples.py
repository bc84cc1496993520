"""The examples that are programs, run as programs."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

PRINTED = {
    "embed_async.py": "played 120 s\nended after 150 s, billed 3 GCOIN\n",
    "embed_blocking.py": "first: True, second: False\n",
}


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_an_example_prints_what_it_promises(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, PRINTED[name], "")


def test_every_example_program_is_run_somewhere() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py") if not path.name.startswith("test_")}
    assert programs == set(PRINTED)
