"""How far the answers of the last round agree: python compare.py FOLDER NAME...; a row for each pair and scenario.

Greedy answers of the same weights are the same until two tokens are so near each other that the order of additions
decides; from there on they are other texts. So beside the share of equal answers stands how far they agree from the
beginning.
"""

import itertools
import json
import sys
from pathlib import Path


def agreement(left, right):
    same = next((at for at, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
    return same / max(len(left), len(right), 1)


def main(folder, *names):
    kept = {}
    for name in names:
        file = Path(folder) / "answers" / f"{name}.json"
        if file.exists():
            kept[name] = json.loads(file.read_text())
    print("\nanswers (temperature 0): share that are equal; mean share that agrees from the beginning")
    for left, right in itertools.combinations(kept, 2):
        cells = []
        for scenario in kept[left]:
            pairs = list(zip(kept[left][scenario], kept[right].get(scenario, [])))
            if pairs:
                equal = sum(a == b for a, b in pairs) / len(pairs)
                cells.append(f"{scenario} {equal:.2f}; {sum(agreement(a, b) for a, b in pairs) / len(pairs):.2f}")
        print(f"  {left} and {right}: " + ", ".join(cells))
    for name, answers in kept.items():
        if "speculation" in answers:
            same = sum(a == b for a, b in zip(answers.get("decode", []), answers["speculation"]))
            print(f"  {name} with and without speculation: {same} of {len(answers['speculation'])} are equal")


main(*sys.argv[1:])
