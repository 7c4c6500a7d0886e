"""Settings declared once, as fields of dataclasses; nodes, command line, help pages and records are made from that."""

from .checking import LONGEST_SENTENCE, check, check_value, range_text, shortened, values_of
from .record import changed_texts, from_record, texts, to_record
from .setting import ARTIST, EXPERT, Face, Setting, setting, setting_like, settings_of
from .table import markdown_table, page_with_tables

__all__ = [
    "ARTIST",
    "EXPERT",
    "LONGEST_SENTENCE",
    "Face",
    "Setting",
    "changed_texts",
    "check",
    "check_value",
    "from_record",
    "markdown_table",
    "page_with_tables",
    "range_text",
    "setting",
    "setting_like",
    "settings_of",
    "shortened",
    "texts",
    "to_record",
    "values_of",
]
