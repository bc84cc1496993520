"""`python -m fuzz TARGET [libFuzzer options]`: look for inputs that break a target; new ones go into its corpus.

Without options it looks for a minute. `-runs=0` replays the corpus. Needs the extra `fuzz` (atheris).
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["playclock", "fuzz.targets"]):
    from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    """Fuzz the target that the arguments name."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: scripts/fuzz {'|'.join(TARGETS)} [libFuzzer options]")
    options = sys.argv[2:] or ["-max_total_time=60"]
    atheris.Setup([sys.argv[0], "-max_len=2048", *options, str(CORPUS / sys.argv[1])], TARGETS[sys.argv[1]])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
