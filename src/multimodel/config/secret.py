"""A key that does not show itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

from .problems import MistakeError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["Secret"]

_USABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class Secret:
    """Text that is shown as ``**********`` wherever it is printed, logged or dumped, and that cannot be pickled.

    It must be printable ASCII, because it is sent in a header. Line ends after it, which files and shells
    leave there, are removed; ``stripped`` tells so. Secrets of the same text are equal.

    :raises MistakeError: when the text cannot be a key. The text is not in the message.

    >>> key = Secret("sk-1234")
    >>> key, key.reveal()
    (Secret('**********'), 'sk-1234')
    """

    __slots__ = ("_text", "stripped")

    def __init__(self, text: str) -> None:
        usable = text.rstrip("\r\n")
        if not usable:
            raise MistakeError("the key is empty")
        if not _USABLE.fullmatch(usable):
            raise MistakeError(
                "the key is not printable ASCII, or begins or ends with a space",
                "copy it again from the vendor's console, without quotes, spaces or line ends",
            )
        self._text = usable
        self.stripped = usable != text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits of its SHA-256: tells keys apart without showing them."""
        from hashlib import sha256

        return sha256(self._text.encode()).hexdigest()[:12]

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __str__(self) -> str:
        return "**********"

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled; load the policy anew in the other process")

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(
            _text_of,
            core_schema.no_info_plain_validator_function(_secret),
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
            json_schema_input_schema=core_schema.str_schema(),
        )


def _text_of(value: object) -> object:
    if isinstance(value, str | Secret):
        return value
    raise MistakeError("a key is text", 'write it as `"${NAME}"`, with the name of the variable that holds it')


def _secret(value: Any) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)
