"""Findings to edited source: format-preserving, verified, atomic.

``lines``, ``names`` and ``document`` answer what stands where in a text and how it is spelled there; ``calls`` and
``statements`` say what edits a change comes to; ``edits`` puts edits into a text; ``verify`` makes sure that nothing
else changed; ``rounds`` applies fixes until none is left; ``files`` reads and writes. Only this package knows libcst,
and it is loaded only when somebody asks for edits.
"""
