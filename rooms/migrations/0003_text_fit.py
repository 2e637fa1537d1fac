"""Texts and names are checked by the database too; those that are there already are brought into shape first."""

import unicodedata

import django.db.models.functions.text
import django.db.models.lookups
import rooms.constraints
from django.conf import settings
from django.db import migrations, models

TEXT_CONTROLS = {code: "\ufffd" for code in (*range(0x00, 0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0))}
NAME_CONTROLS = {**TEXT_CONTROLS, 0x09: " ", 0x0A: " "}


def mend(text, controls):
    normal = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").translate(controls))
    return normal if normal.strip() else "\ufffd"


def mend_all(apps, schema_editor):
    for model, field, controls, length in (
        ("Message", "text", TEXT_CONTROLS, 4000),
        ("Member", "display_name", NAME_CONTROLS, 40),
        ("Guest", "display_name", NAME_CONTROLS, 40),
    ):
        rows = apps.get_model("rooms", model).objects.using(schema_editor.connection.alias)
        for pk, text in rows.exclude(**{field: None}).values_list("pk", field).iterator():
            mended = mend(text, controls)[:length]
            if mended != text:
                rows.filter(pk=pk).update(**{field: mended})


class Migration(migrations.Migration):

    dependencies = [
        ('rooms', '0002_lockdown'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='member',
            name='member_named',
        ),
        migrations.RemoveConstraint(
            model_name='message',
            name='message_text_not_empty',
        ),
        migrations.RemoveConstraint(
            model_name='message',
            name='message_text_not_too_long',
        ),
        migrations.AlterField(
            model_name='message',
            name='text',
            field=models.CharField(max_length=8000, null=True, verbose_name='text'),
        ),
        migrations.RunPython(mend_all, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name='guest',
            constraint=models.CheckConstraint(condition=models.Q(('display_name__isnull', True), models.Q(django.db.models.lookups.GreaterThanOrEqual(django.db.models.functions.text.Length(rooms.constraints.Trimmed(models.F('display_name'))), 1), django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length(rooms.constraints.Trimmed(models.F('display_name'))), 40), rooms.constraints.WithoutNul(models.F('display_name')), rooms.constraints.Nfc(models.F('display_name')), models.Q(('display_name__regex', '[\\u0001-\\u001f\\u007f-\\u009f]'), _negated=True)), _connector='OR'), name='guest_name_fit'),
        ),
        migrations.AddConstraint(
            model_name='member',
            constraint=models.CheckConstraint(condition=models.Q(('display_name__isnull', True), models.Q(django.db.models.lookups.GreaterThanOrEqual(django.db.models.functions.text.Length(rooms.constraints.Trimmed(models.F('display_name'))), 1), django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length(rooms.constraints.Trimmed(models.F('display_name'))), 40), rooms.constraints.WithoutNul(models.F('display_name')), rooms.constraints.Nfc(models.F('display_name')), models.Q(('display_name__regex', '[\\u0001-\\u001f\\u007f-\\u009f]'), _negated=True)), _connector='OR'), name='member_name_fit'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.CheckConstraint(condition=models.Q(('text__isnull', True), models.Q(django.db.models.lookups.GreaterThanOrEqual(django.db.models.functions.text.Length(rooms.constraints.Trimmed(models.F('text'))), 1), django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length(rooms.constraints.Trimmed(models.F('text'))), 4000), rooms.constraints.WithoutNul(models.F('text')), rooms.constraints.Nfc(models.F('text')), models.Q(('text__regex', '[\\u0001-\\u0008\\u000b-\\u001f\\u007f-\\u009f]'), _negated=True)), _connector='OR'), name='message_text_fit'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.CheckConstraint(condition=django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length('text'), 8000), name='message_text_not_too_long'),
        ),
    ]
