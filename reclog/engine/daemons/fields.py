"""How what a daemon is told is checked: a dataclass of fields, and what each of them must be.

Rules kept here:

- Whoever starts a daemon writes what `to_json` returns, beside what concerns the commands alone.
- A field that is wrong is named. One that an older writer did not have has its default, one that only a newer
  writer has is nobody's here.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Callable, ClassVar, FrozenSet, Mapping, Tuple, TypeVar

#: Tells whether a value is right, and what one is in words.
Meant = Tuple[Callable[[Any], bool], str]
YES_OR_NO: Meant = (lambda value: isinstance(value, bool), "true or false")
C = TypeVar("C", bound="Config")


class Config:
    """Fields that come from one JSON object, those of a part beside its own."""

    #: The fields that can change while the daemon runs, by the names that they have in the JSON object.
    CHANGEABLE: ClassVar[FrozenSet[str]] = frozenset()
    #: What a field must be: by its name, or by its type.
    MEANT: ClassVar[Mapping[str, Meant]] = {}
    #: The fields that are parts.
    PARTS: ClassVar[Mapping[str, type[Config]]] = {}

    @classmethod
    def from_json(cls: type[C], told: Mapping[str, Any]) -> C:
        """Return what `told` says. Raises ValueError, which names the field that is wrong."""
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            value = told.get(field.name)
            if field.name in cls.PARTS:
                values[field.name] = cls.PARTS[field.name].from_json(told)
            elif value is not None:
                is_right, meant = cls.MEANT.get(field.name) or cls.MEANT[str(field.type)]
                if not is_right(value):
                    raise ValueError(f"{field.name} is {repr(value)[:50]}, not {meant}")
                values[field.name] = value
            elif field.default is field.default_factory is dataclasses.MISSING:
                raise ValueError(f"it has no {field.name}")
        return cls(**values)

    def changed(self: C, wanted: Mapping[str, Any]) -> C:
        """Return it with what is `wanted`. Raises ValueError for what is wrong, or can't change."""
        for name in wanted:
            if name not in self.CHANGEABLE:
                raise ValueError(f"{name} does not change while it runs")
        return self.from_json({**self.to_json(), **wanted})

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        told: dict[str, Any] = dataclasses.asdict(self)  # type: ignore[call-overload]
        for part in self.PARTS:
            told.update(told.pop(part))
        return told


def passes(word: str) -> bool:
    """Tell whether the system takes a word. Raises ValueError for half of a surrogate pair."""
    return b"\0" not in os.fsencode(word)


def word(right: Callable[[str], object]) -> Callable[[Any], bool]:
    """Return whether something is a word for which `right` returns something true, and raises nothing."""

    def test(value: Any) -> bool:
        try:
            return isinstance(value, str) and bool(right(value))
        except ValueError:
            return False

    return test


def words(right: Callable[[str], object], least: int) -> Callable[[Any], bool]:
    """Return whether something is a list of so many such words at least."""
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(word(right), value))


def whole(least: int, most: int) -> Callable[[Any], bool]:
    """Return whether something is a number from `least` to `most`."""
    return lambda value: type(value) is int and least <= value <= most
