"""What requests and answers look like, for whoever reads `/openapi.json`, and for the checks of requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StrictBool,
    Tag,
    WithJsonSchema,
    model_validator,
)

from mltfr.interactions.ids import WHITE_SPACE

MOST_INTERACTIONS = 10_000
MOST_EXPLAINED = 20
"""Items of one list that are explained."""
LARGEST = 9_200_000_000_000_000_000
"""Largest whole number that is an id: just within 64 bits, and exact as a float, as other programs write numbers."""
SOMEONE: list[Any] = [{"required": ["users"]}, {"required": ["histories"]}]
AS_LIST, BY_ID = "(list)", "(object)"
"""The two forms of histories, as they stand in the place of an error."""


def _text(value: Any) -> str:
    if type(value) is int and abs(value) <= LARGEST:
        return str(value)
    if not isinstance(value, str) or not value.strip(WHITE_SPACE):
        raise ValueError("expected an id: a text that is not blank, or a whole number up to 9.2e18")
    return value


NOT_BLANK = "[^" + "".join(f"\\u{ord(letter):04x}" for letter in WHITE_SPACE) + "]"
"""Pattern of what is more than white space; what `\\S` is differs from language to language."""
Key = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string", "pattern": NOT_BLANK})]
"""An id where JSON has texts only."""
Id = Annotated[
    str,
    PlainValidator(_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": NOT_BLANK},
                {"type": "integer", "minimum": -LARGEST, "maximum": LARGEST},
            ]
        }
    ),
]
"""An id: a text that is not blank, or a whole number, which stands for its digits."""
Histories = Annotated[
    Annotated[list[list[Id]], Field(min_length=1), Tag(AS_LIST)]
    | Annotated[dict[Key, list[Id]], Field(min_length=1), Tag(BY_ID)],
    Discriminator(lambda value: BY_ID if isinstance(value, dict) else AS_LIST),
]
K = Annotated[int, Field(strict=True, ge=1, description="Items of every list, at most.")]
NewItems = Annotated[
    StrictBool, Field(description="Whether items that training has not seen, and the run has vectors of, are known.")
]


class Closed(BaseModel):
    """A document without fields that it does not know."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class RecommendRequest(Closed):
    """Who gets recommendations, and which. The words are those of `Recommender.recommend`."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": SOMEONE,
            "examples": [{"histories": [["i3", "i9"]], "k": 5}, {"users": ["u1"], "k": 10, "deny": ["i7"]}],
        }
    )

    users: list[Id] = Field(default=[], min_length=1)
    """Ids of users of the log, or of users whose interactions were sent; they come first in the answer."""
    histories: Histories = []
    """Item ids, oldest first, as a list whose places serve as ids, or by an id of yours. Unknown items are skipped."""
    k: K = 10
    include_seen: StrictBool | None = None
    """Whether items of the history may come again; by default as in the evaluation of the run."""
    allow: list[Id] | None = None
    """The only items that may be recommended."""
    deny: list[Id] = []
    """Items that may not be recommended."""
    new_items: NewItems = False
    unknown_users: Literal["error", "skip"] = "error"
    """Whether users that are not known are refused (404), or left out and named in the answer."""

    @model_validator(mode="after")
    def _someone(self) -> Self:
        if not self.users and not self.histories:
            raise ValueError("expected users, histories, or both")
        return self

    @property
    def weight(self) -> int:
        """How many histories go through the model."""
        return len(self.users) + len(self.histories)


class ExplainRequest(RecommendRequest):
    """Whose recommendations are explained. The words are those of `Recommender.explain`."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": SOMEONE, "examples": [{"histories": [["i3", "i9"]], "items": ["i6"]}]}
    )

    items: list[Id] | None = Field(None, min_length=1, max_length=MOST_EXPLAINED)
    """The items to explain; the k best if not given."""
    k: Annotated[int, Field(strict=True, ge=1, le=MOST_EXPLAINED)] = 5
    """Length of the list that an item may drop out of."""


class SimilarRequest(Closed):
    """The items that similar ones are asked for. The words are those of `Recommender.similar_items`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": ["i3"], "k": 5}]})

    items: list[Id] = Field(min_length=1)
    """Item ids, in whose order the results come."""
    k: K = 10
    new_items: NewItems = False


class Interaction(Closed):
    """One thing that a user chose."""

    user_id: Id
    item_id: Id


class InteractionsRequest(Closed):
    """What users chose since the training, oldest first. It is kept in memory, and gone when the service ends."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"interactions": [{"user_id": "u1", "item_id": "i3"}]}]}
    )

    interactions: list[Interaction] = Field(min_length=1, max_length=MOST_INTERACTIONS)


class Listed(BaseModel):
    """One item of a list."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    rank: int
    item_id: str
    name: str | None = None
    new: bool | None = None
    """Whether training has not seen it; told where new items are asked for."""


class Recommended(Listed):
    """One item that is recommended."""

    score: float


class UserItems(BaseModel):
    """The best items of one user or history, with what was done otherwise than asked."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    user_id: str
    """The user, or the id or the place of the history."""
    items: list[Recommended]
    fallback: Literal["popular"] | None
    """`popular`: nothing in the history is known, so these are the most popular items."""
    skipped: list[str]
    """Items of the history that are not known, each once."""
    truncated: bool
    """Whether the history is longer than what the model reads; the newest items are read."""


class Answer(BaseModel):
    """What every answer says."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    run: str
    """Fingerprint of the run that answered; see `/v1/info`."""
    took_ms: float
    """From the request's arrival to its answer, waiting included."""


class RecommendAnswer(Answer):
    """Recommendations: users first, then histories, each in their order."""

    results: list[UserItems]
    unknown_users: list[str] = []
    """Users that were left out."""
    skipped_filters: dict[Literal["allow", "deny"], list[str]] = {}
    """Items of `allow` and `deny` that are not known."""
    note: str | None = None


class ExplainAnswer(Answer):
    """Explanations: users first, then histories, each with its items; each as `Explanation.to_json` writes it."""

    results: list[dict[str, Any]]
    unknown_users: list[str] = []
    skipped_filters: dict[Literal["allow", "deny"], list[str]] = {}


class SimilarItem(Listed):
    """One similar item."""

    similarity: float


class ItemItems(BaseModel):
    """The items most similar to one."""

    item_id: str
    items: list[SimilarItem]


class SimilarAnswer(Answer):
    """Similar items."""

    results: list[ItemItems]


class InteractionsAnswer(BaseModel):
    """What became of the interactions."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    run: str
    accepted: int
    held: int
    """Interactions that are kept now."""
    dropped: int
    """Older ones that gave way."""
    unknown_items: list[str]
    """Items that this run does not know; they count once a run knows them."""


class Health(BaseModel):
    """Whether the service is well."""

    status: str


class SingleError(BaseModel):
    """One error of several."""

    detail: str
    pointer: str | None = None
    id: str | None = None


class ProblemDocument(BaseModel):
    """What went wrong, as in RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[SingleError] = []


Info = dict[str, Any]
