"""What an archive says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

FORMAT = 1
MANIFEST = "starpod-backup.json"
MAX_MANIFEST_BYTES = 256 * 1024 * 1024


class Manifest(BaseModel):
    """The last member of an archive. `files` maps each other member to its SHA-256, in hexadecimal digits."""

    model_config = ConfigDict(extra="ignore", strict=True)

    format: int
    version: str
    schema_number: int
    created_at: str
    has_vault_key: bool
    files: dict[str, str] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Written:
    """A finished archive: where it is, how many files it holds, and which were left out because they are links or no files."""

    path: Path
    file_count: int
    left_out: tuple[str, ...]
    has_vault_key: bool


@dataclass(frozen=True, slots=True)
class Restored:
    """A finished restore: how many files came back, from when, and where what stood there before is now (empty: nothing did)."""

    file_count: int
    created_at: str
    replaced: tuple[Path, ...]
    has_vault_key: bool
