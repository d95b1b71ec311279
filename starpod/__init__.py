"""Starpod: a self-hosted gateway for a personal AI agent."""

from __future__ import annotations

__version__ = "0.1.0"
