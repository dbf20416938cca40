"""What requests and answers look like that need no model: items that are searched, and histories of users."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mltfr.serve.schemas import Answer, Closed, Id, NewItems


class HistoriesRequest(Closed):
    """The users whose histories are asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"users": ["u1"], "k": 50}]})

    users: list[Id] = Field(min_length=1)
    """Ids of users of the log, or of users whose interactions were sent."""
    k: Annotated[int, Field(strict=True, ge=1)] = 100
    """Items of every history, at most: the newest."""
    new_items: NewItems = False


class Item(BaseModel):
    """One item."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    item_id: str
    name: str | None = None
    new: bool | None = None
    """Whether training has not seen it; told where new items are asked for."""


class FoundItem(Item):
    """One item that was found."""

    interactions: int
    """How many interactions training has seen with it."""


class ItemsAnswer(Answer):
    """Items that were found."""

    results: list[FoundItem]
    more: bool
    """Whether there are more."""


class UserHistory(BaseModel):
    """The history of one user."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: str
    length: int
    """How many items it has; items that are not known do not count."""
    items: list[Item]
    """The newest of them, oldest first."""


class HistoriesAnswer(Answer):
    """Histories of users, in the order of the request."""

    results: list[UserHistory]
