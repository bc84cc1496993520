"""Runs Schemathesis, all checks, against a server of its own: `python -m tests.openapi.run [options of st run]`."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent.parent
_SERVE: Final = (
    *("serve", "--store", "memory://", "--archive", "none", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"),
    *("--provision", str(HERE / "provisioning.toml"), "--log-level", "error"),
)
_LIMITS: Final = {
    "PLAYCLOCK_LIMITS_WRONG_CREDENTIALS_PER_ADDRESS": "none",
    "PLAYCLOCK_LIMITS_REFUSED_OTTS_PER_ADDRESS": "none",
    "PLAYCLOCK_LIMITS_REFUSED_OTTS_PER_KEY": "none",
    "PLAYCLOCK_LIMITS_PLAYFUN_PER_ADDRESS": "none",
    "PLAYCLOCK_LIMITS_PLAYFUN_PLAYERS_PER_ADDRESS": "none",
    "PLAYCLOCK_LIMITS_POINT_SAVES_PER_DEVELOPER": "none",
    "PLAYCLOCK_LIMITS_CLAIMS_PER_DEVELOPER": "none",
}
"""Whoever tries everything guesses a lot, and would hear of nothing but that."""


def run(*options: str, timeout_sec: float = 60) -> tuple[int, str, str]:
    """Run Schemathesis with further options, and return its exit code, what it printed, and what the server logged.

    Raises subprocess.TimeoutExpired.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLAYCLOCK_")} | _LIMITS
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        command = [sys.executable, "-m", "playclock", *_SERVE]
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as server:
            assert server.stdout is not None
            try:
                ready = dict(field.split("=", 1) for field in server.stdout.readline().split()[1:])
                done = _schemathesis(f"http://{ready['http']}", folder, options, environment, timeout_sec)
            finally:
                server.terminate()
                server.wait()
        log.seek(0)
        return done.returncode, done.stdout, log.read()


def _schemathesis(
    url: str, folder: str, options: Sequence[str], environment: dict[str, str], timeout_sec: float
) -> "subprocess.CompletedProcess[str]":
    steered = environment | {
        "SCHEMATHESIS_HOOKS": "tests.openapi.hooks",
        "PLAYCLOCK_OPENAPI_URL": url,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "120",
    }
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{url}/openapi.json", "--checks", "all", *options),
        ],
        cwd=folder,
        env=steered,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_sec,
        check=False,
    )


def main() -> None:
    """Run as the command line says, and end as Schemathesis did; a log of errors is a failure too."""
    code, printed, log = run(*sys.argv[1:], timeout_sec=24 * 3600)
    sys.stdout.write(f"{printed}\n{log}")
    sys.exit(code or '"level": "error"' in log)


if __name__ == "__main__":
    main()
