"""Failures that were to be expected: a sentence on stderr and an exit code, never a traceback."""

import click


class Failure(click.ClickException):
    """What was asked for could not be done. Exit code 1."""

    exit_code = 1


class UsageFailure(click.ClickException):
    """The command line, a variable or a file must be mended first. Exit code 2."""

    exit_code = 2
