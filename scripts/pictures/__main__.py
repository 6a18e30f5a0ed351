"""Writes docs/pictures."""

import argparse
import sys
from pathlib import Path

from scripts.pictures import FOLDER, pictures


def main() -> int:
    """Draw every picture, or with --check only say whether they are up to date."""
    parser = argparse.ArgumentParser(description="Draw docs/pictures from what the policy decides.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a picture is not up to date")
    check = parser.parse_args().check
    old = [name for name, text in pictures() if not _is_there(FOLDER / name, text)]
    if check and old:
        sys.exit(f"not up to date: {', '.join(old)}: run python -m scripts.pictures")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pictures():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def _is_there(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
