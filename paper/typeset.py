"""Typeset paper/main.typ from a run's results.

Nothing is computed, and the same results give the same bytes.
"""

import sys
from pathlib import Path

import typst

ROOT = Path(__file__).parent.parent


def typeset(results, pdf):
    """Read tables and figures in `results`, in the repository, and write the PDF."""
    folder = Path(results).resolve()
    if not folder.is_relative_to(ROOT):
        sys.exit(
            f"paper: {results} is outside the repository; "
            "copy the run's results into runs/."
        )
    if not (folder / "provenance.json").exists():
        sys.exit(
            f"paper: {results} holds no finished run; "
            "run 'make reproduce' with its profile first."
        )
    inputs = {"results": f"/{folder.relative_to(ROOT).as_posix()}"}
    # the fonts that come with typst, and no date: the same page on every machine
    bytes_of_pdf = typst.compile(
        str(ROOT / "paper" / "main.typ"),
        root=str(ROOT),
        ignore_system_fonts=True,
        sys_inputs=inputs,
        timestamp=0,
    )
    Path(pdf).write_bytes(bytes_of_pdf)


if __name__ == "__main__":
    typeset(*sys.argv[1:])
