"""The table of a benchmark's JSON, and its place in a page.

    python benches/table.py RESULT.json [PAGE.md]

Medians over the rounds; beside each of the others' rates how many times ours is faster, with quartiles of
the rounds' own ratios, and last the best of theirs, round by round. With a page, what stands there between the lines
`<!-- measured: NAME -->` and `<!-- end -->` is replaced, where NAME is the result's file name without its ending.
"""

import json
import sys
from pathlib import Path
from statistics import median, quantiles


def spread(values):
    low, _, high = quantiles(values, n=4) if len(values) > 1 else values * 3
    return f"{median(values):.2f} ({low:.2f} to {high:.2f})"


def markdown(result):
    """One table; with `methods` one for each."""
    if "methods" not in result:
        return one(result)
    parts = [f"**{name}**: " + one({**result, "rounds": rounds}) for name, rounds in result["methods"].items()]
    return "\n\n".join(parts)


def one(result):
    """A rate is a number a second, so that a larger one is faster; with `times` it is a time."""
    rounds, times = result["rounds"], result.get("times", False)
    ours = [name for name in result["ours"] if name in rounds[0]]
    theirs = [name for name in rounds[0] if name not in ours]

    def ratio(own, other):
        return other / own if times else own / other

    lines = [", ".join(f"{key}: {value}" for key, value in result["settings"].items()) + f", rounds: {len(rounds)}", ""]
    lines += [f"| | {result['unit']} |" + "".join(f" {name} by it |" for name in ours)]
    lines += ["|---|---" + "|---" * len(ours) + "|"]
    for name in ours + theirs:
        cells = [spread([ratio(r[own], r[name]) for r in rounds]) if name in theirs else "" for own in ours]
        lines.append(f"| {name} | {median(r[name] for r in rounds):.1f} | {' | '.join(cells)} |")
    best = [(min if times else max)(r[name] for name in theirs) for r in rounds]
    cells = [spread([ratio(r[own], b) for r, b in zip(rounds, best)]) for own in ours]
    lines.append(f"| **best of theirs** | {median(best):.1f} | {' | '.join(cells)} |")
    checks = [f"{name} {value:.4f}" for name, value in result.get("checks", {}).items()]
    return "\n".join(lines + (["", "; ".join(checks)] if checks else []))


def place(page, name, text):
    begin, end = f"<!-- measured: {name} -->", "<!-- end -->"
    before, rest = page.read_text().split(begin)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end, 1)[1]}")


def main(path, page=None):
    text = markdown(json.loads(Path(path).read_text()))
    place(Path(page), Path(path).stem, text) if page else print(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
