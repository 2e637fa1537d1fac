"""Rooms, members and messages; the tables are made by schema.sql, as for the other peers."""

from django.db import models


class Room(models.Model):
    class Meta:
        db_table = "room"
        managed = False


class Member(models.Model):
    room = models.ForeignKey(Room, on_delete=models.CASCADE)
    display_name = models.TextField()
    token = models.TextField(unique=True)

    class Meta:
        db_table = "member"
        managed = False


class Message(models.Model):
    room = models.ForeignKey(Room, on_delete=models.CASCADE)
    author = models.ForeignKey(Member, on_delete=models.CASCADE)
    text = models.TextField()
    sent_at = models.DateTimeField(auto_now_add=True)
    idempotency_key = models.TextField(null=True)

    class Meta:
        db_table = "message"
        managed = False
