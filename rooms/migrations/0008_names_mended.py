"""Names, slugs and what is searched are brought into the form that they have from now on; then the database keeps it.

Rows that break a rule are mended, so that nothing makes this fail. It may run again from its start after an interruption,
and beside processes of before: what those write meanwhile is mended in a second pass. On PostgreSQL no lock is held while
rows are read: constraints are first added for new rows, then validated, which lets others read and write.
"""

import logging
import re
import unicodedata

import django.db.models.functions.text
import django.db.models.lookups
import rooms.constraints
from django.db import migrations, models
from rooms import texts

logger = logging.getLogger(__name__)

NAMES = (('Room', 'name', 80), ('Member', 'display_name', 40), ('Guest', 'display_name', 40))


class AddConstraint(migrations.AddConstraint):
    """On PostgreSQL for rows that are written from now on, without reading the others."""

    atomic = True

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != 'postgresql':
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        drop(schema_editor, model, self.constraint.name)
        schema_editor.execute(f'{self.constraint.create_sql(model, schema_editor)} NOT VALID', params=None)


class RemoveConstraint(migrations.RemoveConstraint):
    atomic = True

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != 'postgresql':
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        drop(schema_editor, to_state.apps.get_model(app_label, self.model_name), self.name)


def drop(schema_editor, model, constraint):
    schema_editor.execute(f'ALTER TABLE {model._meta.db_table} DROP CONSTRAINT IF EXISTS {constraint}', params=None)


def validate(apps, schema_editor):
    if schema_editor.connection.vendor == 'postgresql':
        for table, constraint in (('member', 'member_named'), ('guest', 'guest_named'), ('room', 'room_name_fit'), ('room', 'room_slug_fit')):
            schema_editor.execute(f'ALTER TABLE rooms_{table} VALIDATE CONSTRAINT {constraint}', params=None)


def rows_of(apps, schema_editor, model):
    return apps.get_model('rooms', model).objects.using(schema_editor.connection.alias)


def mend_names(apps, schema_editor):
    for model, field, length in NAMES:
        rows = rows_of(apps, schema_editor, model)
        for pk, name in list_of(rows.values_list('pk', field)):
            mended = texts.mended_name(name, length)
            if mended != name:
                rows.filter(pk=pk, **{field: name}).update(**{field: mended})
    rooms = rows_of(apps, schema_editor, 'Room')
    for pk, description in list_of(rooms.exclude(description='').values_list('pk', 'description')):
        mended = texts.mended_description(description, 1000)
        if mended != description:
            rooms.filter(pk=pk).update(description=mended)


def list_of(rows):
    """Page by page, so that no cursor stays open while rows are written."""
    last, page = 0, True
    while page:
        page = list(rows.filter(pk__gt=last).order_by('pk')[:5000])
        yield from page
        last = page[-1][0] if page else last


def mend_slugs(apps, schema_editor):
    """The room that has the slug in small letters keeps it, another gets a number after its own."""
    rooms = rows_of(apps, schema_editor, 'Room')
    slugs = dict(rooms.order_by('pk').values_list('pk', 'slug'))
    taken = {slug for slug in slugs.values() if texts.slug(slug) == slug}
    for pk, slug in slugs.items():
        if texts.slug(slug) == slug:
            continue
        wanted = texts.slug(slug) or slug_like(slug)
        found = wanted if wanted not in taken else free(wanted, taken)
        taken.add(found)
        rooms.filter(pk=pk).update(slug=found)
        if found != wanted:
            logger.warning('Room %s, /salas/%s/, is /salas/%s/ now: slugs differ by more than case', pk, slug, found)
    keep_slugs(apps, schema_editor)


def slug_like(text):
    plain = unicodedata.normalize('NFKD', text[:80]).encode('ascii', 'ignore').decode().lower()
    return re.sub('[^-a-z0-9_]+', '-', plain).strip('-')[:80] or 'room'


def free(slug, taken):
    number = 2
    while (found := f'{slug[:70]}-{number}') in taken:
        number += 1
    return found


def keep_slugs(apps, schema_editor):
    alias = schema_editor.connection.alias
    RoomSlug = apps.get_model('rooms', 'RoomSlug')
    for pk, slug in rows_of(apps, schema_editor, 'Room').values_list('pk', 'slug'):
        RoomSlug.objects.using(alias).get_or_create(slug=slug, defaults={'room_id': pk})


def fold(apps, schema_editor):
    searched = rows_of(apps, schema_editor, 'SearchText')
    for pk, name, description in rows_of(apps, schema_editor, 'Room').values_list('pk', 'name', 'description'):
        searched.update_or_create(pk=pk, defaults={'text': texts.folded(f'{name}\n{description}')})


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('rooms', '0007_names'),
    ]

    operations = [
        migrations.RunPython(mend_names, migrations.RunPython.noop, atomic=True),
        migrations.RunPython(mend_slugs, migrations.RunPython.noop, atomic=True),
        RemoveConstraint(model_name='guest', name='guest_name_fit'),
        RemoveConstraint(model_name='member', name='member_name_fit'),
        RemoveConstraint(model_name='room', name='room_named'),
        AddConstraint(model_name='guest', constraint=models.CheckConstraint(condition=models.Q(django.db.models.lookups.GreaterThanOrEqual(django.db.models.functions.text.Length(models.F('display_name')), 1), django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length(models.F('display_name')), 40), rooms.constraints.WithoutNul(models.F('display_name')), rooms.constraints.Nfc(models.F('display_name')), models.Q(('display_name__regex', '[\\u0001-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069\\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2060-\\u2065\\u206a-\\u206f\\ufeff\\ufff9-\\ufffb]|^ | $|  |[\\u0300-\\u036f\\u0483-\\u0489\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\u3099\\u309a\\ufe00-\\ufe0f\\ufe20-\\ufe2f]{9}'), _negated=True), ('display_name__regex', '[^ \\u0300-\\u036f\\u0483-\\u0489\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\u3099\\u309a\\ufe00-\\ufe0f\\ufe20-\\ufe2f\\u200c\\u200d\\u115f\\u1160\\u17b4\\u17b5\\u2800\\u3164\\uffa0]')), name='guest_named', violation_error_message='A name is one line with something to see, without control characters and overrides of direction.')),
        AddConstraint(model_name='member', constraint=models.CheckConstraint(condition=models.Q(django.db.models.lookups.GreaterThanOrEqual(django.db.models.functions.text.Length(models.F('display_name')), 1), django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length(models.F('display_name')), 40), rooms.constraints.WithoutNul(models.F('display_name')), rooms.constraints.Nfc(models.F('display_name')), models.Q(('display_name__regex', '[\\u0001-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069\\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2060-\\u2065\\u206a-\\u206f\\ufeff\\ufff9-\\ufffb]|^ | $|  |[\\u0300-\\u036f\\u0483-\\u0489\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\u3099\\u309a\\ufe00-\\ufe0f\\ufe20-\\ufe2f]{9}'), _negated=True), ('display_name__regex', '[^ \\u0300-\\u036f\\u0483-\\u0489\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\u3099\\u309a\\ufe00-\\ufe0f\\ufe20-\\ufe2f\\u200c\\u200d\\u115f\\u1160\\u17b4\\u17b5\\u2800\\u3164\\uffa0]')), name='member_named', violation_error_message='A name is one line with something to see, without control characters and overrides of direction.')),
        AddConstraint(model_name='room', constraint=models.CheckConstraint(condition=models.Q(django.db.models.lookups.GreaterThanOrEqual(django.db.models.functions.text.Length(models.F('name')), 1), django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length(models.F('name')), 80), rooms.constraints.WithoutNul(models.F('name')), rooms.constraints.Nfc(models.F('name')), models.Q(('name__regex', '[\\u0001-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069\\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2060-\\u2065\\u206a-\\u206f\\ufeff\\ufff9-\\ufffb]|^ | $|  |[\\u0300-\\u036f\\u0483-\\u0489\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\u3099\\u309a\\ufe00-\\ufe0f\\ufe20-\\ufe2f]{9}'), _negated=True), ('name__regex', '[^ \\u0300-\\u036f\\u0483-\\u0489\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\u3099\\u309a\\ufe00-\\ufe0f\\ufe20-\\ufe2f\\u200c\\u200d\\u115f\\u1160\\u17b4\\u17b5\\u2800\\u3164\\uffa0]')), name='room_name_fit', violation_error_message='A name is one line with something to see, without control characters and overrides of direction.')),
        AddConstraint(model_name='room', constraint=models.CheckConstraint(condition=models.Q(('slug__regex', '^[-a-z0-9_]+\\Z')), name='room_slug_fit', violation_error_message='A slug has small letters, digits, hyphens and underscores only.')),
        migrations.RunPython(mend_names, migrations.RunPython.noop, atomic=True),
        migrations.RunPython(mend_slugs, migrations.RunPython.noop, atomic=True),
        migrations.RunPython(fold, migrations.RunPython.noop, atomic=True),
        migrations.RunPython(validate, migrations.RunPython.noop, atomic=True),
    ]
