"""`python -m starpod` is the `starpod` command."""

import sys

from starpod.cli import main

sys.exit(main())
