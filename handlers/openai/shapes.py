"""What the routes of OpenAI's protocol answer with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from handlers.answers import SentFile


class FailureDetails(TypedDict):
    """`param` names what of the request is at fault."""

    message: str
    type: str
    param: str | None
    code: str | None


class Failure(TypedDict):
    """An error in the shape of OpenAI's protocol."""

    error: FailureDetails


class Extras(TypedDict):
    """What the protocol has no place for: where the conversation is kept, and the files that the agent sent."""

    session_id: str
    turn_id: str
    attachments: NotRequired[list[SentFile]]


class PromptDetails(TypedDict):
    """Cached tokens count in the prompt's, too."""

    cached_tokens: int


class ChatUsage(TypedDict):
    """Tokens of all model calls of the turn, and their price."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    cost_usd: float


class AssistantMessage(TypedDict):
    """All that the agent said."""

    role: Literal["assistant"]
    content: str
    refusal: None


class Choice(TypedDict):
    """The only one."""

    index: int
    message: AssistantMessage
    logprobs: None
    finish_reason: Literal["stop"]


class Completion(TypedDict):
    """The answer to a chat."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage
    starpod: Extras


class OutputText(TypedDict):
    """Words of the answer."""

    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[Any]


ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputMessage(TypedDict):
    """The one item of a response."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    status: ItemStatus
    content: list[OutputText]


class InputDetails(TypedDict):
    """Of the input's tokens, those that came from a cache or went into it."""

    cached_tokens: int
    cache_write_tokens: int


class OutputDetails(TypedDict):
    """Thinking is not told apart."""

    reasoning_tokens: int


class ResponseUsage(TypedDict):
    """Tokens of all model calls of the turn, and their price."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int
    cost_usd: float


ResponseStatus = Literal["in_progress", "completed", "failed", "incomplete"]


class ResponseAnswer(TypedDict):
    """A response as it stands."""

    id: str
    object: Literal["response"]
    created_at: int
    status: ResponseStatus
    background: Literal[False]
    error: Mapping[str, str] | None
    incomplete_details: Mapping[str, None] | None
    instructions: str | None
    metadata: Mapping[str, str]
    model: str
    output: list[OutputMessage]
    parallel_tool_calls: bool
    previous_response_id: str | None
    store: bool
    temperature: float | None
    text: Mapping[str, Any]
    tool_choice: str
    tools: list[Any]
    top_p: float | None
    usage: ResponseUsage | None
    user: str | None
    starpod: NotRequired[Extras]


class ModelAnswer(TypedDict):
    """What may stand for `model` in a request."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelListAnswer(TypedDict):
    """All of them."""

    object: Literal["list"]
    data: list[ModelAnswer]


class EmbeddingItem(TypedDict):
    """A vector: numbers, or 32-bit floats in base64."""

    object: Literal["embedding"]
    index: int
    embedding: Sequence[float] | str


class EmbeddingUsage(TypedDict):
    """Tokens of the texts, and their price."""

    prompt_tokens: int
    total_tokens: int
    cost_usd: float


class EmbeddingAnswer(TypedDict):
    """A vector for each text, in order."""

    object: Literal["list"]
    model: str
    data: list[EmbeddingItem]
    usage: EmbeddingUsage
