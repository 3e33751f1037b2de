"""Pages that are made from what they describe: rules, configuration, command line, JSON layout, changelog.

mkdocs calls ``on_config`` and ``on_files``. Nothing is written into the tree: the pages exist while a site is built.
"""

from __future__ import annotations

import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from initlint.cli import commands
from initlint.engine import load
from initlint.rule import Bad, Good
from initlint.rulebook import catalogue, described
from initlint.settings import INITIALIZER_KEYS, KEYS, MODEL_KEYS, Key

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "initlint/report/schema.json"

FAMILIES = {
    "comments": "Comments",
    "degenerate": "Degenerate values",
    "scale": "Scale and scheme",
    "bias_and_norm": "Biases and norms",
    "wiring": "Wiring",
    "api": "Misuse of the init API",
    "reproducibility": "Reproducibility",
    "probe": "The probe",
}
NEEDS = {
    "source": "the source, read",
    "parameters": "the parameters of a built model, and what wrote them",
    "graph": "what follows each layer, traced",
    "probe": "what a forward and backward pass measures",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the rules into the navigation, by family."""
    groups = itertools.groupby(catalogue(), key=lambda entry: entry["family"])
    families = {family: list(entries) for family, entries in groups}
    rules: list[Any] = ["rules/index.md"]
    for family, title in FAMILIES.items():
        rules.append({title: [{f"{e['code']} {e['name']}": _page(e)} for e in families.pop(family)]})
    if families:
        raise ValueError(f"families without a title: {', '.join(families)}")
    for section in config.nav or []:
        if "Rules" in section:
            section["Rules"] = rules
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    import json

    entries = described(entry["code"] for entry in catalogue())
    made: dict[str, str] = {
        "rules/index.md": rules_index(entries.values()),
        **{_page(entry): rule_page(entry) for entry in entries.values()},
        "reference/configuration.md": configuration(),
        "reference/command_line.md": command_line(commands),
        "reference/json.md": json_layout(json.loads(SCHEMA.read_text(encoding="utf-8"))),
        "reference/report.schema.json": SCHEMA.read_text(encoding="utf-8"),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def _page(entry: Mapping[str, Any]) -> str:
    return f"rules/{entry['code']}.md"


def _severity(entry: Mapping[str, Any]) -> str:
    severity, highest = entry["severity"], entry["highest"]
    return severity if severity == highest else f"{severity}, at most {highest}"


def rules_index(entries: Sequence[Mapping[str, Any]] | Any) -> str:
    """All rules in a table a family."""
    lines = [
        "# Rules",
        "",
        "Each page is made from the rule's own documentation, and its examples are run by the test suite. `initlint "
        "rules` lists the same on a terminal, `initlint explain CODE` shows one.",
        "",
        "An **error** is certain, or fatal; a **warning** costs training; **advice** is off until it is asked for "
        "(`--advice`, or its code in `--select`). A rule may raise a finding above its default where the measured "
        "consequence is that large: both are given. `fix` marks what `--fix` or `--diff` can mend.",
    ]
    by_family: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        by_family.setdefault(entry["family"], []).append(entry)
    for family, title in FAMILIES.items():
        lines += ["", f"## {title}", "", "| rule | severity | what it finds |", "|---|---|---|"]
        for entry in by_family[family]:
            severity = f"{_severity(entry)}; fix" if entry["fixable"] else _severity(entry)
            link = f"[{entry['code']}]({entry['code']}.md) {entry['name']}"
            lines.append(f"| {link} | {severity} | {_cell(entry['summary'])} |")
    return "\n".join(lines) + "\n"


def rule_page(entry: Mapping[str, Any]) -> str:
    """One rule: what it says of itself, the facts about it, its documentation and the examples it is tested with."""
    rule = load(entry["code"])
    summary, _, body = entry["documentation"].partition("\n")
    default = "" if entry["default"] else " (off until it is selected)"
    facts = {
        "severity": _severity(entry) + default,
        "stands on": "; ".join(NEEDS[need] for need in entry["needs"]),
        "fix": "`--fix` or `--diff`: see [fix safety](#fix-safety)" if entry["fixable"] else "none",
        "since": entry["since"],
        "silence it": f"`# initlint: ignore[{entry['code']}]` on the line",
    }
    lines = [
        f"# {entry['code']} {entry['name']}",
        "",
        f"**{summary}**",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {text} |" for name, text in facts.items()),
        _fenced(body),
        "",
        "## What it is tested with",
        "",
        "`import math, torch`, `from torch import nn` and `import torch.nn.functional as F` stand above each of these.",
        "",
        "### It finds",
        "",
        *itertools.chain.from_iterable(map(_bad, rule.bad)),
        "### It leaves alone",
        "",
        *itertools.chain.from_iterable(map(_good, rule.good)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _fenced(markdown: str) -> str:
    """Markdown with its indented blocks, which are Python, fenced, so that they are coloured."""
    out: list[str] = []
    block: list[str] = []
    for line in [*markdown.splitlines(), "end"]:
        if line.startswith("    ") or (block and not line.strip()):
            block.append(line)
            continue
        if block:
            code = textwrap.dedent("\n".join(block)).strip("\n")
            out += ["```python", code, "```", ""]
            block = []
        out.append(line)
    return "\n".join(out[:-1])


def _bad(example: Bad) -> Iterator[str]:
    lines = textwrap.dedent(example.code).strip("\n").splitlines()
    marked = [str(number) for number, line in enumerate(lines, 1) if line.rstrip().endswith("#~")]
    code = [re.sub(r"\s*#~\s*$", "", line) for line in lines]
    emphasis = f' hl_lines="{" ".join(marked)}"' if marked else ""
    yield from (f"```{{.python{emphasis}}}", *code, "```", "", _seen_by(example.by), "")
    if example.fixed is not None:
        fixed = textwrap.dedent(example.fixed).strip("\n").splitlines()
        yield from ("after its fix:", "", "```python", *(re.sub(r"\s*#~\s*$", "", line) for line in fixed), "```", "")


def _good(example: Good) -> Iterator[str]:
    code = textwrap.dedent(example.code).strip("\n").splitlines()
    yield from ("```python", *code, "```", "", _seen_by(example.by), "")


def _seen_by(by: Sequence[str]) -> str:
    words = {"source": "read", "live": "built and probed", "ranks": "built by two processes"}
    return f"*{' and '.join(words[each] for each in by)}*".replace("*r", "*R", 1).replace("*b", "*B", 1)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def configuration() -> str:
    """The keys of a configuration, from the table that reads them, below what docs/reference says of files."""
    head = (ROOT / "docs/hooks/configuration.md").read_text(encoding="utf-8")
    parts = [
        ("`[tool.initlint]`", "", KEYS, "One key to a line, as in TOML."),
        ("`[[tool.initlint.model]]`", "model.", MODEL_KEYS, "A model to build; without a value the run's own holds."),
        (
            "`[[tool.initlint.initializer]]`",
            "initializer.",
            INITIALIZER_KEYS,
            "A function of your own that fills a tensor.",
        ),
    ]
    lines = [head.rstrip()]
    for title, prefix, keys, about in parts:
        lines += ["", f"## {title}", "", about]
        for key in keys:
            lines += ["", *_key(key, prefix)]
    return "\n".join(lines) + "\n"


def _key(key: Key, prefix: str) -> Iterator[str]:
    yield f"### {prefix}{key.name}"
    yield ""
    yield key.doc
    yield ""
    default = key.default or ("none: it has to be there" if key.name in ("target", "name", "signature") else "none")
    yield f"Holds {key.kind.words}. Default: {default if default.startswith('none') else f'`{default}`'}."


def command_line(group: click.Group) -> str:
    """Every command with its options, as click knows them."""
    lines = ["# Command line", "", "Made from the program's own help. Exit codes: [in CI](../guide/ci.md#exit-codes)."]
    for name, command in group.commands.items():
        context = click.Context(command, info_name=f"initlint {name}")
        usage = " ".join(command.collect_usage_pieces(context))
        lines += [
            "",
            f"## initlint {name}",
            "",
            inspect.cleandoc(command.help or ""),
            "",
            "```text",
            f"initlint {name} {usage}",
            "```",
            "",
        ]
        options = [p for p in command.get_params(context) if isinstance(p, click.Option) and not p.hidden]
        for option in options:
            record = option.get_help_record(context)
            if record is not None:
                lines.append(f"- `{record[0]}`: {record[1]}")
    return "\n".join(lines) + "\n"


def json_layout(schema: Mapping[str, Any]) -> str:
    """The layout of the JSON report, from its schema."""
    head = (ROOT / "docs/hooks/json.md").read_text(encoding="utf-8")
    lines = [head.rstrip(), "", "## The report", *_fields(schema, schema)]
    for name in ("finding", "layer", "model"):
        lines += ["", f"## A {name}", *_fields(schema["$defs"][name], schema)]
    lines += ["", "## The summary", *_fields(schema["properties"]["summary"], schema)]
    return "\n".join(lines) + "\n"


def _fields(table: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "| field | holds | |", "|---|---|---|")
    for name, field in table["properties"].items():
        yield f"| `{name}` | {_cell(_type(field, schema))} | {_cell(field.get('description', ''))} |"


def _type(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a field may hold, in words."""
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        simple = {
            "text": "text or null",
            "position": "whole number or null",
            "figure": 'number, null, "nan", "inf" or "-inf"',
        }
        return simple.get(name, f"a [{name}](#a-{name})")
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    words = {
        "string": "text",
        "integer": "whole number",
        "object": "object",
        "array": "list",
        "boolean": "true or false",
    }
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    told = " or ".join(words.get(kind, kind) for kind in kinds)
    if "items" in field:
        told = told.replace("list", f"list: {_type(field['items'], schema)}", 1)
    return told
