"""What text is printed on: in colour or not, and so wide that lines have to go on below."""

from __future__ import annotations

__all__ = ["Sheet"]

_NARROWEST = 20
"""A terminal that says to be narrower does not know its width."""
_INDENT = "    "


class Sheet:
    """What is printed on: whether in colour, and how wide."""

    def __init__(self, color: bool, width: int | None) -> None:
        self.color = color
        self.width = width if width is not None and width >= _NARROWEST else None

    def styled(self, text: str, style: str) -> str:
        """Text between the escapes of a style, such as "1" for bold, where there is colour."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.color else text

    def wrapped(self, *parts: tuple[str, str], text: str) -> str:
        """Text behind parts with a style each ("" for none), in lines of the width; all but the first are indented."""
        styled = "".join(self.styled(part, style) if style else part for part, style in parts)
        lead = "".join(part for part, _ in parts)
        if self.width is None or len(lead) + len(text) <= self.width:
            return styled + text
        from textwrap import wrap  # most runs need none

        fits = len(lead) + len(text.split(maxsplit=1)[0]) <= self.width
        lines = wrap(
            text,
            self.width,
            initial_indent=" " * len(lead) if fits else _INDENT,
            subsequent_indent=_INDENT,
            replace_whitespace=False,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return "\n".join([styled + lines[0][len(lead) :], *lines[1:]] if fits else [styled.rstrip(), *lines])
