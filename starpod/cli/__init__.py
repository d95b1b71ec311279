"""The `starpod` command. Nothing else imports this package: the server must start without the terminal's libraries."""

from starpod.cli.command import main

__all__ = ["main"]
