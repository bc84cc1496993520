import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.log import JsonFormatter, TerminalFormatter, configure


def record(message: str = "session ended", *, level: int = logging.INFO, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("playclock.engine", level, __file__, 1, message, None, None)
    made.created = datetime(2026, 11, 20, 12, 0, 0, 123_456, UTC).timestamp()
    made.fields = fields
    return made


def failed() -> logging.LogRecord:
    made = record("it failed", level=logging.ERROR)
    try:
        int("two\nlines")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_a_json_line_has_time_level_logger_message_and_fields() -> None:
    assert list(json.loads(JsonFormatter().format(record(session="gs_1", seconds=5))).items()) == [
        ("time", "2026-11-20T12:00:00.123Z"),
        ("level", "info"),
        ("logger", "playclock.engine"),
        ("message", "session ended"),
        ("session", "gs_1"),
        ("seconds", 5),
    ]


def test_a_field_does_not_take_the_place_of_the_message() -> None:
    entry = json.loads(JsonFormatter().format(record(exception="none", time=1)))
    assert entry["time"] == "2026-11-20T12:00:00.123Z"
    assert (entry["exception_"], entry["time_"]) == ("none", 1)


def test_a_record_without_fields_is_a_line_too() -> None:
    plain = logging.LogRecord("uvicorn.error", logging.WARNING, __file__, 1, "%s of %s", ("one", "two"), None)
    assert json.loads(JsonFormatter().format(plain))["message"] == "one of two"
    assert TerminalFormatter().format(plain).endswith("uvicorn.error: one of two")


def test_an_exception_stays_on_the_json_line() -> None:
    line = JsonFormatter().format(failed())
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith(r"invalid literal for int() with base 10: 'two\nlines'")
    assert "Traceback (most recent call last):\n" in json.loads(line)["exception"]


def test_people_see_the_traceback_below_the_line() -> None:
    first, second, *_ = TerminalFormatter().format(failed()).split("\n")
    assert first == "12:00:00 \x1b[31merror\x1b[0m playclock.engine: it failed"
    assert second == "Traceback (most recent call last):"


def test_people_see_fields_behind_the_message() -> None:
    assert TerminalFormatter().format(record(session="gs_1")) == "12:00:00 info playclock.engine: session ended session=gs_1"


def test_strangers_cannot_start_a_line_or_command_the_terminal() -> None:
    line = TerminalFormatter().format(record("a\nb\x1b[2J", user="\u2028c\ud800"))
    assert line == r"12:00:00 info playclock.engine: a\nb\x1b[2J user=\u2028c\ud800"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(object()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(st.text(st.characters()), st.dictionaries(st.text(st.characters()), ANYTHING))
def test_whatever_is_logged_is_one_line_of_strict_json(message: str, fields: dict[str, object]) -> None:
    made = logging.LogRecord("x", logging.INFO, __file__, 1, "%s", (message,), None)
    made.fields = fields
    line = JsonFormatter().format(made)
    assert re.fullmatch(r"[\x20-\x7e]+", line)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(line, parse_constant=refuse)["message"] == message


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.usefixtures("root_logger")
def test_stderr_gets_json_lines_from_the_level_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    configure("warning")
    logging.getLogger("playclock.test").info("not this")
    logging.getLogger("playclock.test").warning("this", extra={"fields": {"n": 1}})
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["n"] == 1


@pytest.mark.usefixtures("root_logger")
def test_a_terminal_gets_readable_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    configure("info")
    logging.getLogger("playclock.test").info("hello")
    assert re.fullmatch(r"\d\d:\d\d:\d\d info playclock\.test: hello\n", stream.getvalue())


@pytest.mark.usefixtures("root_logger")
def test_fields_of_the_process_are_in_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", json_lines=True, always={"worker": 3})
    logging.getLogger("playclock").info("it began")
    configure("info", json_lines=False, always={"worker": 3})
    logging.getLogger("playclock").info("it began")
    first, second = capsys.readouterr().err.splitlines()
    assert json.loads(first)["worker"] == 3
    assert second.endswith("playclock: it began worker=3")
