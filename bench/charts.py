"""Bar charts as SVG, which take their colours from the page around them."""

import math
from dataclasses import dataclass
from html import escape

LABELS = 150  # px, from the left
VALUES = 124  # px, to the right of the longest bar
BAR = 13
GAP = 16  # between two cases
TOP = 30
LONGEST = 2.5  # times the reference: what is more is cut off, and its figure says how much it is


@dataclass(frozen=True)
class Bar:
    series: int  # which colour
    name: str  # of the server
    ratio: float  # to the reference
    least: float  # of the rounds
    most: float
    value: str  # the figure itself, with its unit
    at_most: float | None = None  # what is promised
    doubtful: bool = False


def _scale(bars: list[Bar]) -> float:
    longest = max([bar.most for bar in bars] + [bar.at_most or 0 for bar in bars] + [1.1])
    return min(LONGEST, math.ceil(longest * 1.02 * 5) / 5)


def _bar(bar: Bar, y: float, x_of, longest: float, right: float) -> list[str]:
    end = x_of(min(bar.ratio, longest))
    middle = y + BAR / 2
    classes = f"s{bar.series}" + (" doubtful" if bar.doubtful else "")
    tip = f"{bar.name}: {bar.value}, {bar.ratio:.3f} times the reference; rounds from {bar.least:.3f} to {bar.most:.3f}"
    if bar.at_most:
        tip += f"; promised are at most {bar.at_most:g}"
    if bar.doubtful:
        tip += "; others were at work in most rounds"
    parts = [f"<g><title>{escape(tip)}</title>",
             f'<rect class="{classes}" x="{LABELS}" y="{y:.1f}" width="{max(end - LABELS, 1):.1f}" height="{BAR - 2}"/>']
    if bar.ratio > longest:
        parts.append(f'<path class="cut" d="M{end - 9:.1f} {y - 1:.1f}l4 {BAR} m3 {-BAR}l4 {BAR}"/>')
    elif bar.most > bar.least:
        least, most = x_of(min(bar.least, longest)), x_of(min(bar.most, longest))
        parts.append(f'<path class="spread" d="M{least:.1f} {middle - 1:.1f}H{most:.1f}"/>')
    if bar.at_most and bar.at_most <= longest:
        kept = "kept" if bar.ratio <= bar.at_most else "missed"
        parts.append(f'<path class="limit {kept}" d="M{x_of(bar.at_most):.1f} {y - 2:.1f}v{BAR + 2}"/>')
    text = f"{'~' if bar.doubtful else ''}{bar.ratio:.2f}"
    parts.append(f'<text class="ratio" x="{right + 48:.0f}" y="{middle + 3:.1f}" text-anchor="end">{text}</text>'
                 f'<text class="value" x="{right + 54:.0f}" y="{middle + 3:.1f}">{escape(bar.value)}</text></g>')
    return parts


def bars(title: str, note: str, cases: dict[str, list[Bar]], width: int = 572) -> str:
    """One group of bars for each case, of which all are measured by the same reference: its line is at 1."""
    everything = [bar for group in cases.values() for bar in group]
    longest = _scale(everything)
    right = width - VALUES
    height = TOP + sum(BAR * len(group) + GAP for group in cases.values()) + 22

    def x_of(ratio: float) -> float:
        return LABELS + (right - LABELS) * ratio / longest

    parts = [f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(title)}">',
             f'<text class="title" x="0" y="14">{escape(title)}</text>',
             f'<text class="note" x="{width}" y="14" text-anchor="end">{escape(note)}</text>']
    bottom = height - 22
    step = 0.25 if longest <= 1.5 else 0.5
    for tick in range(int(longest / step) + 1):
        x = x_of(tick * step)
        kind = "one" if tick * step == 1 else "grid"
        parts.append(f'<path class="{kind}" d="M{x:.1f} {TOP - 6}V{bottom}"/>'
                     f'<text class="tick" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{tick * step:g}×</text>')
    y = float(TOP)
    for case, group in cases.items():
        middle = y + BAR * len(group) / 2 + 3
        parts.append(f'<text class="case" x="{LABELS - 8}" y="{middle:.1f}" text-anchor="end">{escape(case)}</text>')
        for bar in group:
            parts += _bar(bar, y, x_of, longest, right)
            y += BAR
        y += GAP
    return "\n".join([*parts, "</svg>"])
