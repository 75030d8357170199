"""Operations for migrations of tables that may be large: nobody waits while they work.

A migration that has one says `atomic = False` and has nothing else: where it is cut off, an index may be left behind
that is not valid. Drop it, and migrate again.
"""

from typing import Any

from django.contrib.postgres import operations
from django.db.migrations.operations import AddIndex, RemoveIndex


class AddIndexConcurrently(operations.AddIndexConcurrently):
    """Django's own of that name on PostgreSQL, and an ordinary AddIndex elsewhere."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        base = operations.AddIndexConcurrently if schema_editor.connection.vendor == "postgresql" else AddIndex
        base.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        base = operations.AddIndexConcurrently if schema_editor.connection.vendor == "postgresql" else AddIndex
        base.database_backwards(self, app_label, schema_editor, from_state, to_state)


class RemoveIndexConcurrently(operations.RemoveIndexConcurrently):
    """Django's own of that name on PostgreSQL, and an ordinary RemoveIndex elsewhere."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        base = operations.RemoveIndexConcurrently if schema_editor.connection.vendor == "postgresql" else RemoveIndex
        base.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        base = operations.RemoveIndexConcurrently if schema_editor.connection.vendor == "postgresql" else RemoveIndex
        base.database_backwards(self, app_label, schema_editor, from_state, to_state)
