"""Servers that misbehave: `python bad.py LOG hang|exit|garbage`. They append their process id to LOG."""

from __future__ import annotations

import os
import signal
import sys
import time

log, kind = sys.argv[1:]
with open(log, "a") as file:
    file.write(f"start {os.getpid()}\n")
match kind:
    case "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)
    case "exit":
        sys.stderr.write("I lack a module\n")
        sys.exit(1)
    case "garbage":
        for _ in range(2_000):
            print("welcome to my server " * 20, flush=True)
        time.sleep(60)
