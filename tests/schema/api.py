"""A client of the schema over HTTP: middleware, endpoint and all."""

from __future__ import annotations

from typing import Any

from rooms.identity import Viewer
from rooms.models import Member, Message, Room
from schema.ids import encode_id

from .client import Client


class Api:
    """Who uses it is known by a bearer token (guests), by a session (accounts), or not at all."""

    def __init__(self, viewer: Viewer | None = None, *, client: Client | None = None) -> None:
        self.client = client or Client()
        self.headers = {}
        if viewer and viewer.token:
            self.headers["Authorization"] = f"Bearer {viewer.token}"
        elif viewer and viewer.user:
            self.client.force_login(viewer.user)

    def post(self, body: Any, **headers: str) -> Any:
        return self.client.post("/graphql/", body, content_type="application/json", headers={**self.headers, **headers})

    def execute(self, document: str, **variables: Any) -> dict[str, Any]:
        """Return the whole answer."""
        response = self.post({"query": document, "variables": variables})
        assert response.status_code == 200, response.content
        answer: dict[str, Any] = response.json()
        return answer

    def data(self, document: str, **variables: Any) -> Any:
        """Return the data of an answer without errors."""
        answer = self.execute(document, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    def refusal(self, document: str, **variables: Any) -> dict[str, Any]:
        """Return the extensions of the one error of an answer."""
        answer = self.execute(document, **variables)
        assert len(answer.get("errors", [])) == 1, answer
        extensions: dict[str, Any] = answer["errors"][0]["extensions"]
        return extensions


def id_of(thing: Room | Member | Message) -> str:
    return encode_id(type(thing).__name__, thing.pk)
