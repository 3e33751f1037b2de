"""``python -m initlint``.

Python puts the working directory first on the path for ``-m``. A check that runs nothing must not import a
``click.py`` or an ``ast.py`` that happens to lie there, so it is taken off before anything else is imported.
"""

import sys

if __name__ == "__main__" and sys.path and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]

from initlint.cli import run

if __name__ == "__main__":
    run()
