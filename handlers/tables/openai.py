"""Routes for programs that speak OpenAI's protocol."""

from __future__ import annotations

from handlers.openai.bodies import ChatCompletionBody, EmbeddingBody, ResponseBody
from handlers.openai.chat import ChatCompletionHandler
from handlers.openai.embeddings import EmbeddingHandler
from handlers.openai.models import ModelHandler, ModelListHandler
from handlers.openai.responses import ResponseHandler, ResponseListHandler
from handlers.openai.shapes import Completion, EmbeddingAnswer, ModelAnswer, ModelListAnswer, ResponseAnswer
from handlers.operations import EVENT_STREAM, Get, Post, Route

OPENAI = (
    Route("/v1/models", ModelListHandler, "user", Get("What may stand for `model`", ModelListAnswer)),
    Route("/v1/models/{name:*}", ModelHandler, "user", Get("One of them", ModelAnswer)),
    Route(
        "/v1/chat/completions",
        ChatCompletionHandler,
        "user",
        Post(
            "One message to the agent, and its answer",
            Completion,
            body=ChatCompletionBody,
            media=(EVENT_STREAM,),
            errors=(404, 409, 502, 504),
            about="The session is that of `X-Session-Key` or `user`, else a new one. With `stream` the answer comes as "
            "`chat.completion.chunk` events.",
        ),
    ),
    Route(
        "/v1/responses",
        ResponseListHandler,
        "user",
        Post(
            "One message to the agent, and its answer as a response",
            ResponseAnswer,
            body=ResponseBody,
            media=(EVENT_STREAM,),
            errors=(404, 409, 502, 504),
            about="With `stream` the answer comes as typed events.",
        ),
    ),
    Route(
        "/v1/responses/{response_id}",
        ResponseHandler,
        "user",
        Get("A response that was given before", ResponseAnswer, errors=(502,)),
    ),
    Route(
        "/v1/embeddings",
        EmbeddingHandler,
        "user",
        Post(
            "Vectors of texts, by the model that `embedding_model` names",
            EmbeddingAnswer,
            body=EmbeddingBody,
            errors=(404, 502, 504),
        ),
    ),
)
