"""`python -m edgesdk`, which torchrun needs."""

from edgesdk.cli import main

raise SystemExit(main())
