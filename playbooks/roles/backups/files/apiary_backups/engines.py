"""Which module asks which kind of database server."""

from __future__ import annotations

from types import ModuleType

from apiary_backups import engine_mysql, engine_postgresql

BY_NAME: dict[str, ModuleType] = {"postgresql": engine_postgresql, "mysql": engine_mysql}
