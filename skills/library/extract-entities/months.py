"""Names of months, and words for relative dates, in the languages that the date recogniser knows. Data only."""

from __future__ import annotations

# One row per language or family: the twelve months, forms of one month joined by `/`.
MONTH_ROWS = (
    "january/jan february/feb march/mar april/apr may june/jun july/jul august/aug september/sep/sept october/oct november/nov december/dec",
    "januar/jänner/jän februar/feber/febr märz/mär/maerz april mai juni juli august september oktober/okt november dezember/dez",
    "janvier/janv février/févr/fév mars avril/avr mai juin juillet/juil août septembre octobre novembre décembre/déc",
    "enero/ene febrero marzo abril/abr mayo junio julio agosto/ago septiembre/setiembre octubre noviembre diciembre/dic",
    "gennaio/gen febbraio marzo aprile maggio/mag giugno/giu luglio/lug agosto settembre/set ottobre/ott novembre dicembre",
    "janeiro fevereiro/fev março abril maio/mai junho julho agosto setembro outubro/out novembro dezembro",
    "januari februari maart/mrt april mei juni juli augustus september oktober november december",
    "januari februari mars april maj juni juli augusti september oktober november december",
    "januar februar marts april maj/mai juni juli august september oktober november december/desember/des",
    "stycznia/styczeń lutego/luty marca/marzec kwietnia/kwiecień maja czerwca/czerwiec lipca/lipiec sierpnia/sierpień września/wrzesień "
    "października/październik listopada/listopad grudnia/grudzień",
    "ledna/leden února/únor března/březen dubna/duben května/květen června/červen "
    "července/červenec srpna/srpen září října/říjen listopadu prosince/prosinec",
    "января/январь/янв февраля/февраль/фев марта/март/мар апреля/апрель/апр мая/май июня/июнь июля/июль августа/август/авг "
    "сентября/сентябрь/сен октября/октябрь/окт ноября/ноябрь/ноя декабря/декабрь/дек",
    "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
    "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
    "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
    "január február március április május június július augusztus szeptember október november december",
    "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta",
    "ιανουαρίου φεβρουαρίου μαρτίου απριλίου μαΐου ιουνίου ιουλίου αυγούστου σεπτεμβρίου οκτωβρίου νοεμβρίου δεκεμβρίου",
    "januari februari maret april mei juni juli agustus september oktober november desember",
)
MONTHS = {form: number for row in MONTH_ROWS for number, forms in enumerate(row.split(), 1) for form in forms.split("/")}
# Words that are more than a month: without a year they count only with a capital letter.
DOUBTFUL = frozenset(("may", "march", "mar", "mai", "set", "out", "gen", "mag", "ago", "dec", "jan", "sep", "des", "mart", "mars", "maj", "mei",
                      "dic", "giu"))

DAYS = (
    "monday tuesday wednesday thursday friday saturday sunday week weekend month quarter year",
    "montag dienstag mittwoch donnerstag freitag samstag sonntag woche monat quartal jahr",
    "lundi mardi mercredi jeudi vendredi samedi dimanche semaine mois année",
    "lunes martes miércoles jueves viernes sábado domingo semana mes año")
EN, DE, FR, ES = ("|".join(row.split()) for row in DAYS)
RELATIVE = (
    rf"\b(?:today|tomorrow|yesterday|tonight|day after tomorrow|day before yesterday|(?:next|last|this|coming) (?:{EN})"
    r"|in (?:\d{1,4}|a|an|one|two|three) (?:hours?|days?|weeks?|months?|years?)|(?:\d{1,4}|a|an|one|two|three) (?:hours?|days?|weeks?|months?"
    r"|years?) ago"
    rf"|heute|gestern|vorgestern|übermorgen|morgen (?:früh|abend|mittag)|(?:nächste|letzte|kommende|diese|vorige)[nrsm]? (?:{DE})"
    r"|(?:vor|in) (?:\d{1,4}|einem|einer|zwei|drei) (?:stunden?|tag(?:en)?|wochen?|monat(?:en)?|jahr(?:en)?)"
    rf"|aujourd['’]hui|demain|après-demain|avant-hier|\bhier\b(?! ist)|(?:{FR}) (?:prochaine?|dernière?|dernier)"
    r"|il y a \d{1,4} (?:heures?|jours?|semaines?|mois|ans?)|dans \d{1,4} (?:heures?|jours?|semaines?|mois|ans?)"
    rf"|hoy|ayer|anteayer|pasado mañana|(?:próxim[oa]|pasad[oa]|est[ea]) (?:{ES})|(?:{ES}) (?:próxim[oa]|pasad[oa]|que viene)"
    r"|hace \d{1,4} (?:horas?|días?|semanas?|meses|años?)|dentro de \d{1,4} (?:horas?|días?|semanas?|meses|años?)"
    r"|amanhã|ontem|domani|ieri|dopodomani|сегодня|завтра|вчера|послезавтра)\b"
    r"|今天|明天|昨天|后天|前天|下周|上周|本周|下个月|上个月|明年|去年|今年|今日|明日|昨日|来週|先週|今週|来月|先月|来年|昨年"
    r"|(?<!\d)\d{1,4}\s?(?:天|周|个月|年|日|週間|か月|ヶ月)[前后後]|오늘|내일|어제|다음 주|지난주"
)
ERAS = {"令和": 2018, "平成": 1988, "昭和": 1925, "大正": 1911, "R": 2018, "H": 1988, "S": 1925}
