import datetime
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


def in_thirty_days():
    return django.utils.timezone.now() + datetime.timedelta(days=30)


class Migration(migrations.Migration):

    dependencies = [
        ('rooms', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RenameModel('GuestToken', 'Token'),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('action', models.CharField(choices=[('MESSAGE_DELETED', 'message deleted'), ('MEMBER_MUTED', 'member muted'), ('MEMBER_UNMUTED', 'member unmuted'), ('MEMBER_REMOVED', 'member removed'), ('MEMBER_BANNED', 'member banned'), ('MEMBER_UNBANNED', 'member unbanned'), ('SLOW_MODE_SET', 'slow mode set'), ('ROOM_ARCHIVED', 'room archived'), ('ROOM_REOPENED', 'room reopened'), ('ACCESS_CHANGED', 'access changed'), ('ROLE_CHANGED', 'role changed')], max_length=15, verbose_name='action')),
                ('actor_name', models.CharField(max_length=150, verbose_name='by')),
                ('detail', models.CharField(default='', max_length=200, verbose_name='detail')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='at')),
            ],
            options={
                'verbose_name': 'audit log entry',
                'verbose_name_plural': 'audit log',
            },
        ),
        migrations.CreateModel(
            name='Ban',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.GenericIPAddressField(editable=False, null=True, verbose_name='address')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='created at')),
            ],
            options={
                'verbose_name': 'ban',
                'verbose_name_plural': 'bans',
            },
        ),
        migrations.AlterModelOptions(
            name='token',
            options={'verbose_name': 'token', 'verbose_name_plural': 'tokens'},
        ),
        migrations.AddField(
            model_name='guest',
            name='address',
            field=models.GenericIPAddressField(editable=False, null=True, verbose_name='address'),
        ),
        migrations.AddField(
            model_name='member',
            name='last_sent_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='member',
            name='muted_until',
            field=models.DateTimeField(blank=True, null=True, verbose_name='muted until'),
        ),
        migrations.AddField(
            model_name='room',
            name='access_version',
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='room',
            name='slow_mode_seconds',
            field=models.PositiveIntegerField(default=0, help_text='Seconds between two messages of one member; 0: no slow mode.', verbose_name='slow mode'),
        ),
        migrations.AddField(
            model_name='token',
            name='expires_at',
            field=models.DateTimeField(default=in_thirty_days, editable=False, null=True, verbose_name='expires at'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='token',
            name='last_used_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='last used'),
        ),
        migrations.AddField(
            model_name='token',
            name='session_auth_hash',
            field=models.CharField(default='', editable=False, max_length=128),
        ),
        migrations.AddField(
            model_name='token',
            name='user',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='room_tokens', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AlterField(
            model_name='token',
            name='guest',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to='rooms.guest', verbose_name='guest'),
        ),
        migrations.AddConstraint(
            model_name='token',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('guest__isnull', True), ('user__isnull', False)), models.Q(('guest__isnull', False), ('user__isnull', True)), _connector='OR'), name='token_is_users_or_guests'),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='actor_guest',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='audit', to='rooms.guest', verbose_name='guest'),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='actor_user',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='room_audit', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='member',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='audit', to='rooms.member', verbose_name='member'),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='message',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='audit', to='rooms.message', verbose_name='message'),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='room',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='audit', to='rooms.room', verbose_name='room'),
        ),
        migrations.AddField(
            model_name='ban',
            name='guest',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='bans', to='rooms.guest', verbose_name='guest'),
        ),
        migrations.AddField(
            model_name='ban',
            name='room',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='bans', to='rooms.room', verbose_name='room'),
        ),
        migrations.AddField(
            model_name='ban',
            name='user',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='room_bans', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AddConstraint(
            model_name='auditentry',
            constraint=models.CheckConstraint(condition=models.Q(('action__in', ['MESSAGE_DELETED', 'MEMBER_MUTED', 'MEMBER_UNMUTED', 'MEMBER_REMOVED', 'MEMBER_BANNED', 'MEMBER_UNBANNED', 'SLOW_MODE_SET', 'ROOM_ARCHIVED', 'ROOM_REOPENED', 'ACCESS_CHANGED', 'ROLE_CHANGED'])), name='audit_action_known'),
        ),
        migrations.AddConstraint(
            model_name='auditentry',
            constraint=models.CheckConstraint(condition=models.Q(('actor_user__isnull', True), ('actor_guest__isnull', True), _connector='OR'), name='audit_actor_is_user_or_guest'),
        ),
        migrations.AddIndex(
            model_name='ban',
            index=models.Index(fields=['room', 'address'], name='ban_by_address'),
        ),
        migrations.AddConstraint(
            model_name='ban',
            constraint=models.UniqueConstraint(fields=('room', 'user'), name='ban_once_by_user'),
        ),
        migrations.AddConstraint(
            model_name='ban',
            constraint=models.UniqueConstraint(fields=('room', 'guest'), name='ban_once_by_guest'),
        ),
        migrations.AddConstraint(
            model_name='ban',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('guest__isnull', True), ('user__isnull', False)), models.Q(('guest__isnull', False), ('user__isnull', True)), _connector='OR'), name='ban_is_of_user_or_guest'),
        ),
        migrations.AddConstraint(
            model_name='ban',
            constraint=models.CheckConstraint(condition=models.Q(('address__isnull', True), ('guest__isnull', False), _connector='OR'), name='ban_address_is_of_guest'),
        ),
    ]
