"""`python -m gridmgmt` is the `gridmgmt` command."""

from gridmgmt.cli import main

main()
