"""The command line in a process of its own: ``python -m initlint``, and the program ``initlint``.

Python puts the working directory first on the path for ``-m``. A check that runs nothing must not import a
``click.py`` or an ``ast.py`` that happens to lie there, so it is taken off before anything else is imported.
"""

import gc
import sys

if __name__ == "__main__" and sys.path and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]

OBJECTS_A_COLLECTION = 100_000
"""How much is made between two collections of garbage. There is next to none, and looking for it while modules are
loaded, and once more through all there is when the process ends, would be a tenth of a check of one file."""


def run() -> None:
    """Run the command line; what it makes is not looked through for garbage when it exits."""
    gc.set_threshold(OBJECTS_A_COLLECTION, *gc.get_threshold()[1:])
    from initlint.cli import main

    try:
        main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    run()
