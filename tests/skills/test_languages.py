"""In which language a short text is written: a guess that is silent rather than wrong."""

from __future__ import annotations

import tomllib

from skills.languages import guess
from tests.kit import ROOT, same

TEXTS = {
    "English": "which columns of this csv have missing values?", "German": "welche Spalten dieser Datei haben fehlende Werte?",
    "French": "quelles colonnes de ce fichier ont des valeurs manquantes ?", "Spanish": "¿qué columnas de este archivo tienen valores faltantes?",
    "Italian": "quali colonne di questo file hanno valori mancanti?", "Portuguese": "quais colunas deste ficheiro têm valores em falta?",
    "Dutch": "welke kolommen van dit bestand zijn niet gevuld?", "Turkish": "bu dosyada hangi sütunlar boş?",
    "Indonesian": "kolom mana yang kosong di berkas ini?",
    "Chinese": "这个文件的哪些列有缺失值？", "Japanese": "この表の列に欠損値がありますか",
    "Korean": "결측값이 있는 열은 무엇인가요?", "Cyrillic": "в каких столбцах есть пропуски?",
    "Arabic": "ما هي الأعمدة", "Greek": "ποιες στήλες", "Hebrew": "אילו עמודות", "Devanagari": "कौन से कॉलम", "Thai": "คอลัมน์ใด",
}


def test_the_language_of_a_sentence_is_guessed_by_script_and_function_words() -> None:
    same({language: guess(text) for language, text in TEXTS.items()}, {language: language for language in TEXTS})


def test_where_nothing_tells_no_language_is_guessed() -> None:
    same([guess(text) for text in ("", "42", "???", "csv", "export.csv", "README", "😀")], [None] * 7)


def test_nearly_every_shipped_example_has_a_language() -> None:
    examples = [text for path in sorted((ROOT / "skills" / "library").glob("*/skill.toml")) for text in tomllib.loads(path.read_text())["examples"]]
    unknown = [text for text in examples if guess(text) is None]
    assert len(unknown) * 20 < len(examples), unknown
