"""Markdown tables of what was measured."""

import datetime
import os
import platform
import statistics
from pathlib import Path


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def machine() -> str:
    """What a reader must know of the machine; TCP's congestion control is the servers' one."""
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return (f"{datetime.date.today()}, {model}, {os.cpu_count()} cores, Linux {platform.release()}, "
            f"TCP {control}\n")


def unique(values) -> list:
    return list(dict.fromkeys(values))


def median(runs: list[dict], key: str) -> float | None:
    values = [run[key] for run in runs if key in run]
    return statistics.median(values) if values else None


def number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def paired_ratio(runs: list[dict], ours: str, peer: str, key: str) -> float | None:
    """Median over the rounds of ours / peer's in the same round: what slows the whole machine cancels out."""
    def by_round(server: str) -> dict:
        return {run["round"]: run[key] for run in runs if run["server"] == server and key in run}
    one, other = by_round(ours), by_round(peer)
    ratios = [one[r] / other[r] for r in one if other.get(r)]
    return statistics.median(ratios) if ratios else None


def ratios(runs: list[dict], rate: str, cost: str) -> str:
    """Each server of ours beside each other one; without any of ours, the first server is the measure."""
    servers = unique(run["server"] for run in runs)
    ours = unique(run["server"] for run in runs if run["ours"]) or servers[:1]
    rows = []
    for case in unique(run["case"] for run in runs):
        of_case = [run for run in runs if run["case"] == case]
        for one in ours:
            for other in servers:
                if other in ours and (one != ours[0] or other == one):
                    continue
                rows.append([f"{case}: {one} / {other}", number(paired_ratio(of_case, one, other, rate), 3),
                             number(paired_ratio(of_case, one, other, cost), 3)])
    header = ["ratio (median of the rounds)", "rate (more is better)", "CPU (less is better)"]
    return table(header, rows) if rows else ""


def disturbance(runs: list[dict]) -> str:
    disturbed = sum(run["disturbed"] for run in runs)
    return f"\n{disturbed} of {len(runs)} runs were disturbed by other processes.\n" if disturbed else ""


def groups(runs: list[dict]):
    for case in unique(run["case"] for run in runs):
        for server in unique(run["server"] for run in runs):
            yield case, server, [run for run in runs if run["case"] == case and run["server"] == server]


def spread(runs: list[dict], key: str) -> str:
    return f"{number(min(run[key] for run in runs))} to {number(max(run[key] for run in runs))}"


def echo(runs: list[dict]) -> str:
    rows = []
    for case, server, group in groups(runs):
        latencies = [run["latency_us"] for run in group if "latency_us" in run]
        rows.append([f"{case}: {server}", number(median(group, "messages_per_second")),
                     spread(group, "messages_per_second"),
                     number(median(group, "server_cpu_us_per_message"), 3),
                     number(median(group, "server_cpu_percent")), number(median(group, "client_cpu_percent")),
                     *(number(median(latencies, key)) for key in ("p50", "p99", "p99.9"))])
    header = ["case: server", "messages/s", "least to most", "server CPU µs/message", "server CPU %",
              "client CPU %", "p50 µs", "p99 µs", "p99.9 µs"]
    return (table(header, rows) + "\n" +
            ratios(runs, "messages_per_second", "server_cpu_us_per_message") + disturbance(runs))


def fanout(runs: list[dict]) -> str:
    rows = []
    for case, server, group in groups(runs):
        latencies = [run["latency_us"] for run in group]
        rows.append([f"{case}: {server}", number(median(group, "deliveries_per_second")),
                     spread(group, "deliveries_per_second"),
                     number(median(group, "server_cpu_us_per_delivery"), 3),
                     number(median(group, "server_cpu_percent")), number(median(group, "client_cpu_percent")),
                     *(number(median(latencies, key)) for key in ("p50", "p99"))])
    header = ["case: server", "deliveries/s", "least to most", "server CPU µs/delivery", "server CPU %",
              "client CPU %", "p50 µs", "p99 µs"]
    return (table(header, rows) + "\n" +
            ratios(runs, "deliveries_per_second", "server_cpu_us_per_delivery") + disturbance(runs))


def churn(runs: list[dict]) -> str:
    rows = []
    for _, server, group in groups(runs):
        handshakes = [run["handshake_us"] for run in group]
        rows.append([server, number(median(group, "rounds_per_second")), spread(group, "rounds_per_second"),
                     number(median(group, "server_cpu_us_per_round"), 1),
                     number(median(group, "server_cpu_percent")), number(median(group, "client_cpu_percent")),
                     *(number(median(handshakes, key)) for key in ("p50", "p99"))])
    header = ["server", "rounds/s", "least to most", "server CPU µs/round", "server CPU %", "client CPU %",
              "handshake p50 µs", "p99 µs"]
    return (table(header, rows) + "\n" + ratios(runs, "rounds_per_second", "server_cpu_us_per_round") +
            disturbance(runs))


def deflate(runs: list[dict]) -> str:
    rows = []
    for case, server, group in groups(runs):
        per_connection = next((run["memory"]["per_connection"] for run in group if "memory" in run), None)
        rows.append([f"{case}: {server}", number(median(group, "wire_bytes_per_message")),
                     number(median(group, "ratio"), 2), number(median(group, "server_cpu_us_per_message"), 2),
                     number(median(group, "messages_per_second")), number(median(group, "server_cpu_percent")),
                     number(median(group, "client_cpu_percent")), number(per_connection)])
    header = ["case: server", "bytes on the wire/message", "ratio", "server CPU µs/message", "messages/s",
              "server CPU %", "client CPU %", "bytes of memory/connection"]
    return table(header, rows) + disturbance(runs)


def memory(runs: list[dict]) -> str:
    def kib(value: float) -> str:
        return number(value / 1024)
    rows = [[run["server"], number(run["connections"]), kib(run["before"]), kib(run["with_half"]),
             kib(run["with_all"]), kib(run["after"]), number(run["per_connection"]),
             number(run["per_connection_second_half"])] for run in runs]
    return table(["server", "connections", "before KiB", "with half", "with all", "after",
                  "bytes/connection", "bytes/connection, second half"], rows)
