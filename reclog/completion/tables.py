"""The tasks and their flags, as their sources have them: to import those takes longer than a Tab key may."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

#: The flags of a task, and which of them take a value.
Flags = dict[str, bool]

#: What stands before a task.
_INVOKES: Flags = dict.fromkeys(("--help", "--list", "--version"), False)
_FABRICS: Flags = dict.fromkeys(("-H", "--hosts", "-S", "--ssh-config", "-i", "--identity"), True)
CORE: Mapping[str, Flags] = {"inv": _INVOKES, "fab": {**_INVOKES, **_FABRICS}}


def tasks_in(program: Path, folder: Path) -> dict[str, Flags]:
    """Return the flags of each task that the source `program` names, as MODULE.TASK of those in `folder`."""
    found: dict[str, Flags] = {}
    for prefix, node in _named(ast.parse(program.read_text("utf-8"))):
        if isinstance(node.value, ast.Name) and (folder / f"{node.value.id}.py").is_file():
            task = _tasks_of(folder / f"{node.value.id}.py").get(node.attr)
            if task is not None:
                name, flags = task
                found.setdefault(prefix + name, {}).update(flags)
    return found


def _named(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.Attribute]]:
    """Yield each attribute in a source, with the names of the collections that it is in."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Attribute):
            yield prefix, node
        deeper = prefix
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            deeper += f"{node.args[0].value!s}." if getattr(node.func, "id", "") == "Collection" else ""
        yield from _named(node, deeper)


def _tasks_of(module: Path) -> dict[str, tuple[str, Flags]]:
    """Return the name and the flags of each task of a module, by the names of their functions."""
    found = {}
    for node in ast.parse(module.read_text("utf-8")).body:
        for call in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "task":
                assert isinstance(node, ast.FunctionDef)
                named = [word.value for word in call.keywords if word.arg == "name"]
                name = next((str(one.value) for one in named if isinstance(one, ast.Constant)), node.name)
                found[node.name] = _dashed(name), dict(_flags(node.args))
    return found


def _flags(given: ast.arguments) -> Iterator[tuple[str, bool]]:
    for argument, default in zip(given.args[1:], given.defaults):
        value = default.value if isinstance(default, ast.Constant) else None
        name = _dashed(argument.arg)
        yield f"--{name}", not isinstance(value, bool)
        if value is True:
            yield f"--no-{name}", False


def _dashed(name: str) -> str:
    return name.strip("_").replace("_", "-")
