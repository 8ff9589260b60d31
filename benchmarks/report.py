"""The findings as a table to read."""

import os
import platform
import subprocess
from pathlib import Path
from statistics import median

from tasks import OURS, SIZES, TARGETS, TARGETS_NOTE, TASKS, Faster, Figure, Level, Seconds

_COLUMNS = (
    "episodes/providers",
    "",
    "best s",
    "median s",
    "best CPU s",
    "memory MB",
    "ratio",
    "CPU ratio",
    "distance",
)


def machine():
    """Return what decides speed, and nothing that names the machine."""
    return {
        "processor": _processor(),
        "cores": f"{os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
    }


def commit():
    """Return the state of the source that is measured; `-dirty` where more than results changed."""
    described = _git("describe", "--always")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":!results")
    return f"{described}-dirty" if changed else described or "unknown"


def _git(*words):
    command = ["git", "-C", str(Path(__file__).parent), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def as_markdown(findings):
    parts = [_head(findings)]
    parts += [_task(name, findings["rows"]) for name in TASKS if _of(findings["rows"], name)]
    parts += [_linearity(findings["rows"]), _targets(findings["rows"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(findings):
    where = ", ".join(str(one) for one in findings["machine"].values())
    versions = ", ".join(f"{name} {one}" for name, one in findings["versions"].items())
    return (
        f"# Benchmark of {findings['date']}\n\n"
        f"{where}; one thread. {versions}.\n\n"
        "Whole calls, from a pandas frame to estimates with standard errors; p = 30 covariates, "
        "rows in no order. Entrants took turns; a ratio is an entrant's best time over riskadj's "
        "in this run, and holds within this run only. CPU time is the same ratio where nobody "
        "else is at work, and the fairer one elsewhere. Memory is the peak of the call beyond "
        "what the process held before it. Distance from riskadj: the negative log-likelihood at "
        "the entrant's answer less that at riskadj's, both by benchmarks/objective.py; above 0, "
        "riskadj's answer is the better one."
    )


def _task(name, rows):
    lines = [
        f"## {TASKS[name].title}",
        TASKS[name].note,
        _table(
            _COLUMNS,
            [_line(row, _ours(rows, row)) for row in _of(rows, name)],
        ),
    ]
    return "\n\n".join(lines)


def _line(row, ours):
    size = "{:,}/{:,}".format(*SIZES[row["size"]])
    if not row["seconds"]:
        return (size, row["entrant"], row["left_out"], *[""] * (len(_COLUMNS) - 3))
    memory = "" if row["memory_mb"] is None else f"{row['memory_mb']:,.0f}"
    times = (min(row["seconds"]), median(row["seconds"]), min(row["cpu_seconds"]))
    stopped = f" (then: {row['left_out']})" if row["left_out"] else ""
    return (
        size,
        row["entrant"] + stopped,
        *map("{:.3f}".format, times),
        memory,
        *_against(row, ours),
    )


def _against(row, ours):
    if ours is None or not ours["seconds"]:
        return ("", "", "")
    if row is ours:
        return ("1", "1", "")
    ratios = (f"{_ratio(row, ours):.1f}", f"{_ratio(row, ours, 'cpu_seconds'):.1f}")
    if row["objective"] is None or ours["objective"] is None:
        return (*ratios, "")
    # Rounding may leave a minus before a zero; adding zero takes it away.
    return (*ratios, f"{round(row['objective'] - ours['objective'], 4) + 0.0:+.4f}")


def _linearity(rows):
    lines = [
        (task.title, f"{SIZES[row['size']][0]:,}", f"{_per_million(row):.3f}")
        for name, task in TASKS.items()
        for row in _of(rows, name)
        if row["entrant"] == OURS and row["seconds"] and task.yardstick
    ]
    if not lines:
        return ""
    head = "## Cost per episode\n\nriskadj's least CPU time; level when cost is linear in episodes."
    return head + "\n\n" + _table(("", "episodes", "CPU s per million"), lines)


def _targets(rows):
    """Return each target beside what was measured; one that was not says so."""
    lines = [_target(one, rows) for one in TARGETS]
    head = ("", "episodes/providers", "target", "measured", "")
    return f"## Targets\n\n{TARGETS_NOTE}\n\n{_table(head, lines)}"


def _target(one, rows):
    wanted, measure = _KINDS[type(one)]
    measured, reached = measure(one, rows)
    size = getattr(one, "size", None)
    where = "{:,}/{:,}".format(*SIZES[size]) if size else "all"
    return TASKS[one.task].title, where, wanted(one), measured, _VERDICTS[reached]


def _at(one, rows):
    """Return the rows of a task and size by entrant."""
    return {row["entrant"]: row for row in _of(rows, one.task) if row["size"] == one.size}


def _faster(one, rows):
    at = _at(one, rows)
    ours, theirs = at.get(OURS), at.get(one.entrant)
    if ours is None or theirs is None or not ours["seconds"]:
        return "not measured", ()
    if not theirs["seconds"]:
        return f"not measured: {theirs['left_out']}", ()
    ratio, cpu = _ratio(theirs, ours), _ratio(theirs, ours, "cpu_seconds")
    reached = ratio >= one.at_least, cpu >= one.at_least
    return f"{ratio:.1f} x ({cpu:.1f} x in CPU time)", reached


def _seconds(one, rows):
    ours = _at(one, rows).get(OURS)
    if ours is None or not ours["seconds"]:
        return "not measured", ()
    best, cpu = min(ours["seconds"]), min(ours["cpu_seconds"])
    return f"{best:.3f} s ({cpu:.3f} s in CPU time)", (best <= one.at_most, cpu <= one.at_most)


def _figure(one, rows):
    figure = _at(one, rows).get(OURS, {}).get("figure")
    if figure is None:
        return "not measured", ()
    return f"{figure:.4f}", (figure <= one.at_most,)


def _level(one, rows):
    ours = [row for row in _of(rows, one.task) if row["entrant"] == OURS and row["seconds"]]
    if len(ours) < 2:
        return "not measured", ()
    each = {SIZES[row["size"]][0]: _per_million(row) for row in ours}
    growth = each[max(each)] / min(each.values())
    told = ", ".join(f"{each[n]:.2f} at {n / 1e6:g}M" for n in sorted(each))
    return f"{growth:.2f} x (CPU s per million: {told})", (growth <= one.at_most,)


# By whether a target is reached: in time and in CPU time, in the one figure there is, or unknown.
_VERDICTS = {
    (): "",
    (True,): "reached",
    (False,): "MISSED",
    (True, True): "reached",
    (True, False): "reached, MISSED in CPU time",
    (False, True): "MISSED, reached in CPU time",
    (False, False): "MISSED",
}
_KINDS = {
    Faster: (lambda one: f"at least {one.at_least:g} x {one.entrant}", _faster),
    Seconds: (
        lambda one: f"at most {one.at_most:g} s" + (f" ({one.of})" if one.of else ""),
        _seconds,
    ),
    Figure: (lambda one: f"{one.of} at most {one.at_most:g}", _figure),
    Level: (lambda one: f"level cost per episode, at most {one.at_most:g} x", _level),
}


def _ratio(row, ours, of="seconds"):
    return min(row[of]) / min(ours[of])


def _per_million(row):
    return min(row["cpu_seconds"]) / SIZES[row["size"]][0] * 1e6


def _of(rows, task):
    return [row for row in rows if row["task"] == task]


def _ours(rows, like):
    same = [row for row in _of(rows, like["task"]) if row["size"] == like["size"]]
    return next((row for row in same if row["entrant"] == OURS), None)


def _table(head, lines):
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _processor():
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [one for one in info.read_text().splitlines() if one.startswith("model name")]
        if names:
            return names[0].split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"
