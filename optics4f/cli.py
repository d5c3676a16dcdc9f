"""The command ``optics4f``: the sub-commands of every folder, and one place that turns errors into sentences.

Each folder names a function ``register(app)`` in the entry-point group ``optics4f.commands``, so that nothing
imports upward. These functions import heavy libraries only when their command runs.
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import Any

import typer
from typer.core import TyperGroup

from ._version import __version__
from .extras import MissingExtraError

GROUP = "optics4f.commands"
EXPECTED = (
    ValueError,
    TypeError,
    OSError,
    FloatingPointError,
    MissingExtraError,
)  # pint.DimensionalityError is a TypeError


class Commands(TyperGroup):
    """The group of all commands: the one place where an error becomes a sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; exit with 2 after an expected error and with 130 after an interruption."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("interrupted: nothing half-written", err=True)
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader of a pipe has left; typer ends quietly
            raise
        except EXPECTED as error:
            if os.environ.get("OPTICS4F_DEBUG") == "1":
                raise
            typer.echo(f"optics4f: {sentence(error)}", err=True)
            raise typer.Exit(2) from None


def sentence(error: BaseException) -> str:
    """One line that says what is wrong, for a person.

    Example:
        >>> sentence(FileNotFoundError(2, "No such file or directory", "stamps.csv"))
        'stamps.csv: no such file or directory.'
    """
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror[0].lower()}{error.strerror[1:]}."
    return " ".join(str(error).split()) or type(error).__name__


def build() -> typer.Typer:
    """The application with the commands of every installed entry point."""
    app = typer.Typer(
        cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback()(_options)
    for entry in sorted(entry_points(group=GROUP)):
        try:
            register = entry.load()
        except ImportError as error:  # one broken folder must not take the other commands away
            typer.echo(f"optics4f: the command {entry.name!r} is left out: {sentence(error)}", err=True)
            continue
        register(app)
    return app


def main() -> None:
    """Entry point of the command ``optics4f``."""
    build()()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"optics4f {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Design, time and export optical 4f systems that compute a linear CNN with light.

    Lengths, times and rates are given with their unit, e.g. "532 nm" or "0.28 ms".
    An error is one sentence and exit code 2; set OPTICS4F_DEBUG=1 to see where it came from.
    """


if __name__ == "__main__":
    main()
