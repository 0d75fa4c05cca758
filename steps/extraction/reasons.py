"""Why a file or a row cannot be used; the words of the extract ledger."""

from __future__ import annotations

from enum import StrEnum


class ExtractDrop(StrEnum):
    """Why extraction dropped a file or a row."""

    EMPTY_FILE = "empty_file"
    TOO_LARGE_FILE = "too_large_file"
    UNREADABLE_FILE = "unreadable_file"
    BINARY_FILE = "binary_file"
    UNKNOWN_ENCODING = "unknown_encoding"
    NO_MAIN_CONTENT = "no_main_content"
    BROKEN_PDF = "broken_pdf"
    ENCRYPTED_PDF = "encrypted_pdf"
    NO_TEXT_IN_PDF = "no_text_in_pdf"
    SCANNED_PDF = "scanned_pdf"
    ENCRYPTED_FILE = "encrypted_file"
    OLD_OFFICE_FILE = "old_office_file"
    BROKEN_OFFICE_FILE = "broken_office_file"
    NO_TEXT_IN_FILE = "no_text_in_file"
    BROKEN_EPUB = "broken_epub"
    BROKEN_NOTEBOOK = "broken_notebook"
    BROKEN_ARCHIVE = "broken_archive"
    UNSUPPORTED_ARCHIVE = "unsupported_archive"
    ARCHIVE_BOMB = "archive_bomb"
    HOSTILE_XML = "hostile_xml"
    TOO_DEEP_MARKUP = "too_deep_markup"
    TOO_LARGE_TEXT = "too_large_text"
    READER_TIMED_OUT = "reader_timed_out"
    READER_CRASHED = "reader_crashed"
    READER_OUT_OF_MEMORY = "reader_out_of_memory"
    BROKEN_PARQUET = "broken_parquet"
    BROKEN_ARROW = "broken_arrow"
    INVALID_XML = "invalid_xml"
    BAD_HEADER = "bad_header"
    RAGGED_ROW = "ragged_row"
    TOO_LARGE_ROW = "too_large_row"
    GIT_LFS_POINTER = "git_lfs_pointer"
    HTTP_ERROR = "http_error"
    FETCH_FAILED = "fetch_failed"
    FORBIDDEN_ADDRESS = "forbidden_address"
    ROBOTS_DISALLOWED = "robots_disallowed"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID_JSON = "invalid_json"
    TOO_DEEP_JSON = "too_deep_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_KEYS = "missing_keys"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_ROLE = "unknown_role"
    UNSUPPORTED_CONTENT = "unsupported_content"
    NO_ASSISTANT_TURN = "no_assistant_turn"
    LABELLED_UNDESIRABLE = "labelled_undesirable"
    EMPTY_TEXT = "empty_text"
    NO_RANKED_REPLIES = "no_ranked_replies"
    NO_COMMON_PROMPT = "no_common_prompt"


class UnusableError(Exception):
    """One file or row cannot be used. It becomes a ledger row and never leaves the stage."""

    def __init__(self, reason: ExtractDrop, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail
