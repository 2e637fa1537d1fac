import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('rooms', '0006_epoch'),
    ]

    operations = [
        migrations.CreateModel(
            name='RoomSlug',
            fields=[
                ('slug', models.SlugField(max_length=80, primary_key=True, serialize=False, verbose_name='slug')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created at')),
                ('room', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='slugs', to='rooms.room', verbose_name='room')),
            ],
            options={
                'verbose_name': 'slug',
                'verbose_name_plural': 'slugs',
                'constraints': [models.CheckConstraint(condition=models.Q(('slug__regex', '^[-a-z0-9_]+\\Z')), name='slug_fit', violation_error_message='A slug has small letters, digits, hyphens and underscores only.')],
            },
        ),
        migrations.CreateModel(
            name='SearchText',
            fields=[
                ('room', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='search_text', serialize=False, to='rooms.room', verbose_name='room')),
                ('text', models.TextField(editable=False)),
            ],
        ),
    ]
