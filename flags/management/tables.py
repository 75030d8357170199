"""Tables that a person reads in a terminal."""

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows under headings, each column as wide as its widest cell. None and "" show as a dash."""
    lines = [tuple(headings), *(tuple(_cell(value) for value in row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Return names and values, one pair a line, the values below each other."""
    known = [(name, _cell(value)) for name, value in pairs]
    width = max(len(name) for name, _ in known)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in known)


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else str(value)
