"""Blocks of Anthropic's content as parts of a chat message."""

from collections.abc import Iterable, Mapping
from typing import Any

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Json


def content_parts(blocks: Iterable[Mapping[str, Any]], where: str) -> list[Json]:
    """Return the parts of a content.

    Raises
    ------
    InvalidRequestError
        If a block is one that only Anthropic's models know.

    Examples
    --------
    >>> source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}
    >>> content_parts([{"type": "image", "source": source}], "messages[0]")
    [{'type': 'image_url', 'image_url': {'url': 'data:image/png;base64,iVBORw0='}}]
    """
    return [_part(block, where) for block in blocks]


def text_of(content: object, where: str) -> str:
    r"""Return a content of text alone as one text, its blocks in paragraphs.

    Raises
    ------
    InvalidRequestError
        If there is something else in it.

    Examples
    --------
    >>> text_of([{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}], "system")
    'Be brief.\n\nBe kind.'
    """
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for block in content if isinstance(content, list) else [content]:
        if not isinstance(block, Mapping) or block.get("type") != "text":
            param = where.partition("[")[0]
            raise InvalidRequestError(f"{where}: must be a string or a list of blocks of text", param=param)
        texts.append(str(block.get("text") or ""))
    return "\n\n".join(texts)


def _part(block: Mapping[str, Any], where: str) -> Json:
    match block.get("type"):
        case "text":
            return {"type": "text", "text": str(block.get("text") or "")}
        case "image":
            return {"type": "image_url", "image_url": {"url": _url(block.get("source"), where)}}
        case "document":
            return _document(block, where)
    raise _unknown(str(block.get("type")), where)


def _url(source: object, where: str) -> str:
    type_ = source.get("type") if isinstance(source, Mapping) else None
    if isinstance(source, Mapping) and type_ == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    if isinstance(source, Mapping) and type_ == "url":
        return str(source.get("url"))
    raise _unknown(f"source {type_}", where)


def _document(block: Mapping[str, Any], where: str) -> Json:
    source = block.get("source")
    type_ = source.get("type") if isinstance(source, Mapping) else None
    if isinstance(source, Mapping) and type_ == "text":
        return {"type": "text", "text": str(source.get("data"))}
    if isinstance(source, Mapping) and type_ == "base64":
        file = {"filename": block.get("title") or "document.pdf", "file_data": _url(source, where)}
        return {"type": "file", "file": file}
    raise _unknown(f"document with source {type_}", where)


def _unknown(what: str, where: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{where}: {what[:60]!r} is known to Anthropic alone; leave it out, or let one of its models answer",
        param="messages",
    )
