"""The command `playclock`, also as `python -m playclock`."""

from playclock.cli.main import playclock


def main() -> None:
    """Run the command line and exit with its status."""
    playclock(prog_name="playclock")


if __name__ == "__main__":
    main()
