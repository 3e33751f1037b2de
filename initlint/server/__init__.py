"""The language server: what reading finds, told to an editor while one types. Nothing of what is checked is run.

- ``starting`` opens the streams and runs the server until the editor is gone;
- ``conversation`` is the server: what is done when a text is opened, changed or closed, and when something is asked;
- ``documents`` holds the texts as the editor has them, ``checks`` tells what is found in one;
- ``diagnostics`` puts findings into the protocol's words, ``repairs`` offers what mends or silences them, ``silencing``
  says where a comment that does so goes.

Only this package knows pygls (extra ``lsp``).
"""
