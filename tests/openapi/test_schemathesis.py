"""A short, seeded run of Schemathesis with all its checks; scripts/schemathesis is a long one."""

import pytest

from tests.openapi.run import run


@pytest.mark.timeout(300)
def test_every_answer_is_as_the_openapi_document_says() -> None:
    code, printed, log = run("--max-examples", "8", "--seed", "20260101", timeout_sec=240)
    assert code == 0, printed
    assert "Operations:       32 selected / 32 total" in printed
    assert '"level": "error"' not in log
