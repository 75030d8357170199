"""Operations for migrations of tables that may be large: nobody waits while they work.

A migration that has one says `atomic = False` and has nothing else: where it is cut off, an index may be left behind
that is not valid. Drop it, and migrate again.
"""

from typing import Any

from django.contrib.postgres import operations
from django.db.migrations.operations import AddIndex, RemoveIndex


class _WherePossible:
    """Is Django's operation of the same name on PostgreSQL, and the ordinary one elsewhere."""

    concurrently: Any
    ordinary: Any

    def _how(self, schema_editor: Any) -> Any:
        return self.concurrently if schema_editor.connection.vendor == "postgresql" else self.ordinary

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._how(schema_editor).database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._how(schema_editor).database_backwards(self, app_label, schema_editor, from_state, to_state)


class AddIndexConcurrently(_WherePossible, operations.AddIndexConcurrently):
    """Adds an index while the table is written to, on PostgreSQL."""

    concurrently, ordinary = operations.AddIndexConcurrently, AddIndex


class RemoveIndexConcurrently(_WherePossible, operations.RemoveIndexConcurrently):
    """Removes an index while the table is written to, on PostgreSQL."""

    concurrently, ordinary = operations.RemoveIndexConcurrently, RemoveIndex
