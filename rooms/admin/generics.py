"""Django's classes that only its stubs know to be generic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.contrib import admin
from django.core import paginator
from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)
Parent = TypeVar("Parent", bound=Model)

if TYPE_CHECKING:

    class ModelAdmin(admin.ModelAdmin[M]): ...

    class TabularInline(admin.TabularInline[M, Parent]): ...

    class ModelForm(forms.ModelForm[M]): ...

    class InlineFormSet(forms.BaseInlineFormSet[M, Parent, Any]):
        queryset: QuerySet[M]
        prefix: str

    class Paginator(paginator.Paginator[M]): ...

else:

    class Generic:
        def __class_getitem__(cls, parameters):
            return cls

    class ModelAdmin(Generic, admin.ModelAdmin):
        pass

    class TabularInline(Generic, admin.TabularInline):
        pass

    class ModelForm(Generic, forms.ModelForm):
        pass

    class InlineFormSet(Generic, forms.BaseInlineFormSet):
        pass

    class Paginator(Generic, paginator.Paginator):
        pass
