"""How the steps of a demo are told: to people, or to programs."""

import json
from typing import Any, Protocol

import click
import msgspec

from playclock.cli.rest import Answer
from playclock.log import visible


class Step(msgspec.Struct, frozen=True):
    """One call, what it is for, and what was answered. The headers are left out: they hold secrets."""

    sentence: str
    method: str
    path: str
    request: dict[str, Any]
    answer: Answer


class Telling(Protocol):
    """Tells a demo as it goes on."""

    def step(self, step: Step) -> None:
        """Tell a call."""

    def say(self, sentence: str) -> None:
        """Tell what happens between the calls."""


class Narrator:
    """Tells people, with colours where there is a terminal."""

    def __init__(self) -> None:
        self._steps = 0

    def step(self, step: Step) -> None:
        """Tell a call."""
        self._steps += 1
        colour = "green" if step.answer.status < 400 else "yellow"
        call = click.style(f"> {step.method} {step.path}", fg="cyan")
        answered = click.style(f"< {step.answer.status}", fg=colour)
        click.echo(f"\n{click.style(f'{self._steps}. {step.sentence}', bold=True)}")
        click.echo(f"   {call} {visible(json.dumps(step.request))}")
        click.echo(f"   {answered} {visible(json.dumps(step.answer.body))}")

    def say(self, sentence: str) -> None:
        """Tell what happens between the calls."""
        click.echo(f"\n   ... {sentence}")


class Recorder:
    """Writes JSON lines."""

    def step(self, step: Step) -> None:
        """Write a call."""
        call = {"step": step.sentence, "method": step.method, "path": step.path, "request": step.request}
        click.echo(json.dumps(call | {"status": step.answer.status, "answer": step.answer.body}))

    def say(self, sentence: str) -> None:
        """Write what happens between the calls."""
        click.echo(json.dumps({"step": sentence}))
