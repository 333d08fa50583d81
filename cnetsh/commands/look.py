"""Looking at a target: checks, status, doctor, the live picture, and commands inside it."""

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cnetsh import checks as checking
from cnetsh.apply import journal
from cnetsh.commands.act import build_sandbox, guarded, inside
from cnetsh.commands.output import write
from cnetsh.commands.progress import say, visible_lines
from cnetsh.compare import snapshot
from cnetsh.compare.preview import preview
from cnetsh.compare.reliance import relied_on
from cnetsh.compare.scope import scope_of
from cnetsh.errors import DONE, FAILED, REFUSED, CnetshError
from cnetsh.labs import choose
from cnetsh.plan.steps import Plan
from cnetsh.system.process import FOLDERS, ask, tool
from cnetsh.system.signals import Stop, release
from cnetsh.targets import target


def check(lab: str, settings: Sequence[str], on: str, as_json: bool) -> int:
    """Check a lab that is up; give the exit code."""
    name = choose.name_of(lab, settings)
    if not target.runs(target.named(on)):
        raise CnetshError(f"{name} is not up", f"cnetsh up {lab}")
    return inside(on, lambda: _check(name, as_json))


def _check(name: str, as_json: bool) -> int:
    from cnetsh.compare import drift

    record = journal.find(name)
    if record is None or not record.same_boot:
        raise CnetshError(f"{name} is not up", f"cnetsh up {name}")
    record.close()
    plan = journal.plan_of(record, "check")
    steps = journal.plan_of(record, "up").steps
    in_force = [steps[number] for number in sorted(record.applied)]
    now = snapshot.take(ask, scope_of(in_force).settings)
    drifted = drift.drift(in_force, now, record.made, ask)
    # Up to here nothing needs an end of its own; the pings do, for they would live on.
    with Stop() as stop:
        run = checking.patient(checking.entering(stop), stop)
        findings = checking.run_checks(plan, run, _quiet if as_json else _tell, stop)
        if stop():
            say(f"stopped after {len(findings)} of {len(plan.steps)} checks")
            return 128 + stop()
    if as_json:
        rows = [
            {"command": one.step.text, "verdict": one.verdict, "detail": one.detail}
            for one in findings
        ]
        print(json.dumps({"lab": name, "checks": rows, "drift": drifted}, indent=1))
    return _summary(name, findings, drifted)


def _summary(name: str, findings: Sequence[checking.Finding], drifted: Sequence[str]) -> int:
    for line in drifted:
        say(f"changed   {line}")
    verdicts = [one.verdict for one in findings]
    failed, untried = verdicts.count("failed"), verdicts.count("not tried")
    say(
        f"{name}: {verdicts.count('ok')} checks ok, {failed} failed, {untried} not tried, "
        f"{len(drifted)} changed"
    )
    return FAILED if failed or drifted else DONE


def _quiet(finding: checking.Finding) -> None:
    """Tell nothing: the findings are printed as JSON in the end."""


def _tell(finding: checking.Finding) -> None:
    if finding.verdict == "look":
        print(f"{finding.step.text}\n{visible_lines(finding.detail.rstrip())}", flush=True)
    else:
        lines = f"{finding.verdict:<9} {finding.step.text}\n{'':9} {finding.detail}"
        print(visible_lines(lines), flush=True)


def plan(
    lab: str, settings: Sequence[str], down: bool, form: str, on: str, output: Path | None
) -> int:
    """Show a plan with what each step would find on the target; give the exit code."""
    from cnetsh.commands import pages

    plans, where = choose.plans(lab, settings), target.named(on)
    text = partial(pages.form_of, plans, down, form)
    if not target.runs(where):
        return _give(text(), output)

    def show() -> int:
        now = snapshot.take(ask, scope_of(plans.up.steps).settings)
        found = journal.find(plans.up.lab)
        record = found if found and found.same_boot else None
        seen = () if down else preview(plans.up.steps, now, record.made if record else {})
        return _give(text(seen, relied_on(plans.up, now, journal.standing(record))), output)

    return target.in_target(where, guarded(show))


def _give(text: str, output: Path | None) -> int:
    if output:
        write(text, output)
    else:
        sys.stdout.write(text)
    return DONE


def status(on: str, as_json: bool) -> int:
    """List the labs of a target; give the exit code."""
    where = target.named(on)
    if not target.runs(where):
        return _show_status([], as_json)
    return target.in_target(where, guarded(lambda: _status(as_json)))


def _status(as_json: bool) -> int:
    rows = []
    for record in journal.all_here():
        record.close()
        state = "up" if record.up else "interrupted"
        rows.append(
            {
                "lab": record.lab,
                "title": record.header["title"],
                "state": state if record.same_boot else "gone by reboot",
                "started": record.header["started"],
                "containers": [key[6:] for key in record.made if key.startswith("netns ")],
            }
        )
    return _show_status(rows, as_json)


def _show_status(rows: Sequence[dict[str, Any]], as_json: bool) -> int:
    if as_json:
        print(json.dumps(rows, indent=1))
        return DONE
    for row in rows:
        names = row["containers"]
        more = f" ... {len(names)} in all" if len(names) > 6 else ""
        print(f"{row['lab']:<12} {row['state']:<12} {' '.join(names[:6])}{more}")
    if not rows:
        say("no lab is up")
    return DONE


def doctor(lab: str, settings: Sequence[str], on: str, as_json: bool) -> int:
    """Tell what stands in a lab's way on a target; give 2 when it would be refused."""
    plan, where = choose.part(lab, settings, "up") if lab else None, target.named(on)
    try:
        target.ensure(where, guarded(build_sandbox))
    except CnetshError:
        # No sandbox can start: why, is what doctor is asked, and it can tell from here.
        release()
        return _doctor(None, False, as_json)
    return target.in_target(where, guarded(lambda: _doctor(plan, where.kind == "host", as_json)))


def _doctor(plan: Plan | None, on_host: bool, as_json: bool) -> int:
    from cnetsh.doctor import diagnose as doctoring

    findings = doctoring.diagnose(plan, on_host, doctoring.gather(ask, None, plan))
    if as_json:
        print(json.dumps(doctoring.to_json(findings), indent=1))
    else:
        for one in findings:
            print(doctoring.as_text(one))
    if not findings:
        say("nothing stands in the way")
    return REFUSED if doctoring.worst(findings) in ("lacks", "refuse") else DONE


def live_graph(on: str, form: str) -> int:
    """Draw what the kernel of a target has; give the exit code."""
    from cnetsh.views.picture.draw import draw
    from cnetsh.views.picture.network import graph_of

    def show() -> int:
        sys.stdout.write(draw(graph_of("", snapshot.look_everywhere(ask)), form))
        return DONE

    return inside(on, show)


def execute_in(name: str, command: Sequence[str], on: str) -> int:
    """Run a command in a container, or in the target itself; give its exit code."""
    where = target.named(on)
    if not target.runs(where):
        raise CnetshError(f"{where} does not run, so there is no {name}", "cnetsh up LAB starts it")
    return target.in_target(where, guarded(lambda: _execute_in(name, command)))


def _execute_in(name: str, command: Sequence[str]) -> int:
    names = snapshot.namespaces()
    if name != "host" and not names.get(name):
        known = ", ".join(sorted(names)) or "none"
        raise CnetshError(f"there is no container {name}", f"there are: {known}")
    path = f"{os.environ.get('PATH', '')}:{':'.join(FOLDERS)}"
    argv = list(command) if name == "host" else [tool("ip"), "netns", "exec", name, *command]
    sys.stdout.flush()
    with contextlib.suppress(FileNotFoundError):
        os.execvpe(argv[0], argv, {**os.environ, "PATH": path})
    raise CnetshError(f"there is no command {command[0]}", code=127)
