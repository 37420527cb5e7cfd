"""The paper: typeset from the committed results alone, the same bytes every time.

And a sentence where there are none.
"""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("typeset", ROOT / "paper" / "typeset.py")
paper = importlib.util.module_from_spec(spec)
spec.loader.exec_module(paper)


def test_the_same_results_give_the_same_bytes(tmp_path):
    first, second = tmp_path / "first.pdf", tmp_path / "second.pdf"
    for pdf in (first, second):
        paper.typeset(ROOT / "paper" / "results", pdf)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"%PDF")


def test_no_number_is_typed_by_hand():
    source = (ROOT / "paper" / "main.typ").read_text()
    prose = source[source.index("= What was asked") :]
    assert not re.search(r"(?<![\w.])0?\.\d{2,}", prose), "a decimal number in the text"


@pytest.mark.parametrize(
    ("results", "words"),
    [(Path("/"), "outside the repository"), (ROOT / "nbs", "no finished run")],
)
def test_results_that_are_not_there_are_refused(tmp_path, results, words):
    with pytest.raises(SystemExit, match=words):
        paper.typeset(results, tmp_path / "paper.pdf")
    assert not list(tmp_path.iterdir())
