"""The `popreel` command: declarations only. What each does stands in popreel/commands/, imported when it runs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from foundation.errors import PopreelError, SettingsError
from popreel.commands.context import Context, make_context

app = typer.Typer(
    name="popreel",
    help="Short video, delivered and recommended at the edge: the whole platform on one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts.")]


@app.callback()
def _prepare(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Settings (TOML); default: popreel.toml of this folder, if there is one.")
    ] = None,
) -> None:
    context.obj = config


def _context(context: typer.Context) -> Context:
    return make_context(context.obj)


def _print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


@app.command()
def up(
    context: typer.Context,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once everything is ready.")] = False,
) -> None:
    """Start everything; in the foreground until Ctrl-C."""
    from popreel.commands.up import up_detached, up_foreground

    (up_detached if detach else up_foreground)(_context(context))


@app.command()
def down(
    context: typer.Context,
    wipe: Annotated[
        bool, typer.Option("--wipe", help="Also remove the data folder: videos, users, everything.")
    ] = False,
) -> None:
    """Stop everything that `up` started."""
    from popreel.commands.down import down as bring_down

    bring_down(_context(context), wipe=wipe)


@app.command()
def status(context: typer.Context, json: JsonFlag = False) -> None:
    """Show processes, ports, memory, the job queue and the PoPs."""
    from popreel.commands.status import gather_status, print_status

    known = _context(context)
    found = asyncio.run(gather_status(known))
    _print_json(found) if json else print_status(known, found)


@app.command()
def token(context: typer.Context, user: Annotated[str, typer.Argument(help="User name; made if new.")]) -> None:
    """Print an access token (15 minutes) of a user of this installation."""
    from popreel.commands.token import access_token

    sys.stdout.write(asyncio.run(access_token(_context(context), user)) + "\n")


@app.command()
def doctor(context: typer.Context, json: JsonFlag = False) -> None:
    """Explain what is missing on this machine and how to mend it."""
    from popreel.commands.doctor import Verdict, examine, print_findings

    known = _context(context)
    findings = examine(known)
    _print_json(findings) if json else print_findings(known.out, findings)
    if any(finding.verdict is Verdict.BROKEN for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed (stderr says why), 2 unusable settings or arguments, 130 Ctrl-C."""
    try:
        app(standalone_mode=True)
    except SettingsError as err:
        sys.stderr.write(f"popreel: {err.detail}\n")
        raise SystemExit(2) from None
    except PopreelError as err:
        sys.stderr.write(f"popreel: {err.detail}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
