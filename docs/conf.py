"""The notebooks as a book, read from nbs/ as committed: nothing is executed here."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
project = "democratic-ai"
author = copyright = "the democratic-ai maintainers"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_typehints = "none"  # types stand in the docstrings
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # attributes are listed, not described a second time
html_theme = "sphinx_book_theme"
html_title = "Democratic AI"
html_theme_options = {"show_toc_level": 2, "use_download_button": False}
html_static_path = ["_build/static", "static"]
html_css_files = ["book.css"]
exclude_patterns = ["_build"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "amsmath"]
mathjax_path = "mathjax/tex-chtml-full.js"


def prepare():
    """Copy the notebooks without nbdev's directives, and MathJax.

    With MathJax the book can be read offline.
    """
    chapters = Path(__file__).parent / "nbs"
    shutil.rmtree(chapters, ignore_errors=True)
    chapters.mkdir()
    for path in sorted((ROOT / "nbs").glob("*/*.ipynb")):
        notebook = json.loads(path.read_text())
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                lines = cell["source"]
                marks = "#| hide", "#| default_exp"
                hidden = lines and lines[0].startswith(marks)
                cell["metadata"] = {"tags": ["remove-cell"]} if hidden else {}
                cell["source"] = [line for line in lines if not line.startswith("#|")]
        (chapters / path.parent.name).mkdir(exist_ok=True)
        (chapters / path.parent.name / path.name).write_text(json.dumps(notebook))
    package = Path(find_spec("mathjax").submodule_search_locations[0])
    mathjax = package / "static" / "mathjax" / "es5"
    target = Path(__file__).parent / "_build" / "static" / "mathjax"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(mathjax, target)


def write_reference():
    """Write a page for every module, for autodoc to fill from the docstrings."""
    pages = Path(__file__).parent / "api"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir()
    package = ROOT / "democratic_ai"
    modules = [*package.glob("[a-z]*.py"), *(package / "engine").glob("[a-z]*.py")]
    for path in sorted(modules):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        directive = f"```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n"
        (pages / f"{module}.md").write_text(f"# {module}\n\n{directive}")


prepare()
write_reference()
