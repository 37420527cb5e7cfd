# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     notebook_metadata_filter: kernelspec,jupytext,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: python3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Docstrings
#
# > A function with comments in its signature goes in; the same with a full docstring comes out.

# %%
#| default_exp engine.docstrings

# %% [markdown]
# *In this notebook*: how a module gets its documentation. It uses nothing of ours. `nbdev-export`
# calls `render_cell` on every cell before it writes a module (`export_procs` in pyproject.toml), so
# nothing happens when the package is imported, and editors and linters see the finished text.
#
# A notebook is read from top to bottom, and there a signature with comments behind its parameters
# is the shortest complete description. `help()` shows no comments. It shows `__doc__`, and the
# numpydoc form of it is what editors, Sphinx and linters understand. So we write the first and
# generate the second.

# %%
#| export
import ast
import io
import re
import textwrap
import tokenize
from collections import defaultdict
from functools import partial
from typing import NamedTuple

# %%
#| hide
import pydoc

# %% [markdown]
# Here is a function as our notebooks write it, and what Python knows of it: one sentence.

# %%
source = """
def payout(
    endowment: "Array",  # [..., P] coins
    contribution: "Array",  # [..., P] coins, whole,
        # 0 <= contribution <= endowment
    *,
    growth: float = 1.6,  # factor on the public fund
) -> "Array":  # [..., P] coins
    "Pay an equal part (Koster et al., Figure 1A); raises ValueError for no player."
    return endowment - contribution + growth * contribution.mean(-1)
"""


def documented(source):
    "Define the function of a source and return its docstring."
    defined = {}
    exec(source, defined)
    return defined["payout"].__doc__


assert "coins" not in documented(source)
print(documented(source))


# %% [markdown]
# Shapes, units and the default are in the source, but not in the docstring. Python's syntax tree
# does not help, because it drops comments. The tokenizer keeps them, with line and column.
#
# Whose comment is it? One behind a parameter belongs to what stands on that line. One on a line of
# its own continues the comment before it if it is indented deeper, and belongs to the next
# parameter otherwise.

# %%
#| export
class _Item(NamedTuple):
    "A parameter, a field of a class, or what a function returns."

    name: str  # empty for what is returned
    kind: str  # type and default
    first: int  # line
    last: int  # line


def _item(name, annotation, default, node):
    "Describe a parameter or a field."
    kind = ast.unparse(annotation) if annotation else ""
    if default:
        kind += f"{', ' if kind else ''}default: {ast.unparse(default)}"
    return _Item(name, kind, node.lineno, (default or node).end_lineno)


def _comments(source):
    "Find all comments: line -> column, text, whether nothing else is on the line."
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = [token for token in tokens if token.type == tokenize.COMMENT]
    alone = [not token.line[: token.start[1]].strip() for token in found]
    text = [token.string.lstrip("# ") for token in found]
    comments = zip(found, text, alone, strict=True)
    return {token.start[0]: (token.start[1], *rest) for token, *rest in comments}


# %%
#| export
def _attach(items, comments, lines, span):
    "Give every comment of a span of lines to its items: lines used; item -> texts."
    used, said, before = [], defaultdict(list), []
    for line in span:
        here = [item for item in items if item.first <= line <= item.last]
        before = here or before
        if line not in comments:
            continue
        column, text, alone = comments[line]
        if alone:
            indent = len(lines[before[0].first - 1]) if before else column
            indent -= len(lines[before[0].first - 1].lstrip()) if before else 0
            later = [item for item in items if item.first > line][:1]
            here = before if column > indent or not later else later
        for item in here:
            said[item].append(text)
            used.append(line)
    return used, {item: " ".join(texts) for item, texts in said.items()}


# %% [markdown]
# The parameters of a function stand in five lists in Python's syntax tree, in the order in which
# they may be passed. `self` and `cls` need no description. What a function returns counts as an
# item without a name; on a line that has both, the comment is about what is returned.

# %%
#| export
def _parameters(function):
    "List the parameters of a function in the order of its signature."
    a = function.args
    positional = a.posonlyargs + a.args
    defaults = [None] * (len(positional) - len(a.defaults)) + a.defaults
    pairs = zip(positional, defaults, strict=True)
    listed = [(arg.arg, arg, default) for arg, default in pairs]
    listed += [(f"*{a.vararg.arg}", a.vararg, None)] if a.vararg else []
    pairs = zip(a.kwonlyargs, a.kw_defaults, strict=True)
    listed += [(arg.arg, arg, default) for arg, default in pairs]
    listed += [(f"**{a.kwarg.arg}", a.kwarg, None)] if a.kwarg else []
    return [
        _item(name, arg.annotation, default, arg)
        for name, arg, default in listed
        if name not in ("self", "cls")
    ]


# %%
#| export
def _returned(function):
    "Describe what a function returns or yields; nothing if that is None."
    kind = function.returns
    if kind is None or ast.unparse(kind) == "None":
        return []
    if _yields(function) and isinstance(kind, ast.Subscript):
        kind = kind.slice
    place = function.returns
    return [_Item("", ast.unparse(kind), place.lineno, place.end_lineno)]


def _yields(function):
    "Tell a generator from other functions; functions inside it do not count."
    inside = [*function.body]
    for node in inside:
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            inside += ast.iter_child_nodes(node)
    return False


# %% [markdown]
# Two more things hide in our one sentence: the source in the paper, in parentheses, and the errors,
# behind the word "raises". Each has a place of its own in numpydoc. What is left is the summary,
# which must fit on one line; of a longer one, the first sentences or half sentence are the summary.

# %%
#| export
_SOURCE = re.compile(r"\s*\(([^()]*\bet\s+al\.[^()]*(?:\([^()]*\)[^()]*)*)\)")
_ERRORS = r"[A-Z]\w*(?:Error|Exception)"
_RAISES = re.compile(
    rf"(?:[;,]\s|\s|^)(?:[Rr]aises?|and)(?: an?)? "
    rf"({_ERRORS}(?:(?:, | or |, or | and ){_ERRORS})*)\b"
    r"(.*?)(?=[;.](?:\s|$)|, and [A-Z]\w*Error|$)",
    re.DOTALL,
)
_WIDTH = 88  # columns
_SECTIONS = ("Examples", "Notes", "References")  # a type of that name is no section


def _sources(text):
    "Take the sources out of a text: text, sources."
    return _SOURCE.sub("", text), [" ".join(s.split()) for s in _SOURCE.findall(text)]


def _errors(text):
    "Take the errors out of a text: text, list of name and reason."
    if not re.search(rf"\braises?(?: an?)? {_ERRORS}", text, re.IGNORECASE):
        return text, []
    raised = [
        (name, " ".join(reason.split()))
        for names, reason in _RAISES.findall(text)
        for name in re.findall(_ERRORS, names)
    ]
    left = re.sub(r"\.\s*\.", ".", _RAISES.sub("", text)).strip()
    if left in ("", "."):  # the sentence says nothing else: it is the summary
        return text, []
    return left if left.endswith(".") else f"{left}.", raised


# %%
#| export
def _summary(
    text,  # of one paragraph
    room,  # columns
):
    "Split a paragraph into a summary of one line and what else it says."
    text = " ".join(text.split())
    if len(text) <= room:
        return text, ""
    for end in (r"(?<!et al)(?<!\.)\. ", "; ", ": "):
        breaks = [found for found in re.finditer(end, text) if found.start() < room]
        if breaks:
            rest = text[breaks[-1].end() :]
            return text[: breaks[-1].start()] + ".", rest[0].upper() + rest[1:]
    return text, ""


# %% [markdown]
# What does that make of the sentence above, and of a source that is broken over two lines?

# %%
sentence = ast.get_docstring(ast.parse(source).body[0])
text, sources = _sources(sentence)
text, raised = _errors(text)
assert (text, sources) == ("Pay an equal part.", ["Koster et al., Figure 1A"])
assert raised == [("ValueError", "for no player")]
broken = "Pay (Koster et\n    al., Figure 1)."
assert _sources(broken) == ("Pay.", ["Koster et al., Figure 1"])
both = [("OSError", ""), ("DataError", "")]
assert _errors("Read; raises OSError or DataError.") == ("Read.", both)
assert _errors("It raises the fund.") == ("It raises the fund.", [])
refusal = "Raise ValueError unless all is well."
assert _errors(refusal) == (refusal, [])
assert _summary("Say much; and more.", 12) == ("Say much.", "And more.")
text, raised, sources


# %% [markdown]
# Now the text is put together: summary, the rest of what was written, and a section for each kind
# of item.

# %%
#| export
def _section(title, entries, width):
    "Write a section of (name, type or nothing, description)."
    lines = [title, "-" * len(title)]
    for name, kind, description in entries:
        line = " : ".join(filter(None, [name, kind]))
        lines.append(f"`{line}`" if line in _SECTIONS else line)
        wrapped = textwrap.wrap(description, width - 4, break_on_hyphens=False)
        lines += [f"    {line}" for line in wrapped]
    return "\n".join(lines)


# %%
#| export
def _compose(
    written,  # docstring as it is in the notebook
    sections,  # title -> entries: those of signature or fields
    width,  # columns
):
    "Write a docstring: summary, further text, sections, errors, sources."
    text, sources = _sources(written)
    text, raised = _errors(text)
    first, *paragraphs = re.split(r"\n\s*\n", text)
    summary, rest = _summary(first, width - 3)
    wrap = partial(textwrap.wrap, width=width - 3, break_on_hyphens=False)
    fill = lambda text: "\n".join(wrap(text))
    further = [fill(rest)] if rest else []
    parts = [fill(summary), *further, *map(textwrap.dedent, paragraphs)]
    sections = sections | {"Raises": [(name, "", why) for name, why in raised]}
    parts += [_section(title, said, width) for title, said in sections.items() if said]
    if sources:
        source = "; ".join(sources).removesuffix(".")
        parts.append(f"Notes\n-----\n{fill(f'Source: {source}.')}")
    return "\n\n".join(parts)


# %%
#| export
def _literal(text, indent):
    "Write a docstring as source, in triple quotes."
    prefix = "r" if "\\" in text else ""
    if "\n" not in text and not text.endswith('"') and indent + len(text) + 6 <= _WIDTH:
        return [f'{" " * indent}{prefix}"""{text}"""']
    lines = f'{prefix}"""{text}\n"""'.splitlines()
    return [f"{' ' * indent}{line}".rstrip() for line in lines]


# %% [markdown]
# The comments that went into the docstring leave the signature: nothing is said twice in the
# module. All other lines stay as they are. A function without a docstring keeps its comments, and a
# docstring that has sections already is left alone, so that rendering twice is rendering once.

# %%
#| export
def _described(node, comments, lines):
    "Find what a function or class says of its items: lines of comments, sections."
    if isinstance(node, ast.ClassDef):
        fields = [f for f in node.body if isinstance(f, ast.AnnAssign)]
        listed = [_item(f.target.id, f.annotation, f.value, f) for f in fields]
        items = {"Attributes": listed}
        inner = [f for f in node.body[1:] if not isinstance(f, ast.AnnAssign)]
        last = min((f.lineno for f in inner), default=node.end_lineno + 1)
        span = range(node.body[0].end_lineno + 1, last)
    else:
        title = "Yields" if _yields(node) else "Returns"
        items = {"Parameters": _parameters(node), title: _returned(node)}
        span = range(node.lineno, node.body[0].lineno)
    listed = [item for group in items.values() for item in group]
    returned = {item.first for item in listed if not item.name}
    owners = [item for item in listed if not item.name or item.last not in returned]
    used, said = _attach(owners, comments, lines, span)
    entry = lambda item: (item.name, item.kind, said.get(item, ""))
    sections = {title: [*map(entry, group)] for title, group in items.items()}
    told = lambda entries: any(kind or text for _, kind, text in entries)
    return used, {title: group for title, group in sections.items() if told(group)}


# %%
#| export
def _documented(tree):
    "Find functions, classes and methods that have a docstring, the last one first."
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    nodes = [*tree.body, *(child for node in classes for child in node.body)]
    found = [n for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    return sorted(filter(ast.get_docstring, found), key=lambda n: -n.body[0].lineno)


def render(
    source: str,  # Python, with comments behind parameters, results and fields
) -> str:  # the same program, with the comments in numpydoc docstrings
    "Write what the comments of signatures say into docstrings."
    lines, comments = source.split("\n"), _comments(source)
    dropped = set()
    for node in _documented(ast.parse(source)):
        written, place = ast.get_docstring(node), node.body[0]
        indent = place.col_offset
        beside = lines[place.lineno - 1][:indent].strip()
        if beside or re.search(r"^-{3,}$", written, re.MULTILINE):
            continue
        used, sections = _described(node, comments, lines)
        dropped.update(used)
        text = _literal(_compose(written, sections, _WIDTH - indent), indent)
        lines[place.lineno - 1] = "\n".join(text)
        for line in range(place.lineno, place.end_lineno):
            lines[line] = None
    for line in dropped:
        lines[line - 1] = lines[line - 1][: comments[line][0]].rstrip() or None
    return "\n".join(line for line in lines if line is not None)


# %% [markdown]
# The function from the beginning should now tell everything, and compute what it computed.

# %%
rendered = render(source)
assert render(rendered) == rendered and "#" not in rendered
told = documented(rendered)
assert all(name in told for name in ("endowment", "growth", "Returns", "ValueError"))
assert "coins, whole, 0 <= contribution <= endowment" in told, "a comment of two lines"


def without_docstrings(source):
    "Write a program out without comments and docstrings."
    tree = ast.parse(source)
    for node in _documented(tree):
        del node.body[0]
    return ast.unparse(tree)


assert without_docstrings(rendered) == without_docstrings(source)
print(rendered)

# %% [markdown]
# Fields of dataclasses and named tuples are documented in the same way, under *Attributes*:

# %%
block = '''
class Block(NamedTuple):
    """A block of play."""

    endowment: "Array"  # [..., P] coins
    n_rounds: int = 10  # T

    def payout(self):  # nothing is said of it
        return self.endowment * 0
'''
assert "n_rounds : int, default: 10\n        T" in render(block)
assert "# nothing is said of it" in render(block), "no docstring, so the comment stays"
print(render(block))


# %% [markdown]
# nbdev hands every cell to its processors, exported or not, prose or code.

# %%
#| export
def render_cell(
    cell,  # of a notebook, as nbdev's processors get it; changed in place
) -> None:
    "Render the docstrings of an exported cell, for nbdev before it writes a module."
    if cell.cell_type == "code" and "export" in cell.directives_:
        cell.set_source(render(cell.source))


# %% [markdown]
# The module that this notebook exported went through its own mill:

# %%
from democratic_ai.engine import docstrings

shown = pydoc.plain(pydoc.render_doc(docstrings.render))
assert "with comments behind parameters" in shown and "Returns" in shown
print(shown)

# %% [markdown]
# ## Recap
#
# | name | in a sentence |
# |---|---|
# | `render` | comments of signatures and fields become numpydoc docstrings |
# | `render_cell` | the same for a cell, as nbdev's export calls it |
#
# **Question.** Why not at import, with a decorator or a loop over the module? Every process would
# pay for it, and an editor that reads the file without running it would see none of it.
#
# **Exercise.** What becomes of a comment inside the body of a function?
#
# <details><summary>Solution</summary>
#
# It stays: only comments between `def` and the docstring are about the signature.

# %%
body = 'def f(x: int) -> int:  # twice\n    "Double."\n    return 2 * x  # no overflow'
assert "# no overflow" in render(body) and "# twice" not in render(body)
print(render(body))

# %% [markdown]
# </details>
