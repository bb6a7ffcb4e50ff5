"""Links of the Markdown pages lead somewhere, and what functions import says of itself what it does."""

import ast
import re
from urllib.parse import unquote

from tree import ROOT, text, tracked

LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+\s+(.*?)\s*#*$", re.MULTILINE)


def slug(heading):
    """A heading's anchor, as code hosts make it."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", lambda m: m.group(1) or "", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(path):
    return {slug(h) for h in HEADING.findall(FENCE.sub("", text(path) or ""))}


def test_links_of_markdown_pages_lead_somewhere():
    wrong = []
    for page in tracked(".md"):
        body = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text(page) or ""))
        for link in LINK.findall(body):
            if re.match(r"[a-z][a-z0-9+.-]*:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (ROOT / page).parent / unquote(name) if name else ROOT / page
            if not target.exists():
                wrong.append(f"{page}: {link}")
            elif anchor and target.suffix == ".md" and anchor not in anchors(target.resolve().relative_to(ROOT)):
                wrong.append(f"{page}: {link} (no such heading)")
    assert not wrong, "\n".join(wrong)


def test_pages_that_the_code_names_are_there():
    named = re.compile(r"\bdocs/[\w./-]+\.(?:md|yaml)\b")
    wrong = [f"{path}: {page}" for path in tracked(".cc", ".h", ".py", ".js", ".mjs", ".sh") if path.parts[0] != "tests" and "_test" not in path.name
             for page in named.findall(text(path) or "") if not (ROOT / page).exists()]
    assert not wrong, "\n".join(wrong)


def test_what_python_functions_import_has_docstrings():
    folder = ROOT / "runtimes/python/compat/samovar"
    given = set(ast.literal_eval(text(folder / "__init__.py").split("__all__ = ")[1]))
    wrong = []
    for path in sorted(folder.glob("*.py")):
        for part in ast.parse(text(path)).body:
            if getattr(part, "name", None) not in given:
                continue
            methods = [m for m in part.body if isinstance(m, ast.FunctionDef) and not m.name.startswith("_")]
            wrong += [f"{path.name}: {part.name} {each.name}" for each in [part, *methods] if not ast.get_docstring(each)]
            given.remove(part.name)
    assert not wrong and not given, (wrong, given)
