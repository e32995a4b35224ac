"""The `popreel` command: declarations only. What each does stands in popreel/commands/, imported when it runs."""

from __future__ import annotations

import asyncio
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from foundation.errors import PopreelError, SettingsError
from popreel.client.upload import Visibility
from popreel.commands.context import Context, make_context

app = typer.Typer(
    name="popreel",
    help="Short video, delivered and recommended at the edge: the whole platform on one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
shards_app = typer.Typer(help="Where the logical shards of the database are, and moving them.", no_args_is_help=True)
app.add_typer(shards_app, name="shards")
sounds_app = typer.Typer(help="The sound library that clips may use.", no_args_is_help=True)
app.add_typer(sounds_app, name="sounds")


class ShardFamily(StrEnum):
    VIDEO = "video"
    USER = "user"


OriginConfig = Annotated[
    Path | None,
    typer.Option(help="The origin's settings (TOML); default: those of this folder's installation.", exists=True),
]
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
def upload(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Videos of any kind a phone makes.")],
    as_user: Annotated[str, typer.Option("--as", help="User name; made if new.")] = "demo",
    title: Annotated[str, typer.Option(help="Title; default: the file's name.")] = "",
    description: Annotated[str, typer.Option(help="Description.")] = "",
    hashtags: Annotated[str, typer.Option(help="Hashtags, separated by commas.")] = "",
    visibility: Annotated[Visibility, typer.Option(help="Who may see it.")] = Visibility.PUBLIC,
    sound: Annotated[str | None, typer.Option(help="Id of a library sound; --edits says how it is mixed.")] = None,
    partner: Annotated[str | None, typer.Option(help="Id of the other video of a duet or stitch.")] = None,
    edits: Annotated[
        str | None, typer.Option(help='Edits as JSON, or @FILE: {"sound": {"originalVolume": 0.5}}.')
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Upload videos and wait until they play; fails unless every one is ready."""
    from packager.cli import read_edits
    from popreel.client.upload import Description
    from popreel.commands.upload import print_outcomes, upload_files

    known = _context(context)
    words = tuple(word.strip().lstrip("#") for word in hashtags.split(",") if word.strip())
    described = Description(
        title=title,
        description=description,
        hashtags=words,
        visibility=visibility,
        music_id=sound,
        partner_id=partner,
        edits=read_edits(edits) if edits is not None else None,
    )
    outcomes = asyncio.run(upload_files(known, files, user=as_user, description=described, quiet=json))
    _print_json(outcomes) if json else print_outcomes(known.out, outcomes)
    if not all(outcome.ready for outcome in outcomes):
        raise typer.Exit(1)


@sounds_app.command("add")
def add_sound(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="MP3, WAV, FLAC, Ogg, M4A, or a video.", exists=True, dir_okay=False)],
    title: Annotated[str, typer.Option(help="Title; default: the file's name.")] = "",
    artist: Annotated[str, typer.Option(help="Artist.")] = "",
    licence: Annotated[str, typer.Option(help="free or licensed.")] = "free",
    sound_id: Annotated[str | None, typer.Option("--id", help="Give the file to this sound instead.")] = None,
    json: JsonFlag = False,
) -> None:
    """Put a file into the sound library and wait until clips can use it."""
    from popreel.commands.sound import add_sound as add

    known = _context(context)
    sound = asyncio.run(add(known, file, title=title, artist=artist, licence=licence, sound_id=sound_id))
    _print_json(sound) if json else known.out.print(
        f"ready {sound.title} -> {sound.id} ({sound.duration_ms / 1000:.1f} s)", soft_wrap=True, markup=False
    )


@app.command()
def token(context: typer.Context, user: Annotated[str, typer.Argument(help="User name; made if new.")]) -> None:
    """Print an access token (15 minutes) of a user of this installation."""
    from popreel.commands.token import access_token

    sys.stdout.write(asyncio.run(access_token(_context(context), user)) + "\n")


@app.command()
def package(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A video.", exists=True, dir_okay=False)],
    outdir: Annotated[Path, typer.Argument(help="Folder for the package; made if missing.", file_okay=False)],
    edits: Annotated[
        str | None, typer.Option(help='Edits as JSON, or @FILE: {"trimStartMs": 500, "speed": 1.5, "look": "noir"}.')
    ] = None,
    sound: Annotated[Path | None, typer.Option(help="Sound file of edits.sound.", exists=True, dir_okay=False)] = None,
    partner: Annotated[
        Path | None, typer.Option(help="Other clip of a duet or stitch.", exists=True, dir_okay=False)
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Make a fast-starting adaptive HLS package of one file; needs no running platform."""
    from popreel.commands.package import package_file

    manifest = asyncio.run(
        package_file(_context(context).out, file, outdir, quiet=json, edits=edits, sound=sound, partner=partner)
    )
    if json:
        _print_json(manifest)


@app.command()
def edge(
    origin: Annotated[list[str], typer.Option(help="URL of the origin; again for further ones to fail over to.")],
    listen: Annotated[str, typer.Option(help="HOST:PORT.")] = "127.0.0.1:9000",
    cache_dir: Annotated[
        Path | None, typer.Option(help="Folder of the disk tier; without it, memory only.", file_okay=False)
    ] = None,
    ram: Annotated[str, typer.Option(help="Size of the memory tier, of each worker.")] = "256MiB",
    disk: Annotated[str, typer.Option(help="Size of the disk tier.")] = "20GiB",
    workers: Annotated[int, typer.Option(help="Processes that share port and disk.", min=1, max=256)] = 1,
    admin: Annotated[str | None, typer.Option(help="HOST:PORT of purges and metrics; worker n takes PORT + n.")] = None,
) -> None:
    """Run the delivery cache alone, in front of any origin."""
    from edge.delivery.standalone import parse_size, run_edge

    code = run_edge(
        origins=origin,
        listen=listen,
        cache_dir=cache_dir,
        ram_bytes=parse_size(ram),
        disk_bytes=parse_size(disk),
        workers=workers,
        admin=admin,
    )
    raise typer.Exit(code)


@app.command("cache-sim")
def cache_sim(
    trace: Annotated[
        Path | None,
        typer.Argument(help="Lines of time,key,size; default: a synthetic short-video trace.", exists=True),
    ] = None,
    requests: Annotated[int, typer.Option(help="Length of the synthetic trace.", min=1000)] = 400_000,
) -> None:
    """Compare the cache's policies with others on a trace: miss ratios by object, byte and prefix."""
    from edge.delivery.simulation.report import run_cache_sim

    run_cache_sim(trace, requests=requests)


@app.command()
def train(
    context: typer.Context,
    catalogue: Annotated[Path | None, typer.Option(help="Catalogue snapshot, NDJSON.", exists=True)] = None,
    events: Annotated[Path | None, typer.Option(help="Watch events, NDJSON or .parquet.", exists=True)] = None,
    export: Annotated[
        Path | None, typer.Option(help="Only write catalogue and events (Parquet) into this folder.", file_okay=False)
    ] = None,
    current: Annotated[str, typer.Option(help="Release to beat; default: the one shipped.")] = "",
    seed: Annotated[int, typer.Option(help="The same log and seed give the same release.")] = 1,
) -> None:
    """Train the feed's model on what was watched here (or on two files); write it if it passes the gates."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: many small solves, slower on several threads
    from popreel.commands.train import export_log, export_parquet
    from popreel.commands.train import train as make

    known = _context(context)
    if (catalogue is None) != (events is None):
        raise typer.BadParameter("give both --catalogue and --events, or none")
    if catalogue is None or events is None:
        catalogue, events = asyncio.run(export_log(known, export or known.folder.scratch / "training"))
    if export is not None:
        known.out.print(export_parquet(catalogue, events, export), soft_wrap=True, markup=False)
        return
    release = make(catalogue=catalogue, events=events, current=current, seed=seed)
    _print_json(release.report)
    if release.directory is None:
        known.out.print(f"{release.name} did not pass the gates and is not kept")
        raise typer.Exit(1)
    known.out.print(
        f"{release.directory}; to try it on a twentieth of the viewers: popreel model canary {release.name}",
        soft_wrap=True,
        markup=False,
    )


model_app = typer.Typer(
    help="Releases of the feed's model: which one serves, which one is tried.", no_args_is_help=True
)
app.add_typer(model_app, name="model")


@model_app.command("list")
def model_list(context: typer.Context) -> None:
    """Releases in the registry, newest first."""
    from popreel.commands.model import releases

    _print_json(asyncio.run(releases(_context(context))))


@model_app.command("status")
def model_status(context: typer.Context, json: JsonFlag = False) -> None:
    """What serves, what is tried, and how its viewers fare over all PoPs."""
    from popreel.commands.model import print_rollout, rollout

    known = _context(context)
    view = asyncio.run(rollout(known))
    _print_json(view) if json else print_rollout(known, view)


@model_app.command("upload")
def model_upload(context: typer.Context, name: str) -> None:
    """Put a release that `popreel train` made here into the registry."""
    from popreel.commands.model import upload

    _print_json(asyncio.run(upload(_context(context), name)))


@model_app.command("canary")
def model_canary(
    context: typer.Context,
    name: str,
    share: Annotated[float, typer.Option(help="Of the viewers; raising it keeps who is in.", min=0, max=1)] = 0.05,
    shadow: Annotated[bool, typer.Option(help="Serve nobody: only compare its lists.")] = False,
) -> None:
    """Try a release on a share of the viewers of every PoP; harm ends it by itself. What serves stays."""
    from popreel.commands.model import print_rollout, rollout, wish

    known = _context(context)
    serving = asyncio.run(rollout(known)).rollout.serving
    print_rollout(known, asyncio.run(wish(known, serving=serving, candidate=name, share=share, shadow=shadow)))


@model_app.command("promote")
def model_promote(context: typer.Context, name: str) -> None:
    """Serve a release to everybody, at every PoP."""
    from popreel.commands.model import print_rollout, wish

    known = _context(context)
    print_rollout(known, asyncio.run(wish(known, serving=name)))


@model_app.command("rollback")
def model_rollback(
    context: typer.Context,
    to: Annotated[str, typer.Option(help="Release to go back to; default: what the settings say.")] = "",
) -> None:
    """End the trial and serve an earlier release (or what the settings say)."""
    from popreel.commands.model import print_rollout, wish

    known = _context(context)
    print_rollout(known, asyncio.run(wish(known, serving=to)))


@app.command()
def simulate(
    context: typer.Context,
    seeds: Annotated[int, typer.Option(help="Worlds.", min=1, max=10)] = 4,
    viewers: Annotated[int, typer.Option(help="Viewers in each.", min=10)] = 600,
    html: Annotated[Path | None, typer.Option(help="Also write a page with charts.", dir_okay=False)] = None,
) -> None:
    """Play simulated viewers against feed policies and compare them, with intervals over worlds (minutes)."""
    from popreel.commands.simulate import simulate as run

    run(_context(context).out, seeds=seeds, viewers=viewers, html=html)


@app.command()
def demo(context: typer.Context, json: JsonFlag = False) -> None:
    """Fill the platform: users, real clips out of installable packages, likes."""
    from popreel.commands.demo import print_demo, run_demo

    known = _context(context)
    result = asyncio.run(run_demo(known, quiet=json))
    _print_json(result) if json else print_demo(known.out, result)
    if not result.complete:
        raise typer.Exit(1)


@shards_app.command("list")
def shards_list(context: typer.Context, origin_config: OriginConfig = None, json: JsonFlag = False) -> None:
    """Show which Postgres server holds which logical shards."""
    from popreel.commands.shards import list_shards, origin_settings, print_shards

    known = _context(context)
    found = asyncio.run(list_shards(origin_settings(known, origin_config)))
    _print_json(found) if json else print_shards(known, found)


@shards_app.command("move")
def shards_move(
    context: typer.Context,
    family: Annotated[ShardFamily, typer.Option(help="What the shards hold.")],
    shards: Annotated[str, typer.Option(help='Ranges of logical shards, such as "0-15,40".')],
    to: Annotated[str, typer.Option(help="Name of a server in the origin's settings.")],
    origin_config: OriginConfig = None,
) -> None:
    """Move logical shards to another server while everything runs; run it again if it was stopped."""
    from popreel.commands.shards import move_shards, origin_settings

    known = _context(context)
    asyncio.run(move_shards(known, origin_settings(known, origin_config), family.value, shards, to))


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
    except OSError as err:
        sys.stderr.write(f"popreel: {err}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
