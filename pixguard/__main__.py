"""``python -m pixguard``."""

from pixguard.cli.app import main

main()
