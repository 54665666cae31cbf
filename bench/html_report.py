"""A page with charts of what run.py measured, which needs nothing but itself."""

import re
from html import escape

import charts
import report
import rows

# What newcomers call the servers.
NAMES = {
    "httpd v1": "mod_websocket, plugin of version 1",
    "httpd inline": "mod_websocket, plugin of version 0 on the loop (Inline)",
    "httpd pool": "mod_websocket, plugin of version 0 in the pool of threads (Pool)",
    "httpd broadcast": "mod_websocket, the broadcast plugin that comes with it",
}
# In this order, and each in a colour that stays the same in all charts; what is unknown follows.
ORDER = ["httpd v1", "httpd inline", "httpd pool", "httpd broadcast"]

STYLE = """
:root { --ink: #1b1f24; --quiet: #5d6672; --paper: #ffffff; --panel: #f4f6f8; --rule: #d8dee4;
        --s0: #0b62c4; --s1: #2aa198; --s2: #e0912b; --s3: #0b62c4; --s4: #8b95a1; --s5: #b05cc4; --s6: #6b8e23;
        --good: #1a7f37; --bad: #cf222e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --quiet: #9aa5b1; --paper: #0f1318; --panel: #1a2028; --rule: #333c46;
          --s0: #58a6ff; --s1: #4fd1c5; --s2: #f0b35e; --s3: #58a6ff; --s4: #77818c; --s5: #d19de0; --s6: #a5c261;
          --good: #3fb950; --bad: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1200px;
       margin: 0 auto; padding: 24px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 20px; margin: 40px 0 4px; }
p { max-width: 76ch; margin: 6px 0; } .quiet, caption { color: var(--quiet); font-size: 13px; }
.how { background: var(--panel); border-radius: 8px; padding: 12px 18px; margin: 18px 0; }
.how ul { margin: 6px 0; padding-left: 20px; } .how li { max-width: 90ch; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 10px 0; font-size: 13px; }
.legend span::before { content: ""; display: inline-block; width: 12px; height: 12px; margin-right: 6px;
                       vertical-align: -1px; background: var(--c); border-radius: 2px; }
.charts { display: flex; flex-wrap: wrap; gap: 8px 28px; } svg { max-width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: var(--ink); } svg .title { font-weight: 600; font-size: 13px; }
svg .note, svg .tick, svg .value { fill: var(--quiet); } svg .ratio { font-weight: 600; }
svg .grid { stroke: var(--rule); } svg .one { stroke: var(--ink); stroke-width: 1.2; }
svg .spread { stroke: var(--ink); stroke-width: 1.2; opacity: .65; }
svg .cut { stroke: var(--paper); stroke-width: 2; fill: none; }
svg .limit { stroke-width: 3; } svg .kept { stroke: var(--good); } svg .missed { stroke: var(--bad); }
svg .doubtful { opacity: .45; }
table { border-collapse: collapse; font-size: 13px; margin: 10px 0; } th, td { padding: 3px 10px; text-align: right; }
td { white-space: nowrap; } th:first-child, td:first-child { text-align: left; } th { border-bottom: 1px solid var(--rule); font-weight: 600; }
tr:nth-child(even) td { background: var(--panel); } .table { overflow-x: auto; }
code, pre { font: 12px/1.5 ui-monospace, monospace; background: var(--panel); border-radius: 4px; }
code { padding: 1px 4px; } pre { padding: 10px 14px; overflow-x: auto; white-space: pre-wrap; }
.kept { color: var(--good); } .missed { color: var(--bad); font-weight: 600; } summary { cursor: pointer; margin-top: 8px; }
""" + "".join(f"svg .s{i} {{ fill: var(--s{i}); }}" for i in range(7))


def servers_of(runs: list[dict]) -> list[str]:
    found = report.unique(run["server"] for run in runs)
    return sorted(found, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def colour(name: str, others: list[str]) -> int:
    if name in ORDER:
        return ORDER.index(name)
    return 4 + (others.index(name) % 3)


def reference_of(server: str, names: list[str], ours: set[str]) -> str:
    """By which a server is measured: uWebSockets, else the first that is not ours, else the first."""
    alike = [name for name in names if report.mode_of(name) == report.mode_of(server)]
    theirs = [name for name in alike if name not in ours]
    return rows.MEASURE if rows.MEASURE in theirs else (theirs or alike)[0]


def short(value: float) -> str:
    """Three digits or so: 98.6k, 1.23M."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def times(value: float) -> str:
    return f"{value / 1000:.3g} ms" if value >= 1000 else f"{value:.3g} µs"


def bars_of(runs: list[dict], key: str, shown, limited: bool) -> dict[str, list[charts.Bar]]:
    names = servers_of(runs)
    ours = {run["server"] for run in runs if run["ours"]}
    theirs = [name for name in names if name not in ORDER]
    found: dict[str, list[charts.Bar]] = {}
    for case in report.unique(run["case"] for run in runs):
        of_case = [run for run in runs if run["case"] == case]
        for name in names:
            mine = [run for run in of_case if run["server"] == name]
            value = report.middle(mine, key)
            if value is None:
                continue
            reference = reference_of(name, names, ours)
            ratio, doubtful = report.paired_ratio(of_case, name, reference, key)
            least, most = report.ratio_spread(of_case, name, reference, key)
            if ratio is None:
                continue
            limit = (report.limit_of(of_case[0].get("group", ""), case, (name, reference))
                     if limited and name in ours else None)
            found.setdefault(case, []).append(charts.Bar(colour(name, theirs), name, ratio, least, most, shown(value),
                                                         limit, doubtful and name != reference))
    return found


def charts_of(runs: list[dict]) -> str:
    kind = runs[0]["kind"]
    rate, cpu = report.RATE[kind], report.CPU[kind]
    if kind == "latency":
        wanted = [("99 of 100 echoes are back within (p99)", "latency_us.p99", times, True, False),
                  ("Half of the echoes are back within (p50)", "latency_us.p50", times, False, False)]
    else:
        wanted = [(f"CPU time of the server for a {cpu[1]}", cpu[0], times, True, False),
                  (f"{rate[1].partition('/')[0].capitalize()} a second", rate[0], lambda value: short(value) + "/s", False, True)]
    return "\n".join(charts.bars(title, "longer is better →" if more else "← shorter is better",
                                 bars_of(runs, key, shown, limited))
                     for title, key, shown, limited, more in wanted)


def table(markdown: str) -> str:
    """The Markdown tables of report.py."""
    out: list[str] = []
    rows_open = False
    for line in markdown.splitlines():
        if line.startswith("| ---"):
            continue
        if line.startswith("|"):
            cells = [escape(cell.strip()) for cell in line.strip("|").split(" | ")]
            if not rows_open:
                out.append('<div class="table"><table><tr>' + "".join(f"<th>{cell}</th>" for cell in cells) + "</tr>")
                rows_open = True
            else:
                out.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
            continue
        if rows_open:
            out.append("</table></div>")
            rows_open = False
        if line:
            out.append(f'<p class="quiet">{escape(line)}</p>')
    return "\n".join(out + (["</table></div>"] if rows_open else []))


def promises(runs: list[dict]) -> str:
    """How many of the promised ratios hold, and which do not."""
    kept, missed = 0, []
    for title in report.unique(run.get("group", "") for run in runs):
        group = [run for run in runs if run.get("group", "") == title]
        if group[0]["kind"] in report.TABLES:
            continue
        key = report.limited_key(group[0]["kind"])
        for case in report.unique(run["case"] for run in group):
            of_case = [run for run in group if run["case"] == case]
            for pair in report.server_pairs(group):
                limit = report.limit_of(title, case, pair)
                ratio, doubtful = report.paired_ratio(of_case, *pair, key)
                if not limit or ratio is None:
                    continue
                if ratio <= limit:
                    kept += 1
                else:
                    missed.append(f"<tr><td>{escape(title)}: {escape(case)}</td><td>{escape(pair[0])} / {escape(pair[1])}</td>"
                                  f"<td>{'~' if doubtful else ''}{ratio:.3f}</td><td>{limit:g}</td></tr>")
    if not kept and not missed:
        return ""
    text = f'<p><b class="kept">{kept}</b> of the {kept + len(missed)} ratios that the module promises hold in this run'
    if not missed:
        return text + ".</p>"
    return (text + f'; <b class="missed">{len(missed)}</b> do not.</p><details><summary>Which do not</summary><div class="table">'
            "<table><tr><th>row</th><th>servers</th><th>measured</th><th>at most</th></tr>"
            f"{''.join(missed)}</table></div></details>")


def how(names: list[str], reference: str, limits: bool) -> str:
    parts = [
        f"<li>Each bar is one server in one case, as a multiple of <b>{escape(reference)}</b> in the same minute: the line at 1× "
        "is that server. The figure itself stands to the right, in grey.</li>",
        "<li><b>CPU time</b> is what the server's process needs for a message, the kernel's work for it included. It says how many "
        "messages a core can serve: 2× is half as many.</li>",
        "<li><b>Rate</b> is how many there were in a second on one core. Where the program that makes the load was the "
        "bottleneck, CPU time tells more.</li>",
        "<li>The thin line in a bar goes from the lowest to the highest round; bars show the median. Pale bars and a "
        "“~”: other programs were at work on the server's core.</li>"]
    if limits:
        parts.append('<li>A thick mark is what the module promises at most: <span class="kept">green</span> where it holds, '
                     '<span class="missed">red</span> where it does not.</li>')
    theirs = [name for name in names if name not in ORDER]
    legend = "".join(f'<span style="--c: var(--s{colour(name, theirs)})">{escape(NAMES.get(name, name))}</span>' for name in names)
    return f'<div class="how"><b>How to read the charts</b><ul>{"".join(parts)}</ul><div class="legend">{legend}</div></div>'


def section(title: str, runs: list[dict]) -> str:
    about = next((group.about for group in rows.ALL if group.title == title), "")
    heading = f"<h2>{escape(title)}</h2><p>{escape(about)}</p>" if title else ""
    if runs[0]["kind"] in report.TABLES:
        return heading + table(report.plain_table(runs))
    commands = report.unique(" ".join(run["options"]) for run in runs)
    return (f'{heading}<div class="charts">{charts_of(runs)}</div><details><summary>All figures</summary>'
            f"{table(report.measured(runs) + report.comparison(runs))}"
            f"<p class=\"quiet\">The load programs and their options:</p><pre>{escape(chr(10).join(commands))}</pre></details>")


def page(document: dict) -> str:
    """HTML of what run.py --json has written."""
    runs = document["runs"]
    timed = [run for run in runs if run["kind"] not in report.TABLES]
    names = servers_of(timed)
    ours = {run["server"] for run in timed if run["ours"]}
    limits = any(report.limit_of(run.get("group", ""), run["case"], (run["server"], rows.MEASURE)) for run in timed)
    groups = "\n".join(section(title, [run for run in runs if run.get("group", "") == title])
                       for title in report.unique(run.get("group", "") for run in runs))
    rounds = max((run["round"] for run in timed), default=0) + 1
    command = re.sub(r" --(json|html)[= ]\S+", "", document["command"])
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>mod_websocket beside other servers</title><style>{STYLE}</style></head><body>
<h1>mod_websocket beside other servers</h1>
<p class="quiet">{escape(document["machine"].strip())}; {rounds} round{"s" * (rounds > 1)}, server and load on a core each.</p>
<p>mod_websocket serves WebSockets inside Apache httpd. Here it and other servers do the same work in turns, on the same
machine. Ratios can be compared with those of other machines, the figures themselves cannot.</p>
{promises(timed) if timed else ""}
{how(names, reference_of(names[0], names, ours), limits) if timed else ""}
{groups}
<h2>Repeat it</h2><p>In the sources of mod_websocket; bench/README.md says more.</p><pre>{escape(command)}</pre>
</body></html>
"""
