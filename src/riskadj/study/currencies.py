"""Currencies by their ISO 4217 code: those in circulation, without funds and metals."""

from collections.abc import Mapping
from types import MappingProxyType

from riskadj.errors import did_you_mean

_CODES = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF
GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK
LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD
OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN
SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF
XPF YER ZAR ZMW ZWG
"""
_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
_MOST_HAVE = 2
CURRENCIES: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(_CODES.split(), _MOST_HAVE)
    | {code: digits for digits, codes in _DIGITS.items() for code in codes.split()}
)
"""Decimals of an amount, by code."""


def known_currency(code: str) -> str:
    """Return the code of a currency as it is.

    Raises
    ------
    ValueError
        When ISO 4217 has no such code.

    Examples
    --------
    >>> known_currency("SEK")
    'SEK'
    """
    if code not in CURRENCIES:
        known = did_you_mean(code.upper(), CURRENCIES)
        raise ValueError(f"wanted the ISO 4217 code of a currency; got {code!r}.{known}")
    return code
