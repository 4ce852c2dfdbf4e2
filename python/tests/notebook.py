"""Runs the code of a notebook, cell after cell, in the current folder: ``notebook.py FILE.ipynb``."""

import json
import sys


def main(path: str) -> None:
    with open(path) as file:
        cells = json.load(file)["cells"]
    names = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{path}, cell {number}", "exec"), names)


if __name__ == "__main__":
    main(sys.argv[1])
