"""`python -m hgzoo` is the same as `hgzoo`."""

import sys

from hgzoo.cli import main

sys.exit(main())
