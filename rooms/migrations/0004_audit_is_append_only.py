"""Let the database itself keep the audit log as it was written.

PostgreSQL refuses to change or delete a row; TRUNCATE, with which a whole database is emptied, is for the owner of the
table alone. SQLite has no TRUNCATE, and Django empties it row by row: there only changing is refused. A later migration
that makes the table anew on SQLite (as Django does for most changes) has to make the trigger anew, too.
"""

from django.db import migrations

FORWARDS = {
    'postgresql': [
        """
        CREATE FUNCTION rooms_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'integrity_constraint_violation';
        END
        $$
        """,
        """
        CREATE TRIGGER rooms_audit_is_append_only BEFORE UPDATE OR DELETE ON rooms_auditentry
        FOR EACH ROW EXECUTE FUNCTION rooms_audit_is_append_only()
        """,
    ],
    'sqlite': [
        """
        CREATE TRIGGER rooms_audit_is_append_only BEFORE UPDATE ON rooms_auditentry
        BEGIN
            SELECT RAISE(ABORT, 'the audit log is append-only');
        END
        """,
    ],
}
BACKWARDS = {
    'postgresql': [
        'DROP TRIGGER rooms_audit_is_append_only ON rooms_auditentry',
        'DROP FUNCTION rooms_audit_is_append_only()',
    ],
    'sqlite': ['DROP TRIGGER rooms_audit_is_append_only'],
}


def run(statements):
    def execute(apps, schema_editor):
        for statement in statements.get(schema_editor.connection.vendor, []):
            schema_editor.execute(statement, params=None)

    return execute


class Migration(migrations.Migration):

    dependencies = [
        ('rooms', '0003_text_fit'),
    ]

    operations = [
        migrations.RunPython(run(FORWARDS), run(BACKWARDS)),
    ]
