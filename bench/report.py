#!/usr/bin/python3
"""Tables of what was measured, in Markdown: `report.py FILE` of what `run.py --json FILE` has written; or a page with
charts: `report.py FILE --html PAGE`."""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import sys
from pathlib import Path

import rows
import servers

# What the rate and the costs of a kind are called in the runs, and in the tables.
RATE = {"echo": ("messages_per_second", "messages/s"), "deflate": ("messages_per_second", "messages/s"),
        "fanout": ("deliveries_per_second", "deliveries/s"), "churn": ("rounds_per_second", "rounds/s"),
        "latency": ("messages_per_second", "messages/s"), "publish": ("publications_per_second", "publications/s")}
CPU = {"echo": ("server_cpu_us_per_message", "message"), "deflate": ("server_cpu_us_per_message", "message"),
       "fanout": ("server_cpu_us_per_delivery", "delivery"), "churn": ("server_cpu_us_per_round", "round"),
       "latency": ("server_cpu_us_per_message", "message"), "publish": ("server_cpu_us_per_publication", "publication")}
# Kinds without rounds, of which a table is all that there is to show.
TABLES = ("memory", "figure")
# Rounds that others disturbed count only where fewer than this are left.
ENOUGH_ROUNDS = 3


def table(header: list[str], lines: list[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def machine() -> str:
    """What a reader must know of the machine; TCP's congestion control is the servers' one."""
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    first = "before all other programs" if servers.goes_first() else "at the usual priority"
    return (f"{datetime.date.today()}, {model}, {os.cpu_count()} cores, Linux {platform.release()}, "
            f"TCP {control}, servers and load {first}\n")


def unique(values) -> list:
    return list(dict.fromkeys(values))


def median(runs: list[dict], key: str) -> float | None:
    values = [run[key] for run in runs if key in run]
    return statistics.median(values) if values else None


def number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def value_of(run: dict, key: str) -> float | None:
    """"latency_us.p99" is run["latency_us"]["p99"]."""
    found = run
    for part in key.split(".", 1):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def middle(runs: list[dict], key: str) -> float | None:
    """As median(), of a key as value_of() takes it."""
    values = [value for run in runs if (value := value_of(run, key)) is not None]
    return statistics.median(values) if values else None


def paired_ratios(runs: list[dict], ours: str, peer: str, key: str) -> tuple[list[float], bool]:
    """Ours / peer's within each round: what slows the whole machine cancels out. Of undisturbed rounds; true if too few of
    them are left, so that all count."""
    pairs = []
    for one in (run for run in runs if run["server"] == ours):
        for other in (run for run in runs if run["server"] == peer and run["round"] == one["round"]):
            above, below = value_of(one, key), value_of(other, key)
            if above is not None and below:
                pairs.append((above / below, one["disturbed"] or other["disturbed"]))
    quiet = [ratio for ratio, disturbed in pairs if not disturbed]
    few = len(quiet) < min(ENOUGH_ROUNDS, len(pairs))
    return ([ratio for ratio, _ in pairs] if few else quiet), few


def paired_ratio(runs: list[dict], ours: str, peer: str, key: str) -> tuple[float | None, bool]:
    """The median of paired_ratios()."""
    found, few = paired_ratios(runs, ours, peer, key)
    return (statistics.median(found) if found else None), few


def ratio_spread(runs: list[dict], ours: str, peer: str, key: str) -> tuple[float, float]:
    """The least and the most of paired_ratios()."""
    found, _ = paired_ratios(runs, ours, peer, key)
    return min(found, default=0), max(found, default=0)


def mode_of(name: str) -> str | None:
    """Of compression, of a server that says it in its name."""
    return next((mode for mode in ("off", "shared", "dedicated") if mode in re.split("[ -]", name)), None)


def server_pairs(runs: list[dict]) -> list[tuple[str, str]]:
    """Each server of ours and each other one that compresses as it does, then the pool and the loop; without any of
    ours, the first server is the measure."""
    names = unique(run["server"] for run in runs)
    ours = unique(run["server"] for run in runs if run["ours"]) or names[:1]
    pairs = [(one, other) for one in ours for other in names if other not in ours and mode_of(one) == mode_of(other)]
    if "httpd pool" in ours and "httpd inline" in ours:
        return [*pairs, ("httpd pool", "httpd inline")]
    return pairs + [(ours[0], other) for other in ours[1:] if mode_of(ours[0]) == mode_of(other)]


def limit_of(title: str, case: str, pair: tuple[str, str]) -> float | None:
    """What the ratio of the CPU time, of latencies that of the p99, should be at most."""
    group = next((group for group in rows.ALL if group.title == title), None)
    if not group:
        return None
    if pair == ("httpd pool", "httpd inline"):
        return rows.POOL_TO_INLINE if group.kind in ("echo", "deflate") else None
    return group.at_most.get(case) if pair[1] == rows.MEASURE and pair[0] != "httpd pool" else None


def ratios(runs: list[dict], keys: dict[str, str], limited: str) -> str:
    """For each case and pair of servers the ratio of each key, named by its title; `limited` is the key that limit_of() is
    about."""
    pairs = server_pairs(runs)
    lines, marked = [], False
    for case in unique(run["case"] for run in runs):
        of_case = [run for run in runs if run["case"] == case]
        for pair in pairs:
            line = [f"{case}: {pair[0]} / {pair[1]}"]
            for key in keys:
                ratio, disturbed = paired_ratio(of_case, *pair, key)
                marked = marked or disturbed
                line.append(("~" if disturbed else "") + number(ratio, 3))
                if key == limited:
                    line.append(number(limit_of(of_case[0].get("group", ""), case, pair), 2))
            lines.append(line)
    header = ["ratio: median of the rounds"]
    for key, title in keys.items():
        header += [title, "at most"] if key == limited else [title]
    column = header.index("at most")
    if all(line[column] == "-" for line in lines):
        for row in (header, *lines):
            del row[column]
    note = "\n~: others were at work on the server's core in most rounds.\n" if marked else ""
    return "\n" + table(header, lines) + note if lines else ""


def disturbance(runs: list[dict]) -> str:
    disturbed = sum(run["disturbed"] for run in runs)
    return f"\nOthers disturbed {disturbed} of {len(runs)} runs.\n" if disturbed else ""


def grouped(runs: list[dict]):
    for case in unique(run["case"] for run in runs):
        for server in unique(run["server"] for run in runs):
            if of_both := [run for run in runs if run["case"] == case and run["server"] == server]:
                yield case, server, of_both


def spread(runs: list[dict], key: str) -> str:
    return f"{number(min(run[key] for run in runs))} to {number(max(run[key] for run in runs))}"


def measured(runs: list[dict]) -> str:
    """What a message costs and how many there are in a second, and what explains the two."""
    kind = runs[0]["kind"]
    (rate, rate_name), (cpu, unit) = RATE[kind], CPU[kind]
    times = "handshake_us" if kind == "churn" else "latency_us"
    percentiles = [name for name in ("p50", "p99", "p99.9") if any(name in run.get(times, {}) for run in runs)]
    wire = kind == "deflate"
    lines = []
    for case, server, group in grouped(runs):
        latencies = [run[times] for run in group if times in run]
        line = [f"{case}: {server}", number(median(group, cpu), 3), number(median(group, rate)), spread(group, rate),
                number(median(group, "server_cpu_percent")), number(median(group, "client_cpu_percent")),
                *(number(median(latencies, key)) for key in percentiles)]
        if wire:
            held = next((run["memory"]["per_connection"] for run in group if "memory" in run), None)
            line += [number(median(group, "wire_bytes_per_message")), number(median(group, "ratio"), 2), number(held)]
        if kind == "latency":
            line.append(number(statistics.median(run["sent_late_us"]["p99"] for run in group)))
        lines.append(line)
    header = ["case: server", f"server CPU µs/{unit}", rate_name, "least to most", "server CPU %", "client CPU %",
              *(f"{times.removesuffix('_us')} {name} µs" for name in percentiles)]
    if wire:
        header += ["bytes on the wire/message", "plain/wire", "bytes of memory/connection"]
    if kind == "latency":
        header.append("sent late by the load, p99 µs")
    return table(header, lines)


def limited_key(kind: str) -> str:
    """What limit_of() is about."""
    return "latency_us.p99" if kind == "latency" else CPU[kind][0]


def comparison(runs: list[dict]) -> str:
    kind = runs[0]["kind"]
    keys = {CPU[kind][0]: "CPU time (less is better)", RATE[kind][0]: "rate (more is better)"}
    if kind == "latency":
        keys = {"latency_us.p99": "p99 (less is better)", "latency_us.p50": "p50 (less is better)",
                CPU[kind][0]: "CPU time (less is better)"}
    return ratios(runs, keys, limited_key(kind)) + disturbance(runs)


def memory(runs: list[dict]) -> str:
    def kib(value: float) -> str:
        return number(value / 1024)
    lines = [[run["server"], number(run["connections"]), kib(run["before"]), kib(run["with_half"]),
              kib(run["with_all"]), kib(run["after"]), number(run["per_connection"]),
              number(run["per_connection_second_half"])] for run in runs]
    return table(["server", "connections", "before KiB", "with half", "with all", "after",
                  "bytes/connection", "bytes/connection, second half"], lines)


def plain_table(runs: list[dict]) -> str:
    """Of a kind in TABLES."""
    return memory(runs) if runs[0]["kind"] == "memory" else figures(runs)


def figures(runs: list[dict]) -> str:
    """Single ones, which have no peer."""
    def digits(value: float) -> int:
        return 0 if value >= 100 else 2
    return table(["", "value", "unit"], [[run["figure"], number(run["value"], digits(run["value"])), run["unit"]] for run in runs])


def kinds(runs: list[dict]) -> str:
    """What each kind of plugin costs, as docs/performance.md shows it: CPU time, and how many times as much as the kind to
    the left of it."""
    lines = []
    for title in unique(run.get("group", "") for run in runs):
        of_title = [run for run in runs if run.get("group", "") == title]
        if of_title[0]["kind"] not in ("echo", "deflate", "fanout"):
            continue
        key = CPU[of_title[0]["kind"]][0]
        for case in unique(run["case"] for run in of_title):
            of_case = [run for run in of_title if run["case"] == case]
            line = [f"{title}: {case}"]
            for server, left in (("httpd v1", None), ("httpd inline", "httpd v1"), ("httpd pool", "httpd inline")):
                of_server = [run for run in of_case if run["server"] in (server, "httpd broadcast" if left is None else server)]
                cost = median(of_server, key)
                ratio, _ = paired_ratio(of_case, server, left, key) if left else (None, False)
                line.append(number(cost, 2 if cost and cost < 100 else 0) + (f" ({ratio:.2f})" if ratio else ""))
            lines.append(line)
    return table(["CPU µs a message, on one core", "version 1", "version 0, `Inline`", "version 0, `Pool`"], lines)


def text(runs: list[dict]) -> str:
    """All tables, under headings if there are several groups."""
    titles = unique(run.get("group", "") for run in runs)
    parts = []
    for title in titles:
        group = [run for run in runs if run.get("group", "") == title]
        tables = plain_table(group) if group[0]["kind"] in TABLES else measured(group) + comparison(group)
        parts.append((f"## {title}\n\n" if title else "") + tables)
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="of run.py --json")
    parser.add_argument("--html", type=Path, help="write a page with charts there instead")
    parser.add_argument("--kinds", action="store_true", help="only what each kind of plugin costs")
    arguments = parser.parse_args()
    try:
        document = json.loads(arguments.file.read_text())
        runs, about = document["runs"], document["machine"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"report.py: {arguments.file} is not what run.py --json writes: {error}", file=sys.stderr)
        return 1
    if arguments.html:
        import html_report  # which needs this file
        arguments.html.write_text(html_report.page(document))
        return 0
    print(about)
    print(kinds(runs) if arguments.kinds else text(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
