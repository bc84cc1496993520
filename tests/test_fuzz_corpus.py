"""Every input that fuzzing has found so far, again. `scripts/fuzz` looks for more."""

from pathlib import Path

import pytest

from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus"


@pytest.mark.parametrize("name", list(TARGETS))
def test_the_corpus_breaks_nothing(name: str) -> None:
    inputs = sorted((CORPUS / name).iterdir())
    assert len(inputs) >= 5
    for file in inputs:
        try:
            TARGETS[name](file.read_bytes())
        except Exception as error:
            error.add_note(str(file))
            raise


def test_every_corpus_has_a_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
