"""A source text with its syntax tree: what stands where, and how it is spelled."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TypeVar

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from initlint.fix.errors import CannotFix
from initlint.fix.lines import Lines
from initlint.fix.names import Names
from initlint.location import Location

__all__ = ["Document"]

Node = TypeVar("Node", bound=cst.CSTNode)


class Document:
    """A text that libcst can parse and give back as it was; CannotFix for any other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = Lines(text)
        try:
            tree = cst.parse_module(text)
        except (cst.ParserSyntaxError, RecursionError, ValueError) as error:
            raise CannotFix(f"libcst cannot parse the file ({type(error).__name__})") from None
        if tree.code != text:
            raise CannotFix("libcst does not give the file back as it is written")
        try:
            wrapper = MetadataWrapper(tree, unsafe_skip_copy=True)
            positions = wrapper.resolve(PositionProvider)
        except RecursionError:
            raise CannotFix("the file is nested too deeply") from None
        self.tree: cst.Module = tree
        self._spans: dict[cst.CSTNode, tuple[int, int]] = {}
        self._at: dict[tuple[int, int], list[cst.CSTNode]] = {}
        for node, place in positions.items():
            start, end = place.start, place.end
            span = self.lines.offset(start.line, start.column), self.lines.offset(end.line, end.column)
            self._spans[node] = span
            self._at.setdefault(span, []).append(node)
        self._parents: dict[cst.CSTNode, cst.CSTNode] = {}
        pending: list[cst.CSTNode] = [tree]
        while pending:
            node = pending.pop()
            for child in node.children:
                self._parents[child] = node
                pending.append(child)

    @cached_property
    def names(self) -> Names:
        """What the file imports and how its names are spelled."""
        return Names(self.text, self.lines)

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Where a node starts and ends, without the parentheses and the space around it."""
        return self._spans[node]

    def outer(self, node: cst.BaseExpression) -> tuple[int, int]:
        """Where an expression starts and ends, with the parentheses around it."""
        start, end = self._spans[node]
        code = self.tree.code_for_node
        return start - sum(len(code(left)) for left in node.lpar), end + sum(len(code(right)) for right in node.rpar)

    def start_of_argument(self, argument: cst.Arg) -> int:
        """Where an argument of a call starts: its name, its stars or its value."""
        if argument.keyword is not None:
            return self._spans[argument.keyword][0]
        start, _ = self.outer(argument.value)
        return start - len(argument.star) - len(self.tree.code_for_node(argument.whitespace_after_star))

    def source(self, node: cst.CSTNode) -> str:
        """A node as it is written, without the parentheses around it."""
        start, end = self._spans[node]
        return self.text[start:end]

    def within(self, location: Location | None) -> tuple[int, int]:
        """The offsets of a place; CannotFix where its end is not known."""
        if location is None or location.end_line is None or location.end_column is None:
            raise CannotFix("the place is not known exactly")
        return (
            self.lines.offset(location.line, location.column - 1),
            self.lines.offset(location.end_line, location.end_column - 1),
        )

    def find(self, location: Location | None, *kinds: type[Node]) -> Node:
        """The node of one of these kinds that stands at a place; CannotFix where there is none."""
        for node in self._at.get(self.within(location), ()):
            if isinstance(node, kinds):
                return node
        raise CannotFix("something else stands there now")

    def node(self, location: Location | None) -> cst.CSTNode:
        """What stands at a place, whatever it is; CannotFix where nothing does."""
        for node in self._at.get(self.within(location), ()):
            return node
        raise CannotFix("something else stands there now")

    def expression(self, location: Location | None) -> cst.BaseExpression:
        """The expression that stands at a place; CannotFix where there is none."""
        for node in self._at.get(self.within(location), ()):
            if isinstance(node, cst.BaseExpression):
                return node
        raise CannotFix("something else stands there now")

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        """What a node is a part of; CannotFix for the module itself."""
        try:
            return self._parents[node]
        except KeyError:
            raise CannotFix("it stands in nothing") from None

    def around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """What a node is a part of, from the inside out."""
        while (outer := self._parents.get(node)) is not None:
            yield outer
            node = outer

    def inside(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """A node and all that it is made of."""
        pending = [node]
        while pending:
            current = pending.pop()
            yield current
            pending.extend(current.children)

    def indentation_step(self, statement: cst.CSTNode) -> str:
        """By how much a block in the place of a statement is indented: as the block around it, or as the file does."""
        for outer in self.around(statement):
            if isinstance(outer, cst.IndentedBlock):
                return self.tree.default_indent if outer.indent is None else outer.indent
        return self.tree.default_indent

    def statement(self, node: cst.CSTNode) -> cst.SimpleStatementLine | cst.BaseCompoundStatement:
        """The innermost statement that a node is or stands in."""
        if isinstance(node, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            return node
        for outer in self.around(node):
            if isinstance(outer, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
                return outer
        raise CannotFix("it stands in no statement")

    def rows(self, statement: cst.CSTNode) -> tuple[int, int]:
        """Where the lines of a statement start and end; CannotFix where it shares them with another."""
        start, end = self._spans[statement]
        first = self.lines.start_of(start)
        if self.text[first:start].strip():
            raise CannotFix("the statement does not begin its line")
        return first, self.lines.end_of(end)

    def enclosing(self, node: cst.CSTNode, *kinds: type[Node]) -> Node:
        """The innermost node of one of these kinds around a node; CannotFix where there is none."""
        for outer in self.around(node):
            if isinstance(outer, kinds):
                return outer
        raise CannotFix("it stands in nothing of the kind")
