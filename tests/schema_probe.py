"""Schemathesis against a running service, by the document it publishes: every check it has, on every operation.

It runs as a process of its own (`schemathesis run`), as anybody would run it: what it finds holds for any client.
Used by the tests with few examples and a fixed seed, and by `python -m bench.contract` with many.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_ACCEPTED = ("2xx", "3xx", "401", "403", "404", "409", "429", "5xx")  # as Schemathesis has it
_REFUSED = ("400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx")  # and 413
_HOOKS = Path(__file__).with_name("schema_hooks.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a run knows of the service.

    `bearers` by security scheme of the document ("user", "operator"). `known` gives values of path parameters and
    members that exist, so that half of the requests reach something: without them nearly all answers were 404.
    `sacrifices` gives bearers of operations that end the account or session they are called with.
    """

    url: str
    bearers: Mapping[str, str] = field(default_factory=dict, repr=False)
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sacrifices: Mapping[str, str] = field(default_factory=dict, repr=False)
    also_refused_with: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Statuses by operationId for rules no JSON Schema says (one header excludes another); each needs a reason."""
    examples: int = 4
    seed: int = 1
    phases: str = "examples,coverage,fuzzing,stateful"
    workers: int = 1
    max_time_s: int | None = None


def settings_of(probe: Probe) -> str:
    """schemathesis.toml. Values are JSON strings, which TOML reads as they are."""
    lines = [f"hooks = {json.dumps(str(_HOOKS))}", "[generation]", 'database = "none"', "allow-x00 = true"]
    lines += ["[checks]", f"negative_data_rejection.expected-statuses = {json.dumps(_REFUSED)}"]
    for scheme, bearer in probe.bearers.items():
        lines += [f"[auth.openapi.{scheme}]", f"bearer = {json.dumps(bearer)}"]
    for name, values in probe.known.items():
        lines += [f"[dictionaries.{_word(name)}]", f"values = {json.dumps(list(values))}"]
    lines.append("[parameters]")
    lines += [
        f"{json.dumps(name)} = {{ dictionary = {json.dumps(_word(name))}, probability = 0.5 }}" for name in probe.known
    ]
    for operation, statuses in probe.also_refused_with.items():
        lines += ["[[operations]]", f"include-operation-id = {json.dumps(operation)}", "[operations.checks]"]
        lines += [f"positive_data_acceptance.expected-statuses = {json.dumps([*_ACCEPTED, *statuses])}"]
        lines += [f"negative_data_rejection.expected-statuses = {json.dumps([*_REFUSED, *statuses])}"]
        lines += [f"missing_required_header.expected-statuses = {json.dumps([*_REFUSED, *statuses])}"]
    return "\n".join(lines) + "\n"


def _word(name: str) -> str:
    return name.replace(".", "-")


async def run_probe(probe: Probe, folder: Path) -> str:
    """Run it; returns its report. Raises AssertionError with the report if any check failed."""
    config = folder / "schemathesis.toml"
    await asyncio.to_thread(config.write_text, settings_of(probe))
    limits = [] if probe.max_time_s is None else ["--max-time", str(probe.max_time_s)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{probe.url}/openapi.json"),
        *("--checks", "all", "--phases", probe.phases, "--max-examples", str(probe.examples)),
        *("--seed", str(probe.seed), "--workers", str(probe.workers), "--continue-on-failure", "--no-color", *limits),
        cwd=folder,
        env={**os.environ, "POPREEL_PROBE_SACRIFICES": json.dumps(dict(probe.sacrifices))},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    report = out.decode(errors="replace")
    assert process.returncode == 0, report[-60_000:]
    return report
