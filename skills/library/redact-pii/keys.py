"""Which names of JSON members mean personal data, whatever their value looks like.

Names are compared without case, spaces and signs; a name ends in the word that counts (`userEmail`, `billing_phone`, `db-password`).
"""

from __future__ import annotations

import re

KEY_ROWS = {
    "secret": "password passwd pwd passphrase secret clientsecret token accesstoken refreshtoken idtoken authtoken apikey apitoken "
            "secretkey privatekey accesskey authorization cookie sessionid sessiontoken credentials credential pin cvv cvc cvv2 otp "
            "totp passcode securityanswer kennwort passwort contrasena senha motdepasse 密码 パスワード",
    "national_id": "ssn socialsecuritynumber socialsecurity nationalid nationalidnumber taxid taxnumber tin nino nationalinsurancenumber "
            "passport passportnumber driverslicense driverlicense drivinglicence licensenumber idcard idnumber identitynumber "
            "personalnumber personnummer steuerid steuernummer nir dni nie nif cpf bsn pesel aadhaar curp codicefiscale "
            "medicalrecordnumber mrn healthinsurancenumber 身份证 身份证号 マイナンバー",
    "iban": "iban",
    "card": "creditcard creditcardnumber cardnumber ccnumber ccnum pan cardno debitcard",
    "account": "accountnumber bankaccount accountno routingnumber sortcode bic swift kontonummer",
    "email": "email emailaddress mail emails mailaddress 邮箱 メール",
    "phone": "phone phonenumber telephone mobile mobilephone mobilenumber cell cellphone fax faxnumber tel telefon handy telefono "
            "telephonenumber 电话 手机 電話番号",
    "birth_date": "dob dateofbirth birthdate birthday birthdayat bornon geburtsdatum datedenaissance fechadenacimiento datanascimento "
            "出生日期 生年月日",
    "address": "address streetaddress street addressline1 addressline2 address1 address2 postaladdress homeaddress billingaddress "
            "shippingaddress mailingaddress zip zipcode postcode postalcode plz anschrift adresse strasse direccion 地址 住所",
    "name": "firstname lastname fullname surname givenname familyname middlename maidenname displayname username realname legalname "
            "customername patientname employeename contactname accountholder cardholder cardholdername vorname nachname nom prenom "
            "nombre apellido apellidos nome cognome 姓名 氏名 名前",
    "ip": "ip ipaddress ipaddr clientip remoteip remoteaddr sourceip userip",
    "mac": "macaddress macaddr",
    "location": "latitude longitude lat lng lon geolocation gps coordinates",
}
KEYS = {name: kind for kind, names in KEY_ROWS.items() for name in names.split()}
# A member whose name only ends in one of these is one too.
SHORT_ENDINGS = ("iban", "ssn", "dob", "cvv", "pwd")
ENDINGS = tuple(sorted((name for name in KEYS if len(name) >= 5 or name in SHORT_ENDINGS), key=len, reverse=True))
# Names that end in a word of the list and mean something else.
HARMLESS = re.compile(r"(?:max|min|num|total|count|input|output|prompt|completion|used|cached)\w*tokens?|tokens|.*(?:count|type|enabled|required"
                      r"|valid|verified|format|policy"
                      r"|length|version|expires?|expiry|expiresin|expiresat)|(?:file|host|path|class|table|column|field|event|job|task|step)name|nextpagetoken|pagetoken"
                      r"|macaddresses|emailsent|zipfile")
SIGNS = re.compile(r"[\W_]+")


class KeyTable:
    """The table, with the client's own keys added (they count as secrets)."""

    def __init__(self, more: list[str]) -> None:
        self.more = frozenset(SIGNS.sub("", key).casefold() for key in more)
        self._known: dict[str, str | None] = {}

    def kind_of(self, key: str) -> str | None:
        """The kind of data that a member of this name holds, or None."""
        if key not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[key] = self._judged(SIGNS.sub("", key).casefold())
        return self._known[key]

    def _judged(self, name: str) -> str | None:
        if name in self.more:
            return "secret"
        if name in KEYS:
            return KEYS[name]
        if HARMLESS.fullmatch(name):
            return None
        return next((KEYS[ending] for ending in ENDINGS if name.endswith(ending)), None)
