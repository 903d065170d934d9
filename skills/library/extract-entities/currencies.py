"""How money and large numbers are written: scales, currency signs, codes and words. Data only.

A sign that several countries use stands for the most used of them and is listed in ASSUMED.
"""

from __future__ import annotations

# Words and signs that multiply a number, as powers of ten.
SCALES = {
    "k": 3, "tsd": 3, "thousand": 3, "tausend": 3, "mille": 3, "mila": 3, "тыс": 3, "千": 3, "万": 4, "萬": 4, "만": 4, "lakh": 5,
    "lakhs": 5, "m": 6, "mn": 6, "mm": 6, "mio": 6, "mln": 6, "million": 6, "millions": 6, "millionen": 6, "millón": 6, "millones": 6,
    "milione": 6, "milioni": 6, "milhão": 6, "milhões": 6, "miljoen": 6, "miljoner": 6, "млн": 6, "миллион": 6, "миллионов": 6, "crore": 7,
    "crores": 7, "億": 8, "亿": 8, "억": 8, "b": 9, "bn": 9, "billion": 9, "billions": 9, "mrd": 9, "milliarde": 9, "milliarden": 9,
    "milliard": 9, "milliards": 9, "miliardi": 9, "miljard": 9, "млрд": 9, "mld": 9, "tn": 12, "trillion": 12, "兆": 12,
}
SIGNS = {
    "US$": "USD", "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD", "R$": "BRL", "NT$": "TWD",
    "MX$": "MXN", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₴": "UAH", "₪": "ILS",
    "₫": "VND", "฿": "THB", "₱": "PHP", "₦": "NGN", "RM": "MYR", "Rs.": "INR", "Rs": "INR", "Fr.": "CHF", "zł": "PLN", "Kč": "CZK",
    "Ft": "HUF", "kr": "SEK", "kr.": "DKK", "元": "CNY", "人民币": "CNY", "円": "JPY", "원": "KRW", "руб.": "RUB", "руб": "RUB", "р.": "RUB",
    "lei": "RON", "TL": "TRY",
}
CODE_TEXT = """
USD EUR GBP JPY CNY RMB CHF AUD CAD NZD HKD SGD INR KRW BRL MXN SEK NOK DKK PLN CZK HUF RON BGN TRY RUB UAH ILS ZAR AED SAR THB IDR MYR PHP
VND TWD EGP NGN KES ARS CLP COP PEN ISK BTC ETH
"""
WORDS = {
    "euro": "EUR", "euros": "EUR", "dollar": "USD", "dollars": "USD", "us-dollar": "USD", "dólares": "USD", "dollari": "USD",
    "pounds": "GBP", "pound": "GBP", "pfund": "GBP", "yen": "JPY", "yuan": "CNY", "franken": "CHF", "francs": "CHF", "rupees": "INR",
    "kronor": "SEK", "kroner": "NOK", "złotych": "PLN", "рублей": "RUB", "рубля": "RUB", "евро": "EUR", "долларов": "USD", "reais": "BRL",
    "pesos": "MXN", "won": "KRW", "欧元": "EUR", "美元": "USD", "ドル": "USD", "ユーロ": "EUR", "英镑": "GBP", "日元": "JPY", "달러": "USD",
}
ASSUMED = {
    "$", "¥", "kr", "kr.", "pesos", "dollar", "dollars", "dólares", "pound", "pounds", "francs", "ドル", "kroner", "won", "Rs", "Rs.",
}
CODES = CODE_TEXT.split()
COMMA_THOUSANDS = frozenset(("USD", "GBP", "JPY", "CNY", "INR", "AUD", "CAD", "NZD", "HKD", "SGD", "KRW", "MXN", "TWD", "THB", "PHP", "MYR", "ILS",
                             "NGN", "KES"))
DOT_THOUSANDS = frozenset(("EUR", "BRL", "DKK", "TRY", "IDR", "VND", "ARS", "CLP", "COP", "ISK"))
