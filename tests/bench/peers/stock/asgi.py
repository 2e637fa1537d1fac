"""As Strawberry's documentation has it."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django_application = get_asgi_application()

from chat.schema import schema  # noqa: E402 - Django's apps must be ready
from strawberry.channels import GraphQLProtocolTypeRouter  # noqa: E402

application = GraphQLProtocolTypeRouter(schema, django_application=django_application)
