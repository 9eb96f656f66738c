"""How the formula of src/estimate/compute_bound.h stands to the judge, role by role.

    bench/estimates/fit.py FIGURES    what bench/run-estimates --save wrote

For each role: claim over answer, in percent, and the coefficient of E (T x E x 4 bytes) that would
have made the formula's known parts meet the judge exactly, at the most and in the median. Where the
most is larger than the header's coefficient, some claim was too low.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

MIB = 1 << 20
# What the header has for each role, beside inputs, results and the most of its phases.
WRITTEN = {"host, alone": 1, "host, whole": 4, "host, many": 10, "device, many": 12}


def inputs(row: dict[str, Any]) -> int:
    """Masks, and where values go in the cache; rotations and indices are left out."""
    attention = row["profile"]["attention"]
    heads = max(attention["kv_heads"], default=0)
    if row["profile"]["recurrent"]["layers"] and heads == 0:
        return 0
    tokens, cells, window = row["ubatch"], row["context"], attention["sliding_window"]
    if window:
        own = min(cells, (window + tokens + 255) // 256 * 256)
        cells += row["context"] if "--swa-full" in row["extra"] else own
    if row["flash"]:
        return tokens * cells * 2
    return tokens * (cells * 4 + heads * attention["value_length"] * 8 * (2 if window else 1))


def phases(row: dict[str, Any]) -> int:
    """The most of feed-forward and scores of a dense model; 0 for others."""
    profile, tokens = row["profile"], row["ubatch"]
    if profile["experts"] or profile["recurrent"]["layers"] or profile["category"] != "llm":
        return 0
    width, attention = profile["embedding_length"], profile["attention"]
    dense = tokens * 4 * (4 * width + 3 * profile["feed_forward_length"])
    if row["flash"]:
        return dense
    scores = tokens * row["context"] * attention["heads"] * 4
    return max(dense, scores + tokens * 4 * 4 * width)


def coefficient(row: dict[str, Any], role: str, answer: int) -> float | None:
    """Of E; nothing where the role's largest phase is not known here."""
    profile = row["profile"]
    unit = row["ubatch"] * profile["embedding_length"] * 4
    results = row["slots"] * profile["vocabulary"] * 4
    copies = 4 if role.endswith("many") else 1
    rest = answer - inputs(row) * copies
    if role.startswith("host"):
        rest -= results
    if role in ("host, alone", "device, many"):
        phase = phases(row)
        if phase == 0 or row["cache"] != "f16":
            return None
        rest -= phase
    return rest / unit


def main() -> int:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    ratios, fitted = defaultdict(list), defaultdict(list)
    for row in rows:
        for number, (judge, berth) in enumerate(zip(row["judge"], row["berth"], strict=True)):
            place = "host" if number == len(row["judge"]) - 1 else "device"
            role = f"{place}, {row['role']}"
            name = f"{row['shape']}, {row['case']}"
            if judge["compute"] < MIB:
                continue
            ratios[role].append((berth["compute"] / judge["compute"], name))
            if role in WRITTEN and not row["extra"]:
                found = coefficient(row, role, judge["compute"])
                if found is not None:
                    fitted[role].append(found)
    print("| role | figures | least | median | most | E: median | most | written |")
    print("|---|---|---|---|---|---|---|---|")
    for role, found in sorted(ratios.items()):
        least, middle, most = min(found)[0], statistics.median(r for r, _ in found), max(found)[0]
        cells = [f"{(ratio - 1) * 100:+.1f} %" for ratio in (least, middle, most)]
        own = fitted.get(role)
        cells += ([f"{statistics.median(own):.2f}", f"{max(own):.2f}", str(WRITTEN[role])]
                  if own else ["", "", ""])
        print(f"| {role} | {len(found)} | {' | '.join(cells)} |")
    for role, found in sorted(ratios.items()):
        for ratio, name in sorted(found)[:2]:
            if ratio < 1:
                print(f"too low: {role}: {name}: {(ratio - 1) * 100:+.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
